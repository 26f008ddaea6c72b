"""Images side by side with captions, and a legend below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from certiseg.datasets.card import Colour
from certiseg.report.overlay import WHITE

INK: Colour = (25, 25, 30)
FAINT: Colour = (105, 105, 112)
PAPER: Colour = (246, 246, 248)
RULE: Colour = (150, 150, 158)

_TILE_WIDTH = 440
"""Approximate width of an image, resized by integer factors so that colours are unchanged."""

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


@dataclass(frozen=True)
class Tile:
    """An image with its title and a note."""

    image: Image.Image
    title: str
    note: str = ""


def panel(
    tiles: Sequence[Tile],
    classes: Sequence[str],
    palette: Sequence[Colour],
    heading: str = "",
    columns: int | None = None,
) -> Image.Image:
    """Draw tiles of equal size, with a legend of all classes and abstention.

    Images are enlarged or reduced by an integer factor (nearest neighbour). heading: line at the
    top. columns: tiles in a row; None for one row.
    """
    assert tiles, "a panel shows at least one image"
    images = [_fit(tile.image.convert("RGB")) for tile in tiles]
    columns = columns or len(tiles)
    width, height = images[0].size
    size = max(16, min(24, width // 21))
    gap, line = size, round(size * 1.35)
    inner = columns * width + (columns - 1) * gap
    strip = legend(classes, palette, width=inner, size=size)
    top = gap + (round(1.5 * line) if heading else 0)
    noted = any(tile.note for tile in tiles)
    captions = round(line * (2.25 if noted else 1.25))
    row = captions + height + gap
    bottom = top + -(-len(tiles) // columns) * row
    figure = Image.new("RGB", (inner + 2 * gap, bottom + strip.height + gap), PAPER)
    draw = ImageDraw.Draw(figure)
    if heading:
        draw.text((gap, gap), heading, INK, _fitting(heading, inner, round(size * 1.15)))
    for index, (tile, image) in enumerate(zip(tiles, images, strict=True)):
        left, above = gap + index % columns * (width + gap), top + index // columns * row
        draw.text((left, above), tile.title, INK, _fitting(tile.title, width, size))
        if tile.note:
            draw.text((left, above + line), tile.note, FAINT, _fitting(tile.note, width, size - 2))
        # A frame, since abstentions at the border are white.
        corner = (left - 1, above + captions - 1, left + width, above + captions + height)
        draw.rectangle(corner, outline=RULE)
        figure.paste(image, (left, above + captions))
    figure.paste(strip, (gap, bottom))
    return figure


def legend(
    classes: Sequence[str],
    palette: Sequence[Colour],
    width: int | None = None,
    size: int = 18,
    abstain: bool = True,
) -> Image.Image:
    """Draw swatches with class names, wrapped at width; abstention is white."""
    entries = list(zip(classes, palette, strict=True))
    if abstain:
        entries.append(("abstains", WHITE))
    font = _font(size)
    swatch, space, line = round(size * 1.1), round(size * 0.45), round(size * 1.7)
    placed: list[tuple[int, int, str, Colour]] = []
    x = y = widest = 0
    for name, colour in entries:
        needed = swatch + space + round(font.getlength(name))
        if width is not None and x and x + needed > width:
            x, y = 0, y + line
        placed.append((x, y, name, colour))
        widest = max(widest, x + needed)
        x += needed + round(size * 1.4)
    strip = Image.new("RGB", (max(width or 0, widest) + 1, y + line), PAPER)
    draw = ImageDraw.Draw(strip)
    for x, y, name, colour in placed:
        middle = y + line // 2
        box = (x, middle - swatch // 2, x + swatch, middle + swatch // 2)
        draw.rectangle(box, fill=colour, outline=RULE)
        draw.text((x + swatch + space, middle), name, INK, font, anchor="lm")
    return strip


def _fit(image: Image.Image) -> Image.Image:
    width, height = image.size
    factor = _TILE_WIDTH // width
    if factor >= 2:
        return enlarged(image, factor)
    step = max(1, round(width / _TILE_WIDTH))
    return image.resize((width // step, height // step), Image.Resampling.NEAREST)


def enlarged(image: Image.Image, factor: int) -> Image.Image:
    """The image enlarged by an integer factor, nearest neighbour."""
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _font(size: int) -> Font:
    return ImageFont.load_default(size=size)


def _fitting(text: str, width: int, size: int) -> Font:
    """The largest font in [10, size] in which the text fits the width."""
    while size > 10 and _font(size).getlength(text) > width:
        size -= 1
    return _font(size)
