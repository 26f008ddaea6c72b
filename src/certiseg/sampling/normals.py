"""Approximate normal quantiles in float32 by piecewise linear interpolation, with bounded error.

The integer s names one of 2^32 cells of equal probability, and is mapped to the normal quantile at
the middle of the cell. Sign, exponent and leading mantissa bits of the float s + 1/2 select a
segment, and a chord of the quantile function gives the value. Certificates do not depend on the
error: ``rounded.py`` uses a value only if no error within ERROR can change the rounded sum.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

SHIFT = 14
"""9 mantissa bits select the segment: 512 segments per octave of the probability."""
_SEGMENTS = 2 ** (32 - SHIFT)
_CELLS = 2.0**32
TILE = 2**15
"""Values per block on the host, to fit a core's cache. Even, since two values share a word."""
LARGEST = 4.0
"""Largest value in the table; NaN beyond it, where cells are wide."""
ERROR = 3e-7
"""Values z are within ERROR * max(1, \\|z\\|) of the quantile at the middle of their cell."""

Table = tuple[NDArray[np.float32], NDArray[np.float32]]


@lru_cache(maxsize=8)
def chords(scale: float) -> Table:
    """Offsets and slopes, float32 (2^18,), of the chords, for standard deviation ``scale``."""
    names = np.arange(_SEGMENTS // 2, dtype=np.uint32)
    start = (names << np.uint32(SHIFT)).view(np.float32)
    # From 1/2, the smallest value of s + 1/2, to 2^31, where the quantile is 0.
    used = np.flatnonzero((start >= 0.5) & (start < _CELLS / 2))
    low = start[used].astype(np.float64)
    high = start[used + 1].astype(np.float64)
    at_low, at_high, at_middle = (-ndtri(v / _CELLS) for v in (low, high, (low + high) / 2))
    slope = (at_high - at_low) / (high - low)
    # The quantile is convex: shift chords by half of the largest deviation, in the middle.
    offset = at_low - slope * low + (at_middle - (at_low + at_high) / 2) / 2
    offset[at_low > LARGEST] = math.nan
    offsets, slopes = np.zeros((2, _SEGMENTS))
    for sign, first in ((1.0, 0), (-1.0, _SEGMENTS // 2)):
        offsets[first + used] = sign * offset
        slopes[first + used] = slope
    table = (offsets * scale).astype(np.float32), (slopes * scale).astype(np.float32)
    for part in table:
        part.setflags(write=False)
    return table


def normals_into(out: NDArray[np.float32], cells: NDArray[np.int32], table: Table) -> None:
    """Fill out (n,) with the values of cells (n,), releasing the interpreter lock."""
    offsets, slopes = table
    x = cells.astype(np.float32)
    x += np.float32(0.5)
    name = (x.view(np.uint32) >> np.uint32(SHIFT)).astype(np.intp)
    # mode="clip" avoids NumPy's buffering of out.
    np.take(offsets, name, out=out, mode="clip")
    scaled = np.take(slopes, name, mode="clip")
    scaled *= x
    out += scaled


def normals_of(cells: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """The same on any device: float32 of the shape of cells (int32)."""
    offsets, slopes = table
    x = cells.to(torch.float32).add_(0.5)
    names = (x.view(torch.int32) >> SHIFT) & (_SEGMENTS - 1)
    return slopes[names].mul_(x).add_(offsets[names])


def host_cells(generator: np.random.Generator, count: int) -> NDArray[np.int32]:
    """The first count cells of a draw: its 64-bit words split into halves, the lower one first."""
    full: Any = 2**64 - 1
    # The raw 64-bit words; random_raw would hold the interpreter lock.
    words = generator.integers(0, full, endpoint=True, dtype=np.uint64, size=-(-count // 2))
    return words.astype("<u8", copy=False).view("<i4")[:count]
