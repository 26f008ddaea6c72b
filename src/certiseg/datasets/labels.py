"""Label files read as the class of each pixel: by id, as a binary mask, or by colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, Colour
from certiseg.datasets.label_file import read_colours, read_labels
from certiseg.errors import InputError

LARGEST_ID = 2**16 - 1
_FOREGROUND = (1, 255, 65535)


class Labels(Protocol):
    """Reader of the label files of a data set. mask: its name in records."""

    mask: ClassVar[str]

    def read(self, path: Path, *, upright: bool = False) -> NDArray[np.uint8]:
        """Class ids (H, W), 255 = ignored. upright: apply the EXIF orientation. Raises InputError
        for values without a class."""
        ...


class Ids:
    """Label files of ids. ignore: ids that become 255; 255 itself is ignored unless it is mapped.

    label_map: raw id -> class (or 255); other ids are errors; None: ids are classes. Raises
    InputError for invalid ids and classes.
    """

    mask: ClassVar[str] = "ids"

    def __init__(
        self,
        num_classes: int,
        ignore: Iterable[int] = (),
        label_map: Mapping[int, int] | None = None,
    ) -> None:
        mapping = {i: i for i in range(num_classes)} if label_map is None else label_map
        self._table = np.full(LARGEST_ID + 1, -1, dtype=np.int16)
        table = {IGNORE: IGNORE, **mapping, **dict.fromkeys(ignore, IGNORE)}
        for raw, target in table.items():
            if not 0 <= raw <= LARGEST_ID or not (0 <= target < num_classes or target == IGNORE):
                raise InputError(
                    f"expected label ids 0..{LARGEST_ID} mapped to 0..{num_classes - 1} or "
                    f"{IGNORE}, got {raw} -> {target}; correct the ignore list or the label map"
                )
            self._table[raw] = target

    def read(self, path: Path, *, upright: bool = False) -> NDArray[np.uint8]:
        raw = read_labels(path, upright=upright)
        labels = self._table[raw]
        outside = np.unique(raw[labels < 0])
        if outside.size:
            raise InputError(
                f"{path}: expected label ids {_ranges(np.flatnonzero(self._table >= 0))}, "
                f"got {', '.join(map(str, outside[:5]))}; map or ignore these ids"
            )
        return labels.astype(np.uint8)


class BinaryMasks:
    """Label files of two values: 0 is class 0, background, and 255, or 1, or 65535 in a file of 16
    bits, is class 1. All files of a set must have the same one. ignore: other values, which become
    255.

    Raises InputError unless there are two classes, and for values to ignore among these.
    """

    mask: ClassVar[str] = "binary"

    def __init__(self, num_classes: int, ignore: Iterable[int] = ()) -> None:
        if num_classes != 2:
            raise InputError(
                f"expected 2 classes with binary masks, got {num_classes}; write the class of each "
                "pixel as its id instead"
            )
        self._ignored = list(ignore)
        if taken := {0, *_FOREGROUND}.intersection(self._ignored):
            raise InputError(
                f"expected other values to ignore in binary masks, got {min(taken)}; it is "
                "background or foreground"
            )
        self._seen: dict[int, Path] = {}

    def read(self, path: Path, *, upright: bool = False) -> NDArray[np.uint8]:
        raw = read_labels(path, upright=upright, dark_first=True)
        ignored = np.isin(raw, self._ignored)
        values = np.unique(raw[(raw != 0) & ~ignored]).tolist()
        if any(value not in _FOREGROUND for value in values):
            raise InputError(
                f"{path}: expected a binary mask of 0 and 255 (or 0 and 1), got "
                f"{', '.join(map(str, values[:5]))} as well; threshold it: "
                f"Image.open(path).convert('L').point(lambda v: 255 * (v > 127)).save("
                f"'{path.stem}.png')"
            )
        for value in values:
            self._seen.setdefault(value, path)
        if len(self._seen) > 1:
            (one, first), (other, second) = list(self._seen.items())[:2]
            raise InputError(
                f"{path}: expected one value for the foreground of all masks, got {one} in "
                f"{first.name} and {other} in {second.name}; one of them may mean ignored, so "
                "write them alike"
            )
        return np.where(ignored, IGNORE, raw != 0).astype(np.uint8)


class Colours:
    """Label files in colours. classes: exact colour -> class (or 255); all other colours are

    errors.
    """

    mask: ClassVar[str] = "colours"

    def __init__(self, classes: Mapping[Colour, int]) -> None:
        assert classes, "no colour, no class"
        codes = np.array([_code(np.array(colour)) for colour in classes])
        order = np.argsort(codes)
        self._codes = codes[order]
        self._classes = np.array(list(classes.values()), dtype=np.uint8)[order]

    def read(self, path: Path, *, upright: bool = False) -> NDArray[np.uint8]:
        pixels = read_colours(path, upright=upright)
        codes = _code(pixels)
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        strange = np.argwhere(self._codes[place] != codes)
        if len(strange):
            row, column = strange[0]
            raise InputError(
                f"{path}: expected the {len(self._codes)} colours of the classes, got "
                f"{tuple(map(int, pixels[row, column]))} at row {row}, column {column} "
                f"({len(strange)} such pixels); name its class or ignore it"
            )
        return self._classes[place]


def _code(colours: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number for each colour (..., 3)."""
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    codes: NDArray[np.int64] = red << 16 | green << 8 | blue
    return codes


def _ranges(ids: NDArray[np.intp]) -> str:
    """Text for sorted ids, such as "0..11, 30..33 and 255"."""
    runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)
    words = [f"{run[0]}..{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    if len(words) > 6:
        words = [*words[:4], "...", words[-1]]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
