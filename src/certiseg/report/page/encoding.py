"""Label maps, counts and photographs as text within the page: PNG without loss, raw numbers."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from certiseg.report.overlay import as_rgb
from certiseg.votes import ABSTAIN

SHIFT = 2
"""Labels are stored as label + 2: 0 is no truth, 1 an abstention."""
_LONGEST = 1400
_QUALITY, _NOISE_QUALITY = 82, 55


def labels_png(labels: NDArray[Any], ignore: int | None = None) -> str:
    """Labels (H, W), ABSTAIN and perhaps IGNORE, as a lossless PNG (see ``numbers_png``).

    ignore: the label of pixels without truth, where there are such.
    """
    return numbers_png(_shifted(labels, ignore))


def labels_raw(labels: NDArray[Any], ignore: int | None = None) -> str:
    """Labels (N,) as ``labels_png`` stores them, as 16-bit numbers."""
    return raw(_shifted(labels, ignore), "<u2")


def _shifted(labels: NDArray[Any], ignore: int | None) -> NDArray[np.int64]:
    values = labels.astype(np.int64) + SHIFT
    values[labels == ABSTAIN] = 1
    if ignore is not None:
        values[labels == ignore] = 0
    return values


def numbers_png(values: NDArray[np.integer]) -> str:
    """Whole numbers (H, W) below 2^24 as a PNG: grey up to 255, else red, green and blue as its
    three bytes, the lowest first."""
    numbers = values.astype(np.uint32)
    assert numbers.max(initial=0) < 2**24, "more than three bytes"
    if numbers.max(initial=0) <= 255:
        picture = Image.fromarray(numbers.astype(np.uint8))
    else:
        parts = [numbers >> shift & 255 for shift in (0, 8, 16)]
        picture = Image.fromarray(np.stack(parts, axis=-1).astype(np.uint8))
    return _url(picture, "PNG")


def photograph(pixels: NDArray[np.uint8], *, noisy: bool = False) -> str:
    """A picture uint8 (C, H, W), compressed with loss and at most 1400 pixels a side."""
    picture = Image.fromarray(as_rgb(pixels / np.float32(255)))
    picture.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    quality = _NOISE_QUALITY if noisy else _QUALITY
    if features.check("webp"):
        return _url(picture, "WEBP", quality=quality, method=4)
    return _url(picture, "JPEG", quality=quality)


def raw(values: NDArray[Any], kind: str) -> str:
    """Little-endian numbers of the type kind ("<u2", "<f4") as base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.dtype(kind)).tobytes()).decode()


def _url(picture: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    text = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{kind.lower()};base64,{text}"
