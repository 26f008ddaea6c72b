"""Point clouds as tables of one point per row, with named columns."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError, refusing
from certiseg.files.reading import CLOUD, read_bounded

COLUMNS = ("x", "y", "z", "nx", "ny", "nz", "label")
PLACES, NORMALS, LABEL = COLUMNS[:3], COLUMNS[3:6], COLUMNS[6]
_CUSTOMARY = {3: COLUMNS[:3], 6: COLUMNS[:6], 7: COLUMNS}
"""Customary columns, by their number."""
_COUNT = re.compile(r"\d{1,12}")
_NAME = re.compile(r"[^\W\d]\w*(?:[ .-]\w+)*")

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CloudTable:
    """A file's points.

    values: float64 (N, columns). names: column names stated by the file, or None. numbers: numbers
    of the points in the file, counted in ``unit``, for errors.
    """

    path: Path
    values: Array
    numbers: Sequence[int]
    names: tuple[str, ...] | None = None
    unit: str = "line"

    def where(self, row: int) -> str:
        """The file and the position of a point in it, for errors."""
        return f"{self.path}, {self.unit} {self.numbers[row]}"

    def columns(self, stated: Sequence[str] | None = None) -> tuple[str, ...]:
        """Name of each column: as stated by the caller, by the file, or by custom for 3, 6 or 7
        columns. Raises InputError for other numbers of columns without names, for names that
        contradict the file's, and unless x, y and z are named once each.
        """
        width = self.values.shape[1]
        if stated is not None:
            self._check_stated(stated)
            names = tuple(stated)
        elif self.names is not None:
            names = self.names
        elif width in _CUSTOMARY:
            names = _CUSTOMARY[width]
        else:
            example = ",".join((*PLACES, *("-" for _ in range(width - 3))))
            raise InputError(
                f"{self.path}: expected 3, 6 or 7 columns (x y z, then nx ny nz, label) or a "
                f"header that names them, got {width} without; say what they are, - for what is "
                f"not used (--columns {example})"
            )
        for name in COLUMNS:
            if names.count(name) > 1 or (name in PLACES and name not in names):
                raise InputError(
                    f"{self.path}: expected the columns x, y and z and no such column twice, got "
                    f"{' '.join(names)[:120]}; name all columns in order, - for what is not used "
                    "(--columns x,y,z,-)"
                )
        return names

    def _check_stated(self, stated: Sequence[str]) -> None:
        width = self.values.shape[1]
        if len(stated) != width:
            raise InputError(
                f"{self.path}: expected a name for each of its {width} columns, got --columns "
                f"{','.join(stated)}; put - for what is not used"
            )
        for place, (own, said) in enumerate(zip(self.names or stated, stated, strict=True), 1):
            if own != said and own in COLUMNS and said != "-":
                raise InputError(
                    f"{self.path}: expected column {place} as the file names it, {own}, got {said} "
                    "in --columns; correct it, or leave --columns out"
                )


def stated_columns(text: str | None) -> tuple[str, ...] | None:
    """Column names in a list such as "x,y,z,-,label". Raises InputError for other text."""
    if text is None:
        return None
    names = tuple(name.strip().lower() for name in text.split(","))
    strange = [name for name in names if name != "-" and not _NAME.fullmatch(name)]
    if strange or any(name not in names for name in PLACES):
        raise InputError(
            f"expected --columns as the names of all columns in order, x, y and z among them, got "
            f"{text!r:.60}; such as x,y,z,-,label, with - for what is not used"
        )
    return names


def read_text(path: Path, remedy: str, widths: Collection[int] | None = None) -> CloudTable:
    """Read a text file with one point per line.

    Numbers are separated by blanks or tabs, or by commas or semicolons if the first line has them;
    a line may end with one. The points may follow a line of column names, with # or // before it,
    and a line with their number. Empty lines are skipped.

    Args:
        path: The file, at most ``CLOUD`` bytes.
        remedy: Remedy in errors about its content.
        widths: Allowed numbers of columns; default: any from 3.

    Raises:
        InputError: For a file that is missing, empty or not text, a line with another number of
            columns or with values that are not finite numbers, and a wrong stated number of points.
    """
    numbers: list[int] = []
    rows: list[list[float]] = []
    names: tuple[str, ...] | None = None
    count: int | None = None
    separator: str | None = None
    width = 0
    for number, line in enumerate(_text(path, remedy).split("\n"), 1):
        if not line.strip():
            continue
        if not rows:
            if count is None and _COUNT.fullmatch(line.strip()):
                count = int(line)
                continue
            if names is None and (names := _header(line)) is not None:
                width = len(names)
                continue
            separator = _separator(line)
        words = _words(line, separator)
        if not rows:
            _check_width(path, number, len(words), width, widths, remedy)
            width = len(words)
        elif len(words) != width:
            raise InputError(
                f"{path}, line {number}: expected {width} columns as in line {numbers[0]}, got "
                f"{len(words)}; {remedy}"
            )
        try:
            # Python also reads 1_000 as a number.
            row = [math.nan] if "_" in line else [float(word) for word in words]
        except ValueError:
            row = [math.nan]
        # The sum is finite if all terms are, unless it overflows.
        if not math.isfinite(sum(row)):
            raise InputError(
                f"{path}, line {number}: expected finite numbers, got {line.strip()[:60]!r}; "
                f"{remedy}"
            )
        numbers.append(number)
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: expected points, got an empty file; {remedy}")
    if count is not None and count != len(rows):
        raise InputError(
            f"{path}: expected {count} points, as it says itself, got {len(rows)}; {remedy}"
        )
    return CloudTable(path, np.array(rows, dtype=np.float64), numbers, names)


def _header(line: str) -> tuple[str, ...] | None:
    """Column names, if the line consists of nothing else."""
    plain = line.strip().lstrip("#/").strip()
    words = [word.strip(" \t\"'").lower() for word in _words(plain, _separator(plain))]
    named = len(words) >= len(PLACES) and all(map(_NAME.fullmatch, words))
    return customary_names(words) if named and not any(map(_is_number, words)) else None


def customary_names(names: Sequence[str]) -> tuple[str, ...]:
    """Column names in lower case, with this package's names for normals."""
    normals = {
        f"{word}{mark}{axis}": f"n{axis}"
        for word in ("normal", "n")
        for mark in ("", "_")
        for axis in "xyz"
    }
    return tuple(normals.get(name.lower(), name.lower()) for name in names)


def _separator(line: str) -> str | None:
    return next((mark for mark in ";," if mark in line), None)


def _words(line: str, separator: str | None) -> list[str]:
    words = line.split(separator)
    return words[:-1] if len(words) > 1 and not words[-1].strip() else words


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _check_width(
    path: Path, number: int, got: int, named: int, widths: Collection[int] | None, remedy: str
) -> None:
    """Raise InputError if the first point has another number of columns than named or expected."""
    if named and got != named:
        expected = f"{named} columns as the header names them"
    elif widths is not None and got not in widths:
        several = " or ".join(map(str, sorted(widths)))
        expected = f"{several} columns, {' '.join(COLUMNS[: max(widths)])}"
    elif got < len(PLACES):
        expected = "3 columns, x y z, or more"
    else:
        return
    raise InputError(f"{path}, line {number}: expected {expected}, got {got}; {remedy}")


def _text(path: Path, remedy: str) -> str:
    wanted = f"{path}: expected a readable text file"
    with refusing(OSError, expected=wanted, remedy="check the path"):
        content = read_bounded(path, CLOUD)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {content[: error.start].count(10) + 1}: expected plain text, got other "
            f"bytes; {remedy}"
        ) from None
