"""Card (what a data set is), Sample (one item) and Samples, the protocol of all data sets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError

IGNORE = 255
"""Label of pixels that are not evaluated: void, unlabelled, outside the classes."""

Colour = tuple[int, int, int]

PART_COLOURS: tuple[Colour, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
)
"""Colours of the first, second, ... part of a category, told apart by colour-blind readers too.

Source: Okabe, Ito 2008 (Color Universal Design).
"""

KINDS = {
    "images": ("image", "pixel"),
    "clouds": ("cloud", "point"),
    "volumes": ("volume", "voxel"),
}
"""Kinds of data, with the words for an input and for a component."""


@dataclass(frozen=True)
class Card:
    """A data set and its classes: class `c` has name `classes[c]` and colour `palette[c]`.

    Args:
        name: Name in reports.
        classes: Names in label order, at most 254.
        palette: A colour for each class, values 0 to 255.
        channels: Number of channels of each input.
        source: Authors, and origin of names and colours.
        licence: Terms of use.
        parts: Of point clouds, for each category its classes, the only labels its clouds may have;
            None for others.
        inputs: Kind of the inputs, a key of KINDS; default: clouds with parts, images without.

    Example:
        >>> Card("yard", ("grass", "path"), ((0, 128, 0), (128, 128, 128)), 3, "ours", "CC0").kind
        'images'
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    channels: int
    source: str
    licence: str
    parts: Mapping[str, tuple[int, ...]] | None = None
    inputs: str | None = None

    def __post_init__(self) -> None:
        assert len(self.classes) == len(self.palette), "one colour a class"
        if not 0 < len(self.classes) < IGNORE:
            raise InputError(
                f"expected 1 to {IGNORE - 1} classes of labels, got {len(self.classes)}; label "
                f"{IGNORE} means ignored"
            )
        check_names(self.classes, self.name, "rename one")

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def kind(self) -> str:
        """A key of KINDS."""
        return self.inputs or ("images" if self.parts is None else "clouds")


@dataclass(frozen=True)
class Sample:
    """One input and its labels.

    Args:
        name: Unique in its data set; used in file names.
        x: float32, an image (C, H, W) or a volume (C, D, H, W) in [0, 1], or a point cloud (C, N)
            of coordinates (and normals).
        labels: uint8, (H, W), (D, H, W) or (N,), 255 = ignored.
        category: Category of a cloud, a key of the card's parts.
    """

    name: str
    x: NDArray[np.float32]
    labels: NDArray[np.uint8]
    category: str | None = None


class Samples(Protocol):
    """An indexed set of samples, read on demand."""

    @property
    def card(self) -> Card: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def note_of(samples: Samples) -> str | None:
    """One sentence on the samples left out of a data set; None if there are none."""
    return getattr(samples, "note", None) or None


def skipped_of(samples: Samples) -> tuple[str, ...]:
    """Files left out, one "FILE: reason" each."""
    return getattr(samples, "skipped", ())


def remarks_of(samples: object) -> list[str]:
    """Remarks on the files of a data set read so far, in a few lines."""
    remarks: Mapping[str, Mapping[str, str]] = getattr(samples, "remarks", {})
    return in_few_lines(remarks)


def in_few_lines(remarks: Mapping[str, Mapping[str, str]]) -> list[str]:
    """One line for each kind of remark, the first file standing for all: there may be thousands.

    remarks: of each file, by kind.
    """
    kinds: dict[str, list[str]] = {}
    for file, own in remarks.items():
        for kind, text in own.items():
            kinds.setdefault(kind, []).append(f"{file}: {text}")
    return [
        first if not others else f"{first} (and {len(others)} more)"
        for first, *others in kinds.values()
    ]


def reading_of(samples: object) -> dict[str, Any] | None:
    """Options by which the files of a data set are read, as JSON values; None for the defaults."""
    chosen: dict[str, Any] | None = getattr(samples, "chosen", None)
    return chosen


def check_names(classes: Sequence[str], whose: str, remedy: str) -> None:
    """Raise InputError for two classes of one name, since figures are stored by name."""
    twice = [name for name, times in Counter(classes).items() if times > 1]
    if twice:
        raise InputError(f"{whose}: expected each class once, got {twice[0]!r} twice; {remedy}")


def customary_palette(num_classes: int) -> tuple[Colour, ...]:
    """The Pascal VOC colours (bit-interleaved class index), for data without its own palette.

    Entry 0 is black; all entries up to 255 differ. Source: VOC development kit, VOClabelcolormap.
    """
    colours = []
    for index in range(num_classes):
        rgb, bits = [0, 0, 0], index
        for shift in range(7, -1, -1):
            for channel in range(3):
                rgb[channel] |= (bits >> channel & 1) << shift
            bits >>= 3
        colours.append((rgb[0], rgb[1], rgb[2]))
    return tuple(colours)


def class_list(name: str) -> tuple[tuple[str, ...], tuple[Colour, ...]]:
    """Class names and their colours, in label order, from the JSON file in classes/."""
    content = json.loads(
        (Path(__file__).parent / "classes" / f"{name}.json").read_text(encoding="utf-8")
    )
    return tuple(content), tuple((red, green, blue) for red, green, blue in content.values())


def check_split(split: str, splits: Iterable[str], name: str) -> None:
    """Raise InputError for a split that the data set does not have."""
    if split not in splits:
        raise InputError(
            f"expected a split of {name} among {', '.join(splits)}, got {split!r}; pick one"
        )


def check_at_least(**given: tuple[int, int]) -> None:
    """Raise InputError for a value below its least. given: name=(value, least)."""
    for name, (value, least) in given.items():
        if value < least:
            raise InputError(f"expected {name} of at least {least}, got {value}; raise it")
