"""Which rotations a probability certifies: angles rounded down, probabilities rounded up (T11)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtri

from certiseg.stats.rotations import RotationLaw

# Angles are answered on a grid that is square in its index: fine where radii are small.
_GRID = 2**13
_COARSE = 256
_WEIGHTS = 64
# Beyond it no probability below 1 that a double can hold certifies anything.
_REACH = 8.5
_LARGEST_LOG_WEIGHT = 60.0


class AngleTable:
    """How much a label may fall short of probability 1 and still win after a rotation.

    ``spare(k)`` = s says: whatever has probability >= 1 - s under the law has at least 1/2 after
    any rotation by at most ``angle(k)``; k in [1, 2^13]. By weak duality it is
    ``(M - 1/2) / lambda`` for a lambda near the best (theory T11).
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
        """The largest place found whose spare is at least this one; 0 for none."""
        guess = float(np.interp(-ndtri(spare), self._probits, self._angles)) if spare < 0.5 else 0.0
        # Two places up: the guess is interpolated, and what follows only moves down.
        place = min(_GRID, int(_GRID * math.sqrt(guess / self._largest)) + 2)
        while place > 0 and self.spare(place) < spare:
            place -= 1
        return place

    def place_above(self, angle: float) -> int | None:
        """The smallest place whose angle is at least this one; None beyond the last."""
        if angle > self._largest:
            return None
        place = max(1, math.floor(_GRID * math.sqrt(angle / self._largest)) - 1)
        while self.angle(place) < angle:
            place += 1
        return place

    def _spare(self, angle: float, log_weight: float) -> float:
        return (self._law.overlap(angle, log_weight) - 0.5) * math.exp(-log_weight)

    def _best_weight(self, angle: float, top: float) -> float:
        def loss(log_weight: float) -> float:
            return -math.log(max(self._spare(angle, log_weight), 1e-300))

        return float(minimize_scalar(loss, bounds=(0.0, top), method="bounded").x)


_table = lru_cache(maxsize=8)(AngleTable)


@lru_cache(maxsize=2**16)
def largest_angle(sigma: float, tau: float) -> float:
    """The angle within which a label of probability > tau stays above 1/2, rounded down.

    sigma in [1e-5, 2.22], tau in [1/2, 1). pi says: after every rotation. Never falls as tau grows.
    """
    table = _table(sigma)
    place = table.place_below(1.0 - tau)  # the difference is exact
    return table.angle(place) if place else 0.0


def needed_probability(sigma: float, angle: float) -> float:
    """A probability, rounded up: what has it has at least 1/2 after any rotation up to angle >= 0.

    1.0 where no smaller one is known to do.
    """
    if angle <= 0.0:
        return 0.5
    table = _table(sigma)
    place = table.place_above(min(angle, math.pi))
    if place is None:
        return 1.0
    return min(1.0, math.nextafter(1.0 - max(table.spare(place), 0.0), 2.0))
