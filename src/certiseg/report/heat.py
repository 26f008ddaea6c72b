"""A radius map as a picture: how far the label of each pixel or point is certified."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from certiseg.report.cloud import cloud_picture
from certiseg.report.overlay import WHITE
from certiseg.report.panel import INK, PAPER, RULE
from certiseg.rounding import down
from certiseg.votes import ABSTAIN

_STEPS = 255
"""Colours of points: labels up to 254 for a picture of a cloud."""
_WIDTH = 260
"""Least width in pixels: the words below the bar need it."""
# Nine stops of viridis (BSD, Matplotlib): even to the eye, and to colour-blind ones.
_STOPS = np.array(
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ],
    dtype=np.float64,
)  # fmt: skip


def heat(radius: ArrayLike, largest: float, name: str = "l2 radius") -> Image.Image:
    """The map over a colour bar. radius: floats (H, W), 0 where it abstains: white.

    largest: the radius of the last colour; larger ones have it too. name: of the radius. Small
    maps are enlarged by a whole factor, narrow ones stand on paper as wide as the words need.
    """
    values = np.asarray(radius, dtype=np.float64)
    colours = coloured(values / largest if largest > 0 else np.zeros_like(values))
    colours[values <= 0] = WHITE
    picture = Image.fromarray(colours)
    factor = max(1, min(8, _WIDTH // max(values.shape)))
    picture = picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )
    return _over_bar(picture, largest, name)


def cloud_heat(
    points: ArrayLike, radius: ArrayLike, largest: float, name: str = "l2 radius", size: int = 440
) -> Image.Image:
    """The map of a cloud over a colour bar, points lit as in ``cloud_picture``.

    points: (C, N); radius: floats (N,), 0 where it abstains: white with an outline. largest, name:
    as in ``heat``. size: width of the cloud's picture.
    """
    return _over_bar(cloud_by_radius(points, radius, largest, size), largest, name)


def cloud_by_radius(
    points: ArrayLike, radius: ArrayLike, largest: float, size: int = 440
) -> Image.Image:
    """The cloud alone, as ``cloud_heat`` shows it."""
    values = np.asarray(radius, dtype=np.float64)
    shares = np.clip(values / largest if largest > 0 else np.zeros_like(values), 0, 1)
    steps = np.where(values > 0, np.rint(shares * (_STEPS - 1)), ABSTAIN).astype(np.int64)
    ramp = [(r, g, b) for r, g, b in coloured(np.linspace(0, 1, _STEPS)).tolist()]
    return cloud_picture(points, steps, ramp, size=size)


def _over_bar(picture: Image.Image, largest: float, name: str) -> Image.Image:
    """The picture on paper, below it the colours from 0 to largest and what they are."""
    width, height = max(picture.width, _WIDTH), picture.height
    size = max(11, min(20, width // 22))
    figure = Image.new("RGB", (width, height + round(5.6 * size)), PAPER)
    figure.paste(picture, ((width - picture.width) // 2, 0))
    bar = coloured(np.linspace(0, 1, width - 2 * size)[None].repeat(size, axis=0))
    figure.paste(Image.fromarray(bar), (size, height + size))
    draw = ImageDraw.Draw(figure)
    draw.rectangle((size - 1, height + size - 1, width - size, height + 2 * size), outline=RULE)
    font = ImageFont.load_default(size=size)
    middle, line = width // 2, height + round(2.4 * size)
    draw.text((size, line), "0", INK, font)
    draw.text((middle, line), f"certified {name}", INK, font, anchor="ma")
    draw.text((width - size, line), down(largest), INK, font, anchor="ra")
    draw.text((middle, line + round(1.5 * size)), "white: abstains", INK, font, anchor="ma")
    return figure


def coloured(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Shares in [0, 1] as colours (..., 3)."""
    place = np.clip(shares, 0, 1) * (len(_STOPS) - 1)
    stops = np.arange(len(_STOPS))
    channels = [np.interp(place, stops, _STOPS[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
