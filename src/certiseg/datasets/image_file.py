"""Decode one image file, within limits: PNG, JPEG, TIFF or WebP, of a single frame."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from PIL import ExifTags, Image

from certiseg.errors import InputError
from certiseg.files.reading import PICTURE, read_bounded

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
MOST_PIXELS = 89_478_485
"""Largest number of pixels of an image; Pillow warns above."""
_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
_MAGIC = (b"\x89PN", b"\xff\xd8\xff", b"II*", b"MM\0", b"RIF")
_BIT_DEPTH = 24  # offset of the depth byte in a PNG's first chunk
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error),
    # Raised for a TIFF with damaged tags.
    *(LookupError, TypeError, AttributeError, ArithmeticError, UserWarning),
)
_ONE = Lock()
_BITS, _PHOTOMETRIC = 258, 262
"""Tags of TIFF: bits a channel, and whether 0 is white."""
_ORIENTATION = ExifTags.Base.Orientation
_TURN = Image.Transpose
_UPRIGHT = {
    2: _TURN.FLIP_LEFT_RIGHT,
    3: _TURN.ROTATE_180,
    4: _TURN.FLIP_TOP_BOTTOM,
    5: _TURN.TRANSPOSE,
    6: _TURN.ROTATE_270,
    7: _TURN.TRANSVERSE,
    8: _TURN.ROTATE_90,
}
"""Transpositions that make pixels stored in an orientation upright."""
_STORED = {**_UPRIGHT, 6: _TURN.ROTATE_90, 8: _TURN.ROTATE_270}
"""Their inverses."""
_WORDS = {
    "1": "1-bit",
    "L": "grey",
    "LA": "grey with alpha",
    "P": "palette",
    "PA": "palette with alpha",
    "I;16": "16-bit grey",
    "I;16B": "16-bit grey",
    "I": "32-bit grey",
    "F": "floating-point grey",
}


@dataclass(frozen=True, eq=False)
class ImageFile:
    """A decoded file. pixels: as they are stored. depth: bits a channel. orientation: 1 to 8, as
    EXIF numbers them; 1 is upright."""

    pixels: Image.Image
    format: str
    depth: int
    orientation: int

    @property
    def upright(self) -> Image.Image:
        """The pixels, rotated and mirrored according to the orientation."""
        turn = _UPRIGHT.get(self.orientation)
        return self.pixels if turn is None else self.pixels.transpose(turn)

    @property
    def kind(self) -> str:
        """A description such as "RGBA" or "16-bit grey"."""
        mode = self.pixels.mode
        word = _WORDS.get(mode, mode)
        plain = self.depth == 8 or "-bit" in word or mode in ("P", "F")
        return word if plain else f"{self.depth}-bit {word}"


def decoded(path: Path) -> ImageFile:
    """Read and decode the whole file.

    Raises:
        InputError: For a file that is missing, empty, damaged, of another format, of more than
            ``MOST_PIXELS`` pixels or of several frames, and for a TIFF whose zero is white.
    """
    try:
        data = read_bounded(path, PICTURE)
    except OSError as error:
        raise InputError(
            f"{path}: expected a readable PNG, JPEG, TIFF or WebP file, got "
            f"{error.strerror or type(error).__name__}; check the path"
        ) from None
    found = "a PNG, JPEG, TIFF or WebP file"
    if not data:
        raise InputError(
            f"{path}: expected {found}, got an empty file (0 bytes); write or download it again"
        )
    with _strict(data):
        try:
            image: Image.Image = Image.open(io.BytesIO(data), formats=_FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
        # Pillow has its own limit: it warns above it, and refuses at twice as many pixels.
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise InputError(
                f"{path}: expected at most {MOST_PIXELS} pixels, got more; cut the image into tiles"
            ) from None
        except _DAMAGED:
            got = "a damaged one" if data[:3] in _MAGIC else "another"
            raise InputError(
                f"{path}: expected {found}, got {got} ({len(data)} bytes); "
                "convert it or write it again"
            ) from None
        # MPO is a JPEG followed by a preview or a depth map, which JPEG readers ignore.
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        try:
            depth, white = _stored_as(image, kind, data)
            frames = 1 if kind == "JPEG" else getattr(image, "n_frames", 1)
            before = image.getexif().get(_ORIENTATION)
            if frames == 1 and not white:
                image.load()
            # The decoder ignores a missing end of the file, which may be truncated.
            if kind == "PNG" and b"IEND" not in data:
                raise OSError("no end marker")
            after = image.getexif().get(_ORIENTATION)
        except _DAMAGED:
            raise InputError(
                f"{path}: expected a whole {kind} file, got a truncated or damaged one "
                f"({len(data)} bytes); write or download it again"
            ) from None
    if frames != 1:
        raise InputError(
            f"{path}: expected one image, got {frames} frames in a {kind} file; write each to a "
            "file of its own"
        )
    if white:
        raise InputError(
            f"{path}: expected a TIFF file in which 0 is black, got one in which 0 is white; "
            f"write it again: Image.open(path).convert('L').save('{path.stem}.png')"
        )
    # In PNG it may follow the pixels; for TIFF, Pillow rotates the pixels and drops the tag.
    orientation = after if before is None else before
    if orientation not in _UPRIGHT:
        orientation = 1
    elif after is None:
        image = image.transpose(_STORED[orientation])
    return ImageFile(image, kind, depth, orientation)


@contextmanager
def _strict(data: bytes) -> Iterator[None]:
    """Context in which TIFF tags that Pillow would skip with a warning are errors."""
    if data[:2] not in (b"II", b"MM"):
        yield
        return
    # Warning filters are global to the process.
    with _ONE, warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning, module=r"PIL\.TiffImagePlugin")
        yield


def _stored_as(image: Image.Image, kind: str, data: bytes) -> tuple[int, bool]:
    """Bits per channel as stored, which the decoder may reduce silently, and whether 0 is white."""
    if kind == "PNG":
        return data[_BIT_DEPTH], False
    if kind != "TIFF":
        return 8, False
    tags = image.tag_v2  # type: ignore[attr-defined]
    depth = max(tags.get(_BITS, (1,)))
    return int(depth), tags.get(_PHOTOMETRIC) == 0
