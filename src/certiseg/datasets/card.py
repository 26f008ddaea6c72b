"""What a data set is (Card), what one item holds (Sample), and the seam all data sets share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

IGNORE = 255
"""Label of pixels that count for nothing: void, unlabelled, outside the classes."""

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

KINDS = {"pictures": ("picture", "pixel"), "clouds": ("cloud", "point")}
"""What data are of, and what each input and each of its components is called."""


@dataclass(frozen=True)
class Card:
    """Names a data set and its classes; class `c` has name `classes[c]` and colour `palette[c]`.

    channels: of each input. parts: of point clouds, for each category its classes, the only labels
    its clouds may have; None for pictures.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    channels: int
    source: str
    licence: str
    parts: Mapping[str, tuple[int, ...]] | None = None

    def __post_init__(self) -> None:
        assert len(self.classes) == len(self.palette), "one colour a class"
        assert 0 < len(self.classes) < IGNORE, "label 255 is taken by ignore"

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def kind(self) -> str:
        """A key of KINDS."""
        return "pictures" if self.parts is None else "clouds"


@dataclass(frozen=True)
class Sample:
    """One input and its truth.

    x: float32, a picture (C, H, W) in [0, 1] or a point cloud (C, N) of coordinates (and normals).
    labels: uint8, (H, W) or (N,). category: of a cloud, a key of its card's parts.
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
    """What was left out of a data set, in the words of what left it out; None for nothing."""
    return getattr(samples, "note", None) or None


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
