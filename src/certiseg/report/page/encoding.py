"""Label maps, counts and images as data URLs and base64 text for the page."""

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
"""Labels are encoded as label + 2; 0 is no truth, 1 an abstention."""
_LONGEST = 1400
_QUALITY, _NOISE_QUALITY = 82, 55


def labels_png(labels: NDArray[Any], ignore: int | None = None) -> str:
    """Labels (H, W), ABSTAIN included, as a PNG (see ``numbers_png``).

    ignore: label of pixels without truth, or None.
    """
    return numbers_png(_shifted(labels, ignore))


def labels_raw(labels: NDArray[Any], ignore: int | None = None) -> str:
    """Labels (N,), encoded as in ``labels_png``, as 16-bit integers in base64."""
    return raw(_shifted(labels, ignore), "<u2")


def _shifted(labels: NDArray[Any], ignore: int | None) -> NDArray[np.int64]:
    values = labels.astype(np.int64) + SHIFT
    values[labels == ABSTAIN] = 1
    if ignore is not None:
        values[labels == ignore] = 0
    return values


def numbers_png(values: NDArray[np.integer]) -> str:
    """Integers (H, W) below 2^24 as a PNG: grey if all are below 256, else red, green and blue are
    the three bytes, lowest first."""
    numbers = values.astype(np.uint32)
    assert numbers.max(initial=0) < 2**24, "more than three bytes"
    if numbers.max(initial=0) <= 255:
        image = Image.fromarray(numbers.astype(np.uint8))
    else:
        parts = [numbers >> shift & 255 for shift in (0, 8, 16)]
        image = Image.fromarray(np.stack(parts, axis=-1).astype(np.uint8))
    return _url(image, "PNG")


def photograph(pixels: NDArray[np.uint8], *, noisy: bool = False) -> str:
    """An image uint8 (C, H, W) as WebP or JPEG, at most 1400 pixels a side."""
    image = Image.fromarray(as_rgb(pixels / np.float32(255)))
    image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    quality = _NOISE_QUALITY if noisy else _QUALITY
    if features.check("webp"):
        return _url(image, "WEBP", quality=quality, method=4)
    return _url(image, "JPEG", quality=quality)


def raw(values: NDArray[Any], kind: str) -> str:
    """Numbers of the little-endian dtype kind ("<u2", "<f4") as base64."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.dtype(kind)).tobytes()).decode()


def _url(image: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
