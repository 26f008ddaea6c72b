"""Exactly rounded sums round_h(x + Z), Z normal, as multiples of the grid step h (theory T12).

A 64-bit word names one of 2^64 cells of equal probability of the normal law, and stands for the
quantile at the middle of the cell. The result is the integer nearest to x / h + scale * quantile,
scale = sigma / h. An approximation with a known error decides it unless a rounding boundary is
within that error; the rest is left to the next finer approximation (Ziv 1991): float32 by table
from the upper 32 bits (decides all but about 0.2 %), float64 from these (all but one in a million),
float64 from all 64 bits, and arithmetic with 50 digits. So the result is a function of the word,
the same on every device, and its law is known.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from certiseg.sampling.normals import ERROR, LARGEST

_TOLERANCE = 1e-9
"""In steps: covers an error of float64 quantiles of 2e-12 (measured: below 1e-14) and the rounding
of the sum."""
_SLACK = 1.5
_EXACT = mpmath.MPContext()
_EXACT.dps = 50
_ALONE = threading.Lock()
"""Lock for mpmath, which is not thread-safe."""


def unsure(scale: float) -> float:
    """Bound, in steps, on the error of a float32 sum for quantiles up to ``normals.LARGEST``.

    Covers the error of the table, half the width of a cell, and the rounding of residual and sum.
    """
    density = math.exp(-LARGEST * LARGEST / 2) / math.sqrt(2 * math.pi)
    number = ERROR * LARGEST + 2.0**-33 / density
    return _SLACK * (scale * number + 2.0**-24 * (scale * LARGEST + 2.0))


def brackets(
    cells: Any, width: float, residual: Any, scale: float, ndtri: Any, floor: Any
) -> tuple[Any, Any]:
    """Lowest and highest integer to which residual + scale * quantile can round within each cell.

    cells: float64 integers s, of the cell [s, s + 1] in units of width of probability; s >= 0
    counts from the upper end of the law, s < 0 from the lower end. residual: in steps. ndtri,
    floor: functions of the arrays' library, NumPy or PyTorch.
    """
    sign = 2.0 * (cells < 0) - 1.0
    first, last = (sign * ndtri(abs(edge) * width) for edge in (cells, cells + 1.0))
    low = floor(residual + scale * last + (0.5 - _TOLERANCE))
    high = floor(residual + scale * first + (0.5 + _TOLERANCE))
    return low, high


def exact_steps(
    cells: NDArray[np.int32],
    residual: NDArray[np.float64],
    scale: float,
    further: Callable[[NDArray[np.intp]], NDArray[np.uint32]],
) -> NDArray[np.float64]:
    """Rounded sums (n,), in steps, for upper halves of words, cells (n,), and residuals (n,).

    further: returns the lower halves (m,) of the words at places (m,).
    """
    low: NDArray[np.float64]
    low, high = brackets(cells.astype(np.float64), 2.0**-32, residual, scale, ndtri, np.floor)
    left = np.flatnonzero(low != high)
    if left.size:
        words = (cells[left].astype(np.int64) << 32) | further(left).astype(np.int64)
        rest = residual[left]
        low[left], high = brackets(words.astype(np.float64), 2.0**-64, rest, scale, ndtri, np.floor)
        for place in np.flatnonzero(low[left] != high):
            low[left[place]] = nearest(int(words[place]), float(rest[place]), scale)
    return low


def nearest(word: int, residual: float, scale: float) -> int:
    """The integer nearest to residual + scale * quantile(word), computed with 50 digits."""
    with _ALONE:
        middle = _EXACT.mpf(2 * word + 1) / 2**65

        def reaches(steps: int) -> bool:
            """True if residual + scale * quantile >= steps - 1/2."""
            begin = (steps - _EXACT.mpf(1) / 2 - residual) / scale
            if word >= 0:
                return bool(middle <= _EXACT.erfc(begin / _EXACT.sqrt(2)) / 2)
            return bool(-middle >= _EXACT.erfc(-begin / _EXACT.sqrt(2)) / 2)

        number = math.copysign(ndtri(abs(float(middle))), float(middle))
        steps = math.floor(residual + scale * number + 0.5)
        while not reaches(steps):
            steps -= 1
        while reaches(steps + 1):
            steps += 1
        return steps
