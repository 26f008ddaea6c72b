"""Label files read as the class of each pixel: by id, or by colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, Colour
from certiseg.datasets.images import read_colours, read_labels
from certiseg.errors import InputError

LARGEST_ID = 2**16 - 1


class Labels(Protocol):
    """How the label files of a data set are read."""

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Class ids (H, W), 255 = ignored. Raises InputError for what no class is given to."""
        ...


class Ids:
    """Label files of ids. ignore: ids that become 255 (255 itself always is ignored).

    label_map: raw id -> class (or 255); ids it does not name are errors. None: ids are classes.
    Raises InputError for ids or classes that cannot be.
    """

    def __init__(
        self,
        num_classes: int,
        ignore: Iterable[int] = (),
        label_map: Mapping[int, int] | None = None,
    ) -> None:
        mapping = {i: i for i in range(num_classes)} if label_map is None else label_map
        self._table = np.full(LARGEST_ID + 1, -1, dtype=np.int16)
        for raw, target in {**mapping, **dict.fromkeys((*ignore, IGNORE), IGNORE)}.items():
            if not 0 <= raw <= LARGEST_ID or not (0 <= target < num_classes or target == IGNORE):
                raise InputError(
                    f"expected label ids 0..{LARGEST_ID} mapped to 0..{num_classes - 1} or "
                    f"{IGNORE}, got {raw} -> {target}; correct the ignore list or the label map"
                )
            self._table[raw] = target

    def read(self, path: Path) -> NDArray[np.uint8]:
        raw = read_labels(path)
        labels = self._table[raw]
        outside = np.unique(raw[labels < 0])
        if outside.size:
            raise InputError(
                f"{path}: expected label ids {_ranges(np.flatnonzero(self._table >= 0))}, "
                f"got {', '.join(map(str, outside[:5]))}; map or ignore these ids"
            )
        return labels.astype(np.uint8)


class Colours:
    """Label files drawn in colours, each of which is looked up exactly.

    classes: colour -> class (or 255); of 16.7 million colours all others are errors.
    """

    def __init__(self, classes: Mapping[Colour, int]) -> None:
        assert classes, "no colour, no class"
        codes = np.array([_code(np.array(colour)) for colour in classes])
        order = np.argsort(codes)
        self._codes = codes[order]
        self._classes = np.array(list(classes.values()), dtype=np.uint8)[order]

    def read(self, path: Path) -> NDArray[np.uint8]:
        pixels = read_colours(path)
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
    """Sorted ids in words: 0..11, 30..33 and 255."""
    runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)
    words = [f"{run[0]}..{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    if len(words) > 6:
        words = [*words[:4], "...", words[-1]]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
