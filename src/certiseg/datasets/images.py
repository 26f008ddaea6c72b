"""Images as float arrays in [0, 1]: files that do not fit the model are refused, or converted on
request, which is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.datasets.image_file import ImageFile, decoded
from certiseg.datasets.volume_file import Window
from certiseg.errors import InputError
from certiseg.rounding import percent_up

Exif = Literal["apply", "ignore"]
_NAMES = {1: "grey", 3: "RGB"}
_DEEP = ("I;16", "I;16B", "I", "F")
_GREY = ("1", "L", "LA")
_COLOUR = ("P", "PA", "RGB", "RGBA")
_OFTEN = 0.05


@dataclass(frozen=True, eq=False)
class ReadImage:
    """An image as it is certified, and the conversions of its file.

    Args:
        x: float32 (channels, H, W) in [0, 1].
        orientation: The file's EXIF orientation; 1 is upright.
        exif: "apply" or "ignore" as requested; None if not stated.
        converted: Such as "grey to RGB"; None for nothing.
        window: Intensities mapped to 0 and 1, in the file's units.
        clipped: Share of values outside the window.
    """

    x: NDArray[np.float32]
    orientation: int = 1
    exif: Exif | None = None
    converted: str | None = None
    window: tuple[float, float] | None = None
    clipped: float = 0.0

    def facts(self) -> dict[str, Any]:
        """Facts about the file, for the record of a certificate."""
        return {
            "exif_orientation": self.orientation,
            "exif": self.exif or "ignore",
            "converted": self.converted,
            "window": None if self.window is None else list(self.window),
            "clipped": self.clipped,
        }

    def notes(self) -> dict[str, str]:
        """Notes on the file for the user, by kind."""
        found = {}
        if self.orientation != 1 and self.exif is None:
            found["exif"] = (
                f"its EXIF orientation {self.orientation} is not applied, pixels are taken as "
                "stored; say --exif apply or ignore (in a .yaml file orientation: exif or stored)"
            )
        if self.converted is not None and "alpha" in self.converted:
            found["alpha"] = f"{self.converted}, although it is not opaque"
        if self.clipped > _OFTEN:
            found["window"] = (
                f"{percent_up(self.clipped)} of its values lie outside the window and are clipped"
            )
        return found


@dataclass(frozen=True)
class Reading:
    """Options by which image files are read for a model.

    Args:
        exif: Apply or ignore the EXIF orientation; None ignores it with a note for each file that
            has one.
        convert: Convert grey, palette and RGBA files to RGB, and RGB files of equal channels to
            grey.
        window: Intensities mapped to 0 and 1; default: 0 and 255 for 8 bits.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "x-ray.png")
        >>> Image.new("L", (4, 2), 51).save(path)
        >>> found = Reading(convert=True).read(path, 3)
        >>> found.x.shape, found.converted
        ((3, 2, 4), 'grey to RGB')
    """

    exif: Exif | None = None
    convert: bool = False
    window: Window | None = None

    def record(self) -> dict[str, Any]:
        """The options as plain JSON values."""
        window = self.window
        return {
            "exif": self.exif or "ignore",
            "convert": self.convert,
            "window": None if window is None else [window.low, window.high],
            "window_percentiles": window is not None and window.percentiles,
        }

    def read(self, path: str | Path, channels: int) -> ReadImage:
        """Read a file for a model of 1 or 3 channels.

        Raises:
            InputError: For a file that ``image_file.decoded`` refuses, and for one of another kind
                than the model takes, with the remedy.
        """
        assert channels in _NAMES
        path = Path(path)
        file = decoded(path)
        pixels = file.upright if self.exif == "apply" else file.pixels
        deep = pixels.mode in _DEEP
        if deep and self.window is None:
            raise InputError(
                f"{path}: expected an 8-bit {_NAMES[channels]} image, got {file.kind}; say which "
                "intensities become 0 and 1: --window LOW HIGH (window in a .yaml file)"
            )
        converted = None
        if not _fits(file, channels):
            pixels, converted = self._converted(path, file, pixels, channels)
        values: NDArray[Any] = np.asarray(pixels, dtype=np.float64 if deep else np.float32)
        values = np.moveaxis(values, -1, 0) if values.ndim == 3 else values[None]
        bounds, clipped = None, 0.0
        if self.window is None:
            values = values / np.float32(255)
        else:
            values, bounds, clipped = self.window.apply(values, str(path))
        if len(values) != channels:
            values = np.repeat(values, channels, axis=0)
        x = np.ascontiguousarray(values, dtype=np.float32)
        return ReadImage(x, file.orientation, self.exif, converted, bounds, clipped)

    def _converted(
        self, path: Path, file: ImageFile, pixels: Image.Image, channels: int
    ) -> tuple[Image.Image, str]:
        """The converted pixels, and a description of the conversion."""
        name, mode = _NAMES[channels], pixels.mode
        if file.depth == 16 and mode not in _DEEP:
            raise InputError(
                f"{path}: expected an 8-bit {name} image, got {file.kind}; write its values / 257 "
                "as 8 bits, or pass a float array in Python"
            )
        if mode not in (*_DEEP, *_GREY, *_COLOUR):
            typed = f": Image.open(path).convert('RGB').save('{path.stem}.png')"
            raise InputError(
                f"{path}: expected an 8-bit {name} image, got {file.kind}; write it again as RGB"
                f"{typed if mode in ('CMYK', 'YCbCr') else ''}"
            )
        if not self.convert:
            raise InputError(
                f"{path}: expected an 8-bit {name} image ({channels} channel"
                f"{'s' if channels > 1 else ''}), got {file.kind}; --convert reads it as {name} "
                "and records that (convert: true in a .yaml file), or choose a model of other "
                "channels"
            )
        plain, alpha = _without_alpha(pixels)
        if channels == 1 and plain.mode == "RGB":
            red, green, blue = plain.split()
            if not red.tobytes() == green.tobytes() == blue.tobytes():
                raise InputError(
                    f"{path}: expected a grey image, got {file.kind} in colours; write it as grey "
                    f"yourself: Image.open(path).convert('L').save('{path.stem}.png')"
                )
            plain = red
        return plain, f"{file.kind} to {name}{', alpha dropped' if alpha else ''}"


PLAIN = Reading()
"""Nothing is converted or turned, and files that say they should be turned are noted."""
AS_STORED = Reading(exif="ignore")
"""The same without notes, for published data sets: their labels are drawn on the stored pixels."""


def read_image(path: str | Path, channels: int = 3) -> NDArray[np.float32]:
    """Read an 8-bit PNG, JPEG, TIFF or WebP file as float32 (channels, H, W) in [0, 1].

    Without conversion or rotation, for which see ``Reading``.

    Args:
        path: The file, of at most ``image_file.MOST_PIXELS`` pixels.
        channels: 3 for RGB, 1 for grey.

    Returns:
        The pixels / 255.

    Raises:
        InputError: For a file that is missing, empty, truncated or of another kind.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "red.png")
        >>> Image.new("RGB", (4, 2), (255, 0, 0)).save(path)
        >>> read_image(path)[:, 0, 0].tolist()
        [1.0, 0.0, 0.0]
    """
    return PLAIN.read(path, channels).x


def _fits(file: ImageFile, channels: int) -> bool:
    """Whether no conversion is needed."""
    mode = file.pixels.mode
    if mode in _DEEP:
        return channels == 1
    return file.depth == 8 and mode == {1: "L", 3: "RGB"}[channels]


def _without_alpha(pixels: Image.Image) -> tuple[Image.Image, bool]:
    """Grey or RGB pixels, and whether an alpha channel that is not opaque was dropped."""
    if pixels.mode == "1":
        return pixels.convert("L"), False
    if pixels.mode in ("P", "PA"):
        clear = pixels.mode == "PA" or "transparency" in pixels.info
        pixels = pixels.convert("RGBA" if clear else "RGB")
    if pixels.mode not in ("LA", "RGBA"):
        return pixels, False
    *bands, alpha = pixels.split()
    low, _ = alpha.getextrema()
    return Image.merge("RGB", bands) if len(bands) == 3 else bands[0], low != 255
