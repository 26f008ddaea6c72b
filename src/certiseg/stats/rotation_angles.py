"""Certified rotation angle of a probability, rounded down, and its inverse, rounded up (T11)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from certiseg.stats.rotations import RotationLaw

# Angles lie on a grid that is quadratic in its index: fine where radii are small.
_GRID = 2**13
_COARSE = 256
_WEIGHTS = 64
# In units of sigma; no float64 probability below 1 certifies a larger angle.
_REACH = 8.5
_LARGEST_LOG_WEIGHT = 60.0


class AngleTable:
    """Largest allowed shortfall from probability 1 at each grid angle, for one sigma.

    A label of probability >= 1 - ``spare(k)`` has at least 1/2 after any rotation by at most
    ``angle(k)``, k in [1, 2^13]. By weak duality ``spare`` is ``(M - 1/2) / lambda`` for a lambda
    near the optimum (theory T11).
    """

    def __init__(self, sigma: float) -> None:
        self._law = RotationLaw(sigma)
        self._largest = min(math.pi, _REACH * sigma)
        top = min(_LARGEST_LOG_WEIGHT, float(self._law.fall(math.pi)))
        places = np.linspace(0, _GRID, _WEIGHTS + 1).astype(int)[1:]
        self._places = places
        self._weights = np.array([self._best_weight(self.angle(k), top) for k in places])
        self._known: dict[int, float] = {}
        coarse = np.arange(1, _COARSE + 1) * (_GRID // _COARSE)
        spares = np.array([self.spare(int(k)) for k in coarse])
        falling = spares < np.concatenate([[0.5], np.minimum.accumulate(spares)[:-1]])
        useful = falling & (spares > 0.0)
        self._probits = np.concatenate([[0.0], -ndtri(spares[useful])])
        self._angles = np.concatenate([[0.0], [self.angle(int(k)) for k in coarse[useful]]])

    def angle(self, place: int) -> float:
        if place == _GRID:
            return self._largest
        return self._largest * (place / _GRID) ** 2

    def spare(self, place: int) -> float:
        if place not in self._known:
            weight = float(np.interp(place, self._places, self._weights))
            self._known[place] = self._spare(self.angle(place), weight)
        return self._known[place]

    def place_below(self, spare: float) -> int:
        """Index of the largest grid angle found with at least this spare; 0 if there is none."""
        guess = float(np.interp(-ndtri(spare), self._probits, self._angles)) if spare < 0.5 else 0.0
        # Start two above the interpolated guess, since the search only moves down.
        place = min(_GRID, int(_GRID * math.sqrt(guess / self._largest)) + 2)
        while place > 0 and self.spare(place) < spare:
            place -= 1
        return place

    def place_above(self, angle: float) -> int | None:
        """Index of the smallest grid angle that is at least ``angle``; None beyond the last."""
        if angle > self._largest:
            return None
        place = max(1, math.floor(_GRID * math.sqrt(angle / self._largest)) - 1)
        while self.angle(place) < angle:
            place += 1
        return place

    def _spare(self, angle: float, log_weight: float) -> float:
        return (self._law.overlap(angle, log_weight) - 0.5) * math.exp(-log_weight)

    def _best_weight(self, angle: float, top: float) -> float:
        # Imported only for rotations around any axis: 250 modules that other noises do not need.
        from scipy.optimize import minimize_scalar

        def loss(log_weight: float) -> float:
            return -math.log(max(self._spare(angle, log_weight), 1e-300))

        return float(minimize_scalar(loss, bounds=(0.0, top), method="bounded").x)


_table = lru_cache(maxsize=8)(AngleTable)


@lru_cache(maxsize=2**16)
def largest_angle(sigma: float, tau: float) -> float:
    """Angle within which a label of probability > tau stays above 1/2, rounded down.

    sigma in [1e-5, 2.22], tau in [1/2, 1). A result of pi covers every rotation. Nondecreasing in
    tau.
    """
    table = _table(sigma)
    place = table.place_below(1.0 - tau)  # the difference is exact
    return table.angle(place) if place else 0.0


def needed_probability(sigma: float, angle: float) -> float:
    """Probability, rounded up, with which a label keeps at least 1/2 under rotations up to angle.

    angle >= 0. Returns 1.0 where no smaller probability is known to suffice.
    """
    if angle <= 0.0:
        return 0.5
    table = _table(sigma)
    place = table.place_above(min(angle, math.pi))
    if place is None:
        return 1.0
    return min(1.0, math.nextafter(1.0 - max(table.spare(place), 0.0), 2.0))
