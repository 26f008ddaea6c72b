"""The normal quantile, rounded down, and the normal probability, rounded up."""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri

# SciPy's ndtri stays within 4 ulp of mpmath on [1/2, 1), its ndtr within 2 ulp on [0, inf)
# (tests/stats/test_normal.py, tests/certify/test_percentile.py).
_RELATIVE_MARGIN = 16 * 2.0**-53


def quantile_down(probability: float) -> float:
    """``PhiInv(p)`` for p in [1/2, 1), rounded down, with a relative error below 2e-15 (T1)."""
    probability = float(probability)  # SciPy would compute a float32 in float32
    if not 0.5 <= probability < 1.0:
        raise ValueError(f"expected a probability in [1/2, 1), got {probability}")
    if probability == 0.5:
        return 0.0
    return math.nextafter(float(ndtri(probability)) * (1.0 - _RELATIVE_MARGIN), 0.0)


def probability_up(ratio: float) -> float:
    """``Phi(ratio)`` for ratio = radius / sigma >= 0, rounded up, at most 1 (1 - q of theory T10).

    The rounding error of the quotient is covered too.
    """
    rounded = float(ndtr(math.nextafter(ratio, math.inf))) * (1.0 + _RELATIVE_MARGIN)
    return min(math.nextafter(rounded, math.inf), 1.0)
