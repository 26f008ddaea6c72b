"""Strict reader of one labelled point cloud in text: what is not as expected names its line."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError

COLUMNS = ("x", "y", "z", "nx", "ny", "nz", "label")


def read_cloud(
    path: str | Path, parts: Collection[int], fewest: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Coordinates and normals (6, N), labels (N,) of a file with one point a line.

    Lines hold the COLUMNS, apart by blanks; empty lines are passed over.
    parts: the labels that may occur. Raises InputError: a file that is missing, empty, no text or
    of fewer than `fewest` points; a line of other columns, with something that is no finite number
    or with a label outside parts; points that all coincide.
    """
    path = Path(path)
    numbers, rows = _rows(path)
    table = np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))
    if len(table) < fewest:
        raise InputError(
            f"{path}: expected at least {fewest} points, got {len(table)}; "
            "unpack the file again or leave it out"
        )
    labels = table[:, 6]
    strange = np.flatnonzero(~np.isin(labels, list(parts)))
    if strange.size:
        raise InputError(
            f"{path}, line {numbers[strange[0]]}: expected a label among "
            f"{', '.join(map(str, sorted(parts)))}, got {labels[strange[0]]:g}; "
            "the parts of one category have the benchmark's own numbers"
        )
    if (table[:, :3] == table[0, :3]).all():
        raise InputError(
            f"{path}: expected points of some extent, got {len(table)} times the same; "
            "leave the file out"
        )
    return np.ascontiguousarray(table[:, :6].T), labels.astype(np.uint8)


def _rows(path: Path) -> tuple[list[int], list[list[float]]]:
    """Line numbers from 1 and the values of the lines that are not empty."""
    try:
        text = path.read_bytes().decode("ascii")
    except OSError as error:
        raise InputError(
            f"{path}: expected a readable text file, got {error.strerror}; check the path"
        ) from None
    except UnicodeDecodeError as error:
        before = path.read_bytes()[: error.start]
        raise InputError(
            f"{path}, line {before.count(10) + 1}: expected plain text, got other bytes; "
            "unpack the file again"
        ) from None
    numbers, rows = [], []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != len(COLUMNS):
            raise InputError(
                f"{path}, line {number}: expected {len(COLUMNS)} columns, "
                f"{' '.join(COLUMNS)}, got {len(words)}; unpack the file again"
            )
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = [math.nan]
        # A sum is finite only if all its terms are, but for numbers no cloud holds.
        if not math.isfinite(sum(row)):
            raise InputError(
                f"{path}, line {number}: expected finite numbers, got {line.strip()[:60]!r}; "
                "unpack the file again"
            )
        numbers.append(number)
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: expected points, got an empty file; unpack the file again")
    return numbers, rows
