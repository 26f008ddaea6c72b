"""Rounded sums of one draw in a single pass: Philox words, normal numbers, sum and rounding.

The loop of ``GaussianSampler``, to be compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.sampling.normals import SHIFT
from certiseg.sampling.philox import MULTIPLIERS, ROUNDS, WEYL

_BLOCKS = 128
"""Philox blocks, of 8 values each, that are made at once: their arrays fit the innermost cache."""
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_FACTOR_0, _FACTOR_1 = (np.uint64(factor) for factor in MULTIPLIERS)
_STEP_0, _STEP_1 = (np.uint64(step) for step in WEYL)
_SHIFT = np.uint32(SHIFT)
_SHIFTER = np.float32(1.5 * 2**23)
"""x + _SHIFTER - _SHIFTER is x rounded to an integer, ties to even, for abs(x) < 2^22."""


def rounded_sums(
    key: NDArray[np.uint64],
    draw: np.uint64,
    start: int,
    stop: int,
    offsets: NDArray[np.float32],
    slopes: NDArray[np.float32],
    given: NDArray[Any],
    grid: float,
    sure: np.float32,
    out: NDArray[Any],
    places: NDArray[np.int64],
    cells: NDArray[np.int32],
) -> int:
    """Fill out[start:stop] with rounded sums; return the number of values that float32 does not
    decide, and write their places and cells to the front of ``places`` and ``cells``.

    key: of Philox, (2,). start: a multiple of 8. offsets, slopes: ``normals.chords``. sure: largest
    distance to an integer at which float32 decides. given: the input, as long as out.
    """
    a, b = np.empty(_BLOCKS, np.uint64), np.empty(_BLOCKS, np.uint64)
    c, d = np.empty(_BLOCKS, np.uint64), np.empty(_BLOCKS, np.uint64)
    words = np.empty(4 * _BLOCKS, np.uint64)
    drawn = words.view(np.int32)
    x, near = np.empty(8 * _BLOCKS, np.float32), np.empty(8 * _BLOCKS, np.float32)
    names = np.empty(8 * _BLOCKS, np.uint32)
    open_ = np.empty(8 * _BLOCKS, np.bool_)
    open_by_eight = open_.view(np.uint64)
    scale = 1.0 / grid
    left = 0
    for first in range(start, stop, 8 * _BLOCKS):
        size = min(8 * _BLOCKS, stop - first)
        # Slices, since indices with an offset would not be vectorised.
        values, made = given[first : first + size], out[first : first + size]
        for i in range(_BLOCKS):
            # NumPy increments the counter before each block.
            a[i], b[i] = np.uint64(first // 8 + i + 1), np.uint64(0)
            c[i], d[i] = draw, np.uint64(0)
        key_0, key_1 = key[0], key[1]
        for _ in range(ROUNDS):
            for i in range(_BLOCKS):
                # 128-bit products from 32-bit halves, which the processor makes eight at a time.
                low, high = a[i] & _LOW, a[i] >> _HALF
                inner = low * (_FACTOR_0 & _LOW)
                across, along = low * (_FACTOR_0 >> _HALF), high * (_FACTOR_0 & _LOW)
                middle = (inner >> _HALF) + (across & _LOW) + (along & _LOW)
                upper_0 = high * (_FACTOR_0 >> _HALF) + (across >> _HALF)
                upper_0 += (along >> _HALF) + (middle >> _HALF)
                lower_0 = (middle << _HALF) | (inner & _LOW)
                low, high = c[i] & _LOW, c[i] >> _HALF
                inner = low * (_FACTOR_1 & _LOW)
                across, along = low * (_FACTOR_1 >> _HALF), high * (_FACTOR_1 & _LOW)
                middle = (inner >> _HALF) + (across & _LOW) + (along & _LOW)
                upper_1 = high * (_FACTOR_1 >> _HALF) + (across >> _HALF)
                upper_1 += (along >> _HALF) + (middle >> _HALF)
                lower_1 = (middle << _HALF) | (inner & _LOW)
                a[i], c[i] = upper_1 ^ b[i] ^ key_0, upper_0 ^ d[i] ^ key_1
                b[i], d[i] = lower_1, lower_0
            key_0 += _STEP_0
            key_1 += _STEP_1
        for i in range(_BLOCKS):
            words[4 * i], words[4 * i + 1] = a[i], b[i]
            words[4 * i + 2], words[4 * i + 3] = c[i], d[i]
        for i in range(size):
            x[i] = np.float32(drawn[i]) + np.float32(0.5)
            names[i] = np.float32(x[i]).view(np.uint32) >> _SHIFT
        for i in range(size):
            near[i] = offsets[names[i]] + slopes[names[i]] * x[i]
        for i in range(size):
            # Exact: grid is a power of two, and the sum is below 2^24 (or 2^53) steps.
            steps = values[i] * scale
            whole = np.rint(steps)
            number = near[i] + np.float32(steps - whole)
            step = (number + _SHIFTER) - _SHIFTER  # never -0.0
            made[i] = (whole + step) * grid
            # "not <=": NaN from the table is undecided too.
            open_[i] = not abs(number - step) <= sure
        for eight in range(-(-size // 8)):
            if open_by_eight[eight]:
                for i in range(8 * eight, min(8 * eight + 8, size)):
                    if open_[i]:
                        places[left], cells[left] = first + i, drawn[i]
                        left += 1
    return left
