"""Label files as they are stored: ids of one channel, or colours; PNG or TIFF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.datasets.image_file import ImageFile, decoded
from certiseg.errors import InputError

_DEEP = ("I;16", "I;16B", "I")
_LARGEST = 2**16 - 1
_LOSSY = ("jpeg", "tiff_jpeg", "webp")
_SCALED = {2: 85, 4: 17}
"""Factor by which decoding multiplies grey values of few bits."""


def read_labels(
    path: str | Path, *, upright: bool = False, dark_first: bool = False
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read a label map (H, W) of ids, as uint8, or as uint16 where a file has 16 bits or more.

    Ids are grey values, 0 and 1 of a 1-bit file, and the indices of a palette (not its colours).
    RGB files must have the same id in all channels, and alpha must be opaque.

    Args:
        path: PNG, or TIFF compressed without loss.
        upright: Turn the labels as their own EXIF orientation says.
        dark_first: Refuse a palette whose index 0 is lighter than index 1: a mask drawn the other
            way round.

    Raises:
        InputError: For a file that is missing, empty or truncated, and for an image that is not a
            label map.
    """
    path = Path(path)
    file = _lossless(path)
    pixels = _opaque(path, file.upright if upright else file.pixels)
    if pixels.mode in _DEEP:
        deep = np.asarray(pixels)
        if deep.min() < 0 or deep.max() > _LARGEST:
            raise InputError(
                f"{path}: expected label ids 0..{_LARGEST}, got {deep.min()} to {deep.max()}; "
                "write smaller ids"
            )
        return deep.astype(np.uint16)
    if pixels.mode == "RGB" and file.depth == 8:
        channels = np.asarray(pixels)
        if (channels == channels[..., :1]).all():
            return channels[..., 0].copy()
        raise InputError(
            f"{path}: expected label ids, got an RGB file of colours; describe which colour is "
            "which class in a .yaml file (colours, docs/datasets.md)"
        )
    if pixels.mode == "1" or pixels.mode == "P" or (pixels.mode == "L" and file.depth == 8):
        if dark_first and pixels.mode == "P" and _light_first(pixels):
            raise InputError(
                f"{path}: expected a binary mask whose palette begins with its background, got a "
                "lighter colour for 0 than for 1; write it as grey: "
                f"Image.open(path).convert('L').save('{path.stem}.png')"
            )
        return np.asarray(pixels).astype(np.uint8)
    step = _SCALED.get(file.depth) if pixels.mode == "L" else None
    values = "np.array(Image.open(path))" + (f" // {step}" if step else ".astype('uint16')")
    raise InputError(
        f"{path}: expected a single-channel 8-bit PNG of label ids, got {file.kind} {file.format}; "
        f"write the ids with Image.fromarray({values}).save('{path.stem}.png')"
    )


def read_colours(path: str | Path, *, upright: bool = False) -> NDArray[np.uint8]:
    """Read a label map in colours as uint8 (H, W, 3): RGB, opaque RGBA or palette.

    Raises InputError for a file that is missing, empty, truncated or of another kind.
    """
    path = Path(path)
    file = _lossless(path)
    pixels = _opaque(path, file.upright if upright else file.pixels)
    if pixels.mode != "P" and not (pixels.mode == "RGB" and file.depth == 8):
        raise InputError(
            f"{path}: expected an 8-bit RGB or palette PNG of labels drawn in colours, got "
            f"{file.kind} {file.format}; leave out colours if the files hold ids"
        )
    return np.array(pixels.convert("RGB"))


def _lossless(path: Path) -> ImageFile:
    file = decoded(path)
    how = file.pixels.info.get("compression", "") if file.format == "TIFF" else file.format.lower()
    if how in _LOSSY:
        raise InputError(
            f"{path}: expected a PNG of labels, got {how.upper()}, whose compression changes "
            "values; export the labels again as PNG"
        )
    return file


def _opaque(path: Path, pixels: Image.Image) -> Image.Image:
    """Without an opaque alpha channel. Raises InputError for other alpha channels."""
    if pixels.mode not in ("LA", "RGBA"):
        return pixels
    *bands, alpha = pixels.split()
    if alpha.getextrema()[0] != 255:
        raise InputError(
            f"{path}: expected labels without transparency, got {pixels.mode} that is not opaque; "
            "write the channel that holds the ids: "
            f"Image.open(path).getchannel(0).save('{path.stem}.png')"
        )
    return Image.merge("RGB", bands) if len(bands) == 3 else bands[0]


def _light_first(pixels: Image.Image) -> bool:
    """Whether the palette's first colour is lighter than its second."""
    colours = pixels.getpalette() or []
    return len(colours) >= 6 and sum(colours[:3]) > sum(colours[3:6])
