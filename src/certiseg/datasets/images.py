"""Strict readers of pictures and label maps: what is not exactly as expected is an error."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from certiseg.errors import InputError
from certiseg.files.reading import PICTURE, read_bounded

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_PIXELS = 89_478_485
"""Of a picture: Pillow warns above."""
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH = 24  # offset of the depth byte in a PNG's first chunk
_MODES = {1: "L", 3: "RGB"}
_DEEP = ("I;16", "I;16B", "I")  # 16-bit grey, by version of the decoder
_WORDS = {
    "1": "1-bit",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "palette",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "CMYK": "CMYK",
    "I;16": "16-bit grey",
    "I": "32-bit grey",
    "F": "floating-point grey",
}


def read_image(
    path: str | Path, channels: int = 3, *, grey_as_rgb: bool = False, upright: bool = False
) -> NDArray[np.float32]:
    """Read an 8-bit PNG or JPEG as float32 (channels, H, W) in [0, 1].

    Nothing is converted: a grey file for a 3-channel model, RGBA, palette, CMYK or 16-bit files
    are refused, because each silent conversion would change the input that is certified.

    Args:
        path: PNG or JPEG, of at most ``MOST_PIXELS`` pixels.
        channels: 3 for RGB, 1 for grey.
        grey_as_rgb: Read a grey file as three equal channels, as the benchmarks with a few grey
            photographs among thousands do.
        upright: Turn the picture as its EXIF orientation says; else the pixels stay as they are
            stored (data sets draw their labels on those).

    Returns:
        The pixels / 255.

    Raises:
        InputError: A file that is missing, empty, truncated or of another kind.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "red.png")
        >>> Image.new("RGB", (4, 2), (255, 0, 0)).save(path)
        >>> read_image(path)[:, 0, 0].tolist()
        [1.0, 0.0, 0.0]
    """
    assert channels in _MODES
    path = Path(path)
    picture, depth = _open(path)
    mode = _MODES[channels]
    if grey_as_rgb and mode == "RGB" and picture.mode == "L" and depth == 8:
        picture = picture.convert("RGB")
    if picture.mode != mode or depth != 8:
        got = _kind(picture.mode, depth)
        raise InputError(
            f"{path}: expected an 8-bit {_WORDS[mode]} PNG or JPEG ({channels} channel"
            f"{'s' if channels > 1 else ''}), got {got}; "
            f"{_remedy(mode, depth)}"
        )
    if upright:
        picture = ImageOps.exif_transpose(picture)
    pixels = np.asarray(picture, dtype=np.float32) / np.float32(255)
    if channels == 1:
        return pixels[None]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def read_labels(path: str | Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read a label map (H, W) of ids: a single-channel PNG. Of 8 bits, grey or palette indices
    (not the palette's colours), as uint8; of 16 bits grey as uint16.

    Raises InputError: missing, empty, truncated, or a picture that is no label map.
    """
    path = Path(path)
    picture, depth = _open(path)
    if picture.format == "PNG" and depth == 16 and picture.mode in _DEEP:
        return np.array(picture).astype(np.uint16)
    # A palette file holds indices at any depth; grey below 8 bits would be rescaled by the decoder.
    if picture.format != "PNG" or not (picture.mode == "P" or (picture.mode == "L" and depth == 8)):
        raise InputError(
            f"{path}: expected a single-channel 8-bit PNG of label ids, got "
            f"{_kind(picture.mode, depth)} {picture.format}; write the ids with "
            "Image.fromarray(labels.astype('uint8')).save(...)"
        )
    return np.array(picture, dtype=np.uint8)


def read_colours(path: str | Path) -> NDArray[np.uint8]:
    """Read a label map that is drawn in colours as uint8 (H, W, 3): an RGB or palette PNG.

    Raises InputError: missing, empty, truncated, or another kind of picture.
    """
    path = Path(path)
    picture, depth = _open(path)
    if picture.format != "PNG" or not (
        picture.mode == "P" or (picture.mode == "RGB" and depth == 8)
    ):
        raise InputError(
            f"{path}: expected an 8-bit RGB or palette PNG of labels drawn in colours, got "
            f"{_kind(picture.mode, depth)} {picture.format}; JPEG blurs colours, and ids need no "
            "colours"
        )
    return np.array(picture.convert("RGB"))


def stored_turned(path: str | Path) -> bool:
    """Whether the EXIF orientation of a readable picture would exchange its height and width."""
    with Image.open(io.BytesIO(read_bounded(path, PICTURE))) as picture:
        return picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)


def _open(path: Path) -> tuple[Image.Image, int]:
    """Decode the whole file. Returns the picture and its bits a channel."""
    try:
        data = read_bounded(path, PICTURE)
    except OSError as error:
        raise InputError(
            f"{path}: expected a readable PNG or JPEG file, got "
            f"{error.strerror or type(error).__name__}; check the path"
        ) from None
    if not data:
        raise InputError(
            f"{path}: expected a PNG or JPEG file, got an empty file (0 bytes); "
            "write or download it again"
        )
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        if picture.width * picture.height > MOST_PIXELS:
            raise Image.DecompressionBombError
    # Above a limit of its own Pillow warns, and at twice as many pixels it refuses.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"{path}: expected at most {MOST_PIXELS} pixels, got more; cut the picture into tiles"
        ) from None
    except (OSError, SyntaxError, ValueError):
        got = "a damaged PNG or JPEG" if data[:3] in (b"\x89PN", b"\xff\xd8\xff") else "neither"
        raise InputError(
            f"{path}: expected a PNG or JPEG file, got {got} ({len(data)} bytes); "
            "convert it or write it again"
        ) from None
    is_png = data.startswith(_PNG_MAGIC)
    try:
        picture.load()
        # The decoder stops caring once the pixels are there; a file without its end is cut short.
        if is_png and b"IEND" not in data:
            raise OSError("no end marker")
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error):
        raise InputError(
            f"{path}: expected a whole {picture.format} file, got a truncated or damaged one "
            f"({len(data)} bytes); write or download it again"
        ) from None
    return picture, data[_BIT_DEPTH] if is_png else 8


def _remedy(mode: str, depth: int) -> str:
    if depth == 16:
        # Pillow's convert would clip: everything above 255 becomes white.
        return "scale it to 8 bits yourself (values / 257), or pass a float array in Python"
    return f"convert it with Image.open(path).convert({mode!r}).save(...)"


def _kind(mode: str, depth: int) -> str:
    word = _WORDS.get(mode, mode)
    return word if depth == 8 or "-bit" in word else f"{depth}-bit {word}"
