"""round_h(x + Z), Z exactly normal, in whole steps of h: as quick as a float, exact as a proof.

A 64-bit word names one of 2^64 cells of equal probability of the normal law, and its number is the
quantile at the middle of the cell: a real number, which is never computed. What is wanted is the
whole number of steps nearest to x / h + scale * quantile, scale = sigma / h. An approximation with
a known error settles it wherever no cell boundary of the grid is within that error; what it leaves
open, the next finer one takes (Ziv 1991): float32 by table from the upper 32 bits (all but some
.2 %), float64 from them (all but one in a million), float64 from all 64 bits, and arithmetic of 50
digits. So the result is a function of the word, the same on every device, and its law is known
(theory T12).
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
"""In steps: covers an error of the quantiles in float64 of 2e-12 (measured: below 1e-14) and the
roundings of the sum."""
_SLACK = 1.5
_EXACT = mpmath.MPContext()
_EXACT.dps = 50
_ALONE = threading.Lock()
"""Draws are made by several threads, and mpmath is for one at a time."""


def unsure(scale: float) -> float:
    """How close, in steps, a sum in float32 may come to a boundary and still tell the side.

    Up to ``normals.LARGEST``: the error of the table, half the width of a cell, the rounding of
    the residual and of the sum.
    """
    density = math.exp(-LARGEST * LARGEST / 2) / math.sqrt(2 * math.pi)
    number = ERROR * LARGEST + 2.0**-33 / density
    return _SLACK * (scale * number + 2.0**-24 * (scale * LARGEST + 2.0))


def brackets(
    cells: Any, width: float, residual: Any, scale: float, ndtri: Any, floor: Any
) -> tuple[Any, Any]:
    """The lowest and the highest number of steps that numbers within the cells can round to.

    cells: float64, s where the numbers lie in the s-th cell [s, s + 1] of the given width in
    probability; s >= 0 counts down from the upper end of the law, s < 0 up to its lower end.
    residual: what is added, in steps. ndtri, floor: of the arrays' library, NumPy or PyTorch.
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
    """Steps (n,) for the upper halves of words, cells (n,), and residuals (n,).

    further: gives the lower halves (m,) of the words at these places (m,).
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
    """The whole number of steps nearest to residual + scale * quantile(word), to 50 digits."""
    with _ALONE:
        middle = _EXACT.mpf(2 * word + 1) / 2**65

        def reaches(steps: int) -> bool:
            """Whether the quantile is at least where this number of steps begins."""
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
