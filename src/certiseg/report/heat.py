"""Radius maps of images and clouds as images with a colour bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from certiseg.report.cloud import cloud_picture
from certiseg.report.overlay import WHITE
from certiseg.report.panel import INK, PAPER, RULE, enlarged
from certiseg.rounding import down
from certiseg.votes import ABSTAIN

_STEPS = 255
"""Number of colours of points, which are drawn as labels up to 254."""
_WIDTH = 260
"""Smallest width in pixels, for the text below the bar."""
# Nine stops of viridis (BSD, Matplotlib): perceptually uniform and colour-blind safe.
_STOPS = np.array(
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ],
    dtype=np.float64,
)  # fmt: skip


def heat(radius: ArrayLike, largest: float, name: str = "l2 radius") -> Image.Image:
    """Draw a radius map above a colour bar.

    radius: floats (H, W); 0, an abstention, is white. largest: radius of the last colour. name: of
    the radius. Small maps are enlarged by an integer factor.
    """
    values = np.asarray(radius, dtype=np.float64)
    colours = coloured(values / largest if largest > 0 else np.zeros_like(values))
    colours[values <= 0] = WHITE
    factor = max(1, min(8, _WIDTH // max(values.shape)))
    return _over_bar(enlarged(Image.fromarray(colours), factor), largest, name)


def cloud_heat(
    points: ArrayLike, radius: ArrayLike, largest: float, name: str = "l2 radius", size: int = 440
) -> Image.Image:
    """Draw the radius map of a cloud above a colour bar, points as in ``cloud_picture``.

    points: (C, N). radius: floats (N,); 0, an abstention, is white with an outline. largest, name:
    as in ``heat``. size: width of the image.
    """
    return _over_bar(cloud_by_radius(points, radius, largest, size), largest, name)


def cloud_by_radius(
    points: ArrayLike, radius: ArrayLike, largest: float, size: int = 440
) -> Image.Image:
    """The image of ``cloud_heat`` without the colour bar."""
    values = np.asarray(radius, dtype=np.float64)
    shares = np.clip(values / largest if largest > 0 else np.zeros_like(values), 0, 1)
    steps = np.where(values > 0, np.rint(shares * (_STEPS - 1)), ABSTAIN).astype(np.int64)
    ramp = [(r, g, b) for r, g, b in coloured(np.linspace(0, 1, _STEPS)).tolist()]
    return cloud_picture(points, steps, ramp, size=size)


def _over_bar(image: Image.Image, largest: float, name: str) -> Image.Image:
    """The image above a colour bar from 0 to largest, with labels."""
    width, height = max(image.width, _WIDTH), image.height
    size = max(11, min(20, width // 22))
    figure = Image.new("RGB", (width, height + round(5.6 * size)), PAPER)
    figure.paste(image, ((width - image.width) // 2, 0))
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
    """Map shares in [0, 1] to viridis colours, uint8 (..., 3)."""
    place = np.clip(shares, 0, 1) * (len(_STOPS) - 1)
    stops = np.arange(len(_STOPS))
    channels = [np.interp(place, stops, _STOPS[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
