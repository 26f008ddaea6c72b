"""Votes from low-resolution logits in a single pass: upsampling, argmax and counting.

The loop of ``Decision``, to be compiled. It counts what the plain way counts, and leaves rows to it
where rounding might decide.

Factors are powers of two, so that the weights w >= 0 of the four neighbours of a pixel are exact
and sum to 1. PyTorch computes sum(w * v) in at most four rounded operations per term, in whatever
order, so that its error is at most 4.1 u sum(w * abs(v)), u = 2^-24, apart from underflow; 8 u are
allowed for. Hence PyTorch finds class c above class k if sum(w * (c - k)) exceeds
8 u sum(w * (abs(c) + abs(k))). This holds

- for all k at all pixels between four neighbours of which each has c as its highest logit, by more
  than 16 u times the size of it and of the second highest, s: where k lies below s, the left-hand
  side grows by more than the right-hand side;
- for all k at a pixel where sums in float64 are further apart than that, computed for the classes
  only that are not below another one in this way at all four neighbours.

Other rows are left open, and so are logits of 2^101 and more, infinite or NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ERROR = 2.0**-20
"""16 u."""
_UNDERFLOW = 2.0**-110
_BEYOND = np.float32(2.0**27)
"""Makes infinite, or NaN, what is 2^101 or more."""


def count_upsampled(
    logits: NDArray[np.float32],
    counts: NDArray[np.integer],
    rows: tuple[int, int],
    open_: NDArray[np.bool_],
) -> None:
    """Count the argmax of logits (B, C, h, w), upsampled bilinearly to the size of counts
    (C, H, W), in the rows of the low resolution from rows[0] up to rows[1].

    H / h, W / w: powers of two. Sets open_ (B, h) and counts nothing in rows of which a pixel is
    undecided.
    """
    draws, classes, height, width = logits.shape
    down, across = counts.shape[1] // height, counts.shape[2] // width
    begin, end = rows[0], min(rows[1], height)
    top, bottom = max(begin - 1, 0), min(end + 1, height)
    # Labels of low-resolution pixels; -1 - label where the second highest logit is close.
    tops = np.empty((bottom - top, width), np.int32)
    plane = np.empty((classes, width), np.float32)
    best, second = np.empty(width, np.float32), np.empty(width, np.float32)
    odd, label = np.empty(width, np.float32), np.empty(width, np.int32)
    pair, shared = np.empty(width, np.int32), np.empty(width + 1, np.int32)
    # Output columns lie between the low-resolution columns x - 1 and x.
    between = np.empty(counts.shape[2], np.uint32)
    for column in range(len(between)):
        between[column] = (column + across // 2) // across
    line_of_labels = np.empty(counts.shape[2], np.uint16)
    found = np.empty((down * (end - begin), counts.shape[2]), np.uint16)
    rivals, corners = np.empty(classes, np.uint16), np.empty((classes, 4), np.float64)
    for draw in range(draws):
        large = False
        for y in range(top, bottom):
            # One row of each class, contiguous.
            if logits.strides[1] < logits.strides[3]:
                for x in range(width):
                    for c in range(classes):
                        plane[c, x] = logits[draw, c, y, x]
            else:
                for c in range(classes):
                    for x in range(width):
                        plane[c, x] = logits[draw, c, y, x]
            for x in range(width):
                best[x], second[x], label[x] = plane[0, x], -np.inf, 0
                odd[x] = best[x] * _BEYOND
            for c in range(1, classes):
                row = plane[c]
                for x in range(width):
                    value = row[x]
                    odd[x] += value * _BEYOND
                    higher = value > best[x]
                    rest = best[x] if higher else value
                    second[x] = rest if rest > second[x] else second[x]
                    label[x] = c if higher else label[x]
                    best[x] = value if higher else best[x]
            for x in range(width):
                large |= not abs(odd[x]) < np.inf
                size = max(abs(best[x]), abs(second[x]))
                apart = np.float64(best[x]) - np.float64(second[x])
                clear = apart > _ERROR * size + _UNDERFLOW
                tops[y - top, x] = label[x] if clear else -1 - label[x]
        open_[draw, begin:end] = large
        if large:
            continue
        # Pixels between the low-resolution rows y and y + 1, and columns x - 1 and x.
        for y in range(begin - 1, end):
            above, below = max(y, 0), min(y + 1, height - 1)
            first = max(y * down + down // 2, begin * down)
            last = min(y * down + down // 2 + down, end * down)
            one, other = tops[above - top], tops[below - top]
            for x in range(width):
                pair[x] = one[x] if one[x] == other[x] else -1
            shared[0], shared[width] = pair[0], pair[width - 1]
            inner, before = shared[1:width], pair[: width - 1]
            after = pair[1:]
            for x in range(width - 1):
                inner[x] = before[x] if before[x] == after[x] else -1
            for column in range(len(between)):
                line_of_labels[column] = shared[between[column]]
            for line in range(first - begin * down, last - begin * down):
                found[line] = line_of_labels
            for x in range(width + 1):
                if shared[x] >= 0:
                    continue
                start = max(x * across - across // 2, 0)
                stop = min(x * across - across // 2 + across, width * across)
                left, right = max(x - 1, 0), min(x, width - 1)
                # Classes that may win: those not clearly below another one at all four corners.
                floor, size = -np.inf, 0.0
                for near in (one[left], one[right], other[left], other[right]):
                    c = near if near >= 0 else -1 - near
                    p, q = logits[draw, c, above, left], logits[draw, c, above, right]
                    r, s = logits[draw, c, below, left], logits[draw, c, below, right]
                    most = max(max(abs(p), abs(q)), max(abs(r), abs(s)))
                    floor = max(floor, min(min(p, q), min(r, s)) - 2.0 * _ERROR * most)
                floor -= _UNDERFLOW
                number = 0
                for c in range(classes):
                    p, q = logits[draw, c, above, left], logits[draw, c, above, right]
                    r, s = logits[draw, c, below, left], logits[draw, c, below, right]
                    if max(max(p, q), max(r, s)) >= floor:
                        rivals[number] = c
                        corners[number, 0], corners[number, 1] = p, q
                        corners[number, 2], corners[number, 3] = r, s
                        number += 1
                        size = max(size, max(max(abs(p), abs(q)), max(abs(r), abs(s))))
                for line in range(first, last):
                    v = (line + 0.5) / down - 0.5 - y
                    for column in range(start, stop):
                        u = (column + 0.5) / across + 0.5 - x
                        winner, highest, next_ = 0, -np.inf, -np.inf
                        for i in range(number):
                            upper = corners[i, 0] * (1.0 - u) + corners[i, 1] * u
                            lower = corners[i, 2] * (1.0 - u) + corners[i, 3] * u
                            value = upper * (1.0 - v) + lower * v
                            if value > highest:
                                winner, highest, next_ = i, value, highest
                            elif value > next_:
                                next_ = value
                        if not highest - next_ > _ERROR * size + _UNDERFLOW:
                            open_[draw, line // down] = True
                        found[line - begin * down, column] = rivals[winner]
        for y in range(begin, end):
            if not open_[draw, y]:
                for line in range(y * down, y * down + down):
                    labels = found[line - begin * down]
                    for x in range(len(labels)):
                        counts[labels[x], line, x] += 1
