"""The law of random rotations exp(v), v ~ N(0, sigma^2 I_3) within |v| <= pi, and its overlap with
the same law rotated by an angle (theory T11)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Angles = NDArray[np.float64]

LARGEST_SIGMA = 2.22
"""Below pi / sqrt(2) the density falls with the angle all the way to pi, as T11 needs."""

_REACH = 38.0  # exp(-38^2 / 2) is 0 in double precision
_CELLS, _NODES = 4096, 6
_STEPS, _WIDTH = 1024, 7.0


class RotationLaw:
    """The law for one sigma in [1e-5, 2.22], by its density g with respect to Haar measure.

    g depends on the rotation's angle t alone and decreases in it (theory T11):
    ``g(t) = C exp(-fall(t))``, ``fall(t) = t^2 / (2 sigma^2) - log(t^2 / (2 - 2 cos t))``.
    """

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma
        ratio = math.pi / sigma
        inside = math.erf(ratio / math.sqrt(2.0)) - math.sqrt(2.0 / math.pi) * ratio * math.exp(
            -ratio * ratio / 2.0
        )
        self.peak = 2.0 * math.pi / (sigma**3 * math.sqrt(math.pi / 2.0) * inside)
        """g(0) = C."""
        reach = min(math.pi, _REACH * sigma)
        self._cell = reach / _CELLS
        self._angle = np.linspace(0.0, reach, _CELLS + 1)
        # K(t) = integral of g(s) sin(s / 2) / 2 from 0 to t, by Gauss-Legendre on each cell.
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        middle = (self._angle[:-1] + self._angle[1:]) / 2.0
        inner = self._weighted(middle[:, None] + nodes * self._cell / 2.0)
        self._sum = np.concatenate([[0.0], np.cumsum(inner @ weights) * self._cell / 2.0])
        self._slope = self._weighted(self._angle) * self._cell
        self._root_fall = np.sqrt(self.fall(self._angle))

    def fall(self, angle: Angles | float) -> Angles:
        """``log(g(0) / g(angle))`` >= 0, for angles in [0, pi]."""
        half = np.maximum(np.asarray(angle, dtype=np.float64) / 2.0, 1e-300)
        fall = 2.0 * (half / self.sigma) ** 2 - 2.0 * np.log(half / np.sin(half))
        return np.asarray(np.maximum(fall, 0.0))

    def overlap(self, angle: float, log_weight: float) -> float:
        """A lower bound on ``M = integral min(lambda g(S), g(S Q)) dS``, Q a rotation by angle.

        angle in (0, pi], lambda = exp(log_weight) >= 1. Trapezoid rule over the angle of S, minus
        twice the error estimated from second differences. Only part of the range is integrated,
        which can only lower the value (theory T11).
        """
        low = max(angle - _WIDTH * self.sigma, 0.0)
        step = (min(angle + _WIDTH * self.sigma, math.pi) - low) / _STEPS
        theta = np.asarray(low + step * np.arange(_STEPS + 1), dtype=np.float64)
        values = self._over_axes(theta, angle, log_weight)
        total = step * (float(values.sum()) - (values[0] + values[-1]) / 2.0)
        error = step / 8.0 * float(np.abs(np.diff(values, 2)).sum())
        return float(total - 2.0 * error)

    def _over_axes(self, theta: Angles, angle: float, log_weight: float) -> Angles:
        """Integrand over the angle theta of S, averaged over its axis in closed form.

        With phi the angle of S Q, a uniform axis makes cos(phi / 2) uniform. g(phi) is capped at
        level = lambda g(theta), which is g at the angle ``cut``.
        """
        fall = self.fall(theta)
        cut = self._inverse_fall(fall - log_weight)
        level = self.peak * np.exp(log_weight - fall)
        at_cut = 2.0 * level * np.sin(cut / 4.0) ** 2 - self._integral(cut)

        def up_to(phi: Angles, part: slice) -> Angles:
            """Integral of min(level, g(s)) sin(s / 2) / 2 over s from 0 to phi."""
            flat = 2.0 * level[part] * np.sin(phi / 4.0) ** 2
            return np.asarray(np.where(phi <= cut[part], flat, at_cut[part] + self._integral(phi)))

        far = theta + angle
        turn = int(np.searchsorted(far, math.pi, side="right"))
        direct, around = slice(0, turn), slice(turn, None)
        mean = -up_to(np.abs(theta - angle), slice(None))
        mean[direct] += up_to(far[direct], direct)
        # Angles beyond pi are folded back: from near to pi, and from 2 pi - far to pi.
        whole = at_cut[around] + self._integral(np.full_like(far[around], math.pi))
        mean[around] += 2.0 * whole - up_to(2.0 * math.pi - far[around], around)
        return np.asarray(np.sin(theta / 2.0) * mean / (math.pi * math.sin(angle / 2.0)))

    def _weighted(self, angle: Angles) -> Angles:
        return np.asarray(self.peak * np.exp(-self.fall(angle)) * np.sin(angle / 2.0) / 2.0)

    def _integral(self, angle: Angles) -> Angles:
        """K(angle), by cubic Hermite interpolation."""
        place = np.minimum(angle, self._angle[-1]) / self._cell
        left = np.minimum(place.astype(np.int64), _CELLS - 1)
        w = place - left
        a, b = self._sum[left], self._sum[left + 1]
        da, db = self._slope[left], self._slope[left + 1]
        gain = b - a
        return np.asarray(a + w * (da + w * (3 * gain - 2 * da - db + w * (da + db - 2 * gain))))

    def _inverse_fall(self, fall: Angles) -> Angles:
        """Angle with this fall, 0 for fall <= 0: table lookup and one Newton step.

        An error here affects ``overlap`` in second order only.
        """
        found = np.interp(np.sqrt(np.maximum(fall, 0.0)), self._root_fall, self._angle)
        safe = np.maximum(found, 1e-3 * self.sigma)
        slope = safe / self.sigma**2 - 2.0 / safe + 1.0 / np.tan(safe / 2.0)
        better = safe - (self.fall(safe) - fall) / slope
        return np.asarray(np.where(fall > 0.0, np.clip(better, 0.0, math.pi), 0.0))
