"""Images of a volume: slices of it with labels or radii."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from certiseg.datasets.card import Colour
from certiseg.report.heat import heat
from certiseg.report.overlay import overlay
from certiseg.report.panel import PAPER, enlarged

MOST_SLICES = 6
"""Number of slices of a volume on a page and in a figure of a paper."""
_ONE_ROW = 3
_AXES = 3
_GAP = 6
_SIDE = 320
"""Approximate height in pixels to which slices are enlarged, by integer factors."""


def volume_overlay(volume: ArrayLike, labels: ArrayLike, palette: Sequence[Colour]) -> Image.Image:
    """Overlays of the three central slices, side by side.

    volume: (C, D, H, W) in [0, 1], of which the first channel is shown. labels: ints (D, H, W),
    abstentions white. The last axis (in NIfTI mostly feet to head) points up.
    """
    values, given = np.asarray(volume)[:1], np.asarray(labels)
    cuts = [overlay(_cut(values, axis), _cut(given, axis), palette) for axis in range(given.ndim)]
    return _row(cuts)


def volume_heat(radius: ArrayLike, largest: float, name: str = "l2 radius") -> Image.Image:
    """The slices of ``volume_overlay`` of a radius map (D, H, W), 0 at abstentions, above a colour
    bar."""
    values = np.asarray(radius, dtype=np.float64)
    cuts = [_cut(values, axis) for axis in range(values.ndim)]
    height = max(cut.shape[0] for cut in cuts)
    # Padded with 0, which is white.
    padded = [np.pad(cut, ((0, height - cut.shape[0]), (0, 2))) for cut in cuts]
    row = np.concatenate(padded, axis=1)
    factor = max(1, _SIDE // height)
    return heat(row.repeat(factor, axis=0).repeat(factor, axis=1), largest, name)


@dataclass(frozen=True)
class Slices:
    """Slices across the last axis of a volume as one image, in rows, with gaps between them.

    places: index of each slice. size: rows and columns of a slice. across: slices in a row. gap: in
    pixels.
    """

    places: tuple[int, ...]
    size: tuple[int, int]
    across: int
    gap: int

    @staticmethod
    def of(shape: Sequence[int]) -> Slices:
        """Up to ``MOST_SLICES`` slices of a volume (D, H, W), evenly spaced."""
        columns, rows, depth = shape
        number = min(MOST_SLICES, depth)
        places = tuple((2 * place + 1) * depth // (2 * number) for place in range(number))
        across = number if number <= _ONE_ROW else -(-number // 2)
        return Slices(places, (rows, columns), across, max(1, round(max(rows, columns) / 25)))

    def image(self, values: ArrayLike, fill: float) -> NDArray[Any]:
        """Values (..., D, H, W) of the slices as an image (..., rows, columns), the second axis
        upwards. fill: value of the gaps."""
        held = np.asarray(values)
        (rows, columns), lines = self.size, -(-len(self.places) // self.across)
        shape = (
            lines * (rows + self.gap) - self.gap,
            self.across * (columns + self.gap) - self.gap,
        )
        image = np.full((*held.shape[:-3], *shape), fill, dtype=held.dtype)
        for number, place in enumerate(self.places):
            line, column = divmod(number, self.across)
            top, left = line * (rows + self.gap), column * (columns + self.gap)
            shown = np.flip(np.swapaxes(held[..., place], -1, -2), axis=-2)
            image[..., top : top + rows, left : left + columns] = shown
        return image


def flat(values: NDArray[Any], size: Sequence[int], fill: float) -> NDArray[Any]:
    """Values (..., D, H, W) of a volume of this size as the image of its slices; those of an image
    or a cloud unchanged."""
    return Slices.of(size).image(values, fill) if len(size) == _AXES else values


def _cut(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """Central slice (..., rows, columns) along one of the last three axes, last axis upwards."""
    place = values.ndim - 3 + axis
    middle = values.take(values.shape[place] // 2, axis=place)
    return np.ascontiguousarray(np.flip(np.swapaxes(middle, -1, -2), axis=-2))


def _row(images: Sequence[Image.Image]) -> Image.Image:
    height = max(image.height for image in images)
    factor = max(1, _SIDE // height)
    large = [enlarged(image, factor) for image in images]
    width = sum(image.width for image in large) + _GAP * (len(large) - 1)
    figure = Image.new("RGB", (width, height * factor), PAPER)
    left = 0
    for image in large:
        figure.paste(image, (left, 0))
        left += image.width + _GAP
    return figure
