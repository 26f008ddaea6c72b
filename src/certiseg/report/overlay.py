"""Class colours blended with the input image, abstentions in white."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from certiseg.datasets.card import IGNORE, Colour
from certiseg.errors import InputError
from certiseg.votes import ABSTAIN

WHITE: Colour = (255, 255, 255)
OPACITY = 0.6


def as_rgb(image: ArrayLike) -> NDArray[np.uint8]:
    """Convert an image (C, H, W) in [0, 1] to uint8 (H, W, 3).

    Three channels are red, green, blue; of any other number the mean is shown in grey.
    """
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim != 3:
        raise InputError(
            f"expected an image of shape (C, H, W), got {pixels.shape}; pass one image, no batch"
        )
    if pixels.shape[0] != 3:
        pixels = np.repeat(pixels.mean(axis=0, keepdims=True), 3, axis=0)
    # Clipped, since noisy images leave [0, 1].
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def overlay(
    image: ArrayLike, labels: ArrayLike, palette: Sequence[Colour], opacity: float = OPACITY
) -> Image.Image:
    """Blend an image with the colours of its labels.

    image: (C, H, W) in [0, 1]. labels: ints (H, W); class c gets
    ``round((1 - opacity) * image + opacity * palette[c])``, ABSTAIN (-1) is white, and 255 (no
    truth) leaves the image unchanged. Raises InputError for other labels or sizes.
    """
    background = as_rgb(image)
    classes = np.asarray(labels).astype(np.int64)
    if classes.shape != background.shape[:2]:
        raise InputError(
            f"expected labels of shape {background.shape[:2]}, got {classes.shape}; "
            "image and labels must have one size"
        )
    check_labels(classes, len(palette))
    painted = background.astype(np.float64)
    labelled = _within(classes, len(palette))
    colours = np.asarray(palette, dtype=np.float64).reshape(-1, 3)
    painted[labelled] += opacity * (colours[classes[labelled]] - painted[labelled])
    painted[classes == ABSTAIN] = WHITE
    return Image.fromarray(np.rint(painted).astype(np.uint8))


def check_labels(classes: NDArray[np.int64], num_classes: int) -> None:
    """Raise InputError for labels other than classes, ABSTAIN and IGNORE."""
    strange = (classes != ABSTAIN) & (classes != IGNORE) & ~_within(classes, num_classes)
    if strange.any():
        raise InputError(
            f"expected labels 0..{num_classes - 1}, {ABSTAIN} or {IGNORE}, got "
            f"{classes[strange][0]}; pass one colour for each class"
        )


def _within(classes: NDArray[np.int64], num_classes: int) -> NDArray[np.bool_]:
    return (classes >= 0) & (classes < num_classes)
