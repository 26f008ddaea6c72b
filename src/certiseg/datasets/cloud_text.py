"""Strict reader of point clouds in text: what is not as expected names its line."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError
from certiseg.reading import CLOUD, read_bounded

COLUMNS = ("x", "y", "z", "nx", "ny", "nz", "label")
_BENCHMARK = "unpack the file again"

Array = NDArray[np.float64]


def read_labelled(
    path: str | Path, parts: Collection[int], fewest: int
) -> tuple[Array, NDArray[np.uint8]]:
    """Coordinates and normals (6, N), labels (N,) of a file of the benchmark.

    parts: the labels that may occur. Raises InputError as read_table and check_points do, and for a
    label outside parts.
    """
    path = Path(path)
    numbers, table = read_table(path, (len(COLUMNS),), _BENCHMARK)
    check_points(path, table[:, :3], fewest, f"{_BENCHMARK} or leave it out")
    labels = table[:, 6]
    strange = np.flatnonzero(~np.isin(labels, list(parts)))
    if strange.size:
        raise InputError(
            f"{path}, line {numbers[strange[0]]}: expected a label among "
            f"{', '.join(map(str, sorted(parts)))}, got {labels[strange[0]]:g}; "
            "the parts of one category have the benchmark's own numbers"
        )
    return np.ascontiguousarray(table[:, :6].T), labels.astype(np.uint8)


def read_table(path: Path, widths: Collection[int], remedy: str) -> tuple[list[int], Array]:
    """Line numbers from 1 and values (N, columns) of a file with one point a line.

    Lines hold the first of the COLUMNS, as many as one of widths and all the same number, apart by
    blanks, or by commas where the first line has one; empty lines are passed over.
    remedy: what errors advise. Raises InputError: a file that is missing, empty or no text; a line
    of other columns or with something that is no finite number.
    """
    numbers: list[int] = []
    rows: list[list[float]] = []
    separator, expected = None, set(widths)
    for number, line in enumerate(_text(path, remedy).split("\n"), 1):
        if not line.strip():
            continue
        if not rows:
            separator = "," if "," in line else None
        words = line.split(separator)
        if len(words) not in expected:
            raise InputError(
                f"{path}, line {number}: expected {_columns(expected)}, got {len(words)}; {remedy}"
            )
        expected = {len(words)}
        try:
            # Python's own 1_000 is no number of a cloud.
            row = [math.nan] if "_" in line else [float(word) for word in words]
        except ValueError:
            row = [math.nan]
        # A sum is finite only if all its terms are, but for numbers no cloud holds.
        if not math.isfinite(sum(row)):
            raise InputError(
                f"{path}, line {number}: expected finite numbers, got {line.strip()[:60]!r}; "
                f"{remedy}"
            )
        numbers.append(number)
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: expected points, got an empty file; {remedy}")
    return numbers, np.array(rows, dtype=np.float64)


def check_points(path: Path, places: Array, fewest: int, remedy: str) -> None:
    """Raise InputError for fewer than `fewest` points (N, 3), or points that all coincide."""
    if len(places) < fewest:
        raise InputError(f"{path}: expected at least {fewest} points, got {len(places)}; {remedy}")
    if (places == places[0]).all():
        raise InputError(
            f"{path}: expected points of some extent, got {len(places)} times the same; "
            "leave the file out"
        )


def _text(path: Path, remedy: str) -> str:
    try:
        content = read_bounded(path, CLOUD)
    except OSError as error:
        raise InputError(
            f"{path}: expected a readable text file, got {error.strerror}; check the path"
        ) from None
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {content[: error.start].count(10) + 1}: expected plain text, got other "
            f"bytes; {remedy}"
        ) from None


def _columns(widths: Collection[int]) -> str:
    """How many columns are expected, and which."""
    if len(widths) == 1:
        (width,) = widths
        return f"{width} columns, {' '.join(COLUMNS[:width])}"
    *others, last = sorted(widths)
    names = " ".join(COLUMNS[: others[0]]), " ".join(COLUMNS[others[0] : 6])
    return f"{', '.join(map(str, others))} or {last} columns ({names[0]}, then {names[1]}, label)"
