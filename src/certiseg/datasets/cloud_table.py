"""Point clouds as tables: one point a row, and what the columns are."""

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
"""What columns without names are, by their number."""
_COUNT = re.compile(r"\d{1,12}")
_NAME = re.compile(r"[^\W\d]\w*(?:[ .-]\w+)*")

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CloudTable:
    """A file's points.

    values: float64 (N, columns). names: of the columns, where the file states them. numbers: of
    the points, in the file's own count of ``unit``, for errors.
    """

    path: Path
    values: Array
    numbers: Sequence[int]
    names: tuple[str, ...] | None = None
    unit: str = "line"

    def where(self, row: int) -> str:
        """The file and the place of a point in it."""
        return f"{self.path}, {self.unit} {self.numbers[row]}"

    def columns(self, stated: Sequence[str] | None = None) -> tuple[str, ...]:
        """What each column is: as stated, by the names in the file, else as is customary for 3, 6
        or 7 columns.

        Raises InputError for other numbers of columns without names, which could be anything;
        names that contradict the file's, or that do not name x, y and z once each.
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
    """The names in a list such as "x,y,z,-,label". Raises InputError for another kind of text."""
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
    """The table of a text file, one point a line.

    Numbers stand apart by blanks or tabs, or by commas or semicolons where the first line has such,
    one of which may end a line. Before the points there may be a line that names the columns, with
    # or // before it, and one with the number of points. Empty lines are passed over.

    Args:
        path: The file, at most ``CLOUD`` bytes.
        remedy: What errors about its content advise.
        widths: How many columns there may be; by default any number from 3.

    Raises:
        InputError: A file that is missing, empty or no text; a line of other columns or with
            something that is no finite number; another number of points than the file states.
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
    if count is not None and count != len(rows):
        raise InputError(
            f"{path}: expected {count} points, as it says itself, got {len(rows)}; {remedy}"
        )
    return CloudTable(path, np.array(rows, dtype=np.float64), numbers, names)


def _header(line: str) -> tuple[str, ...] | None:
    """The names of columns in a line of nothing else."""
    plain = line.strip().lstrip("#/").strip()
    words = [word.strip(" \t\"'").lower() for word in _words(plain, _separator(plain))]
    named = len(words) >= len(PLACES) and all(map(_NAME.fullmatch, words))
    return customary_names(words) if named and not any(map(_is_number, words)) else None


def customary_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns in lower case, normals under the names they have here."""
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
    """Raise InputError for a first point of other columns than are named or expected."""
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
