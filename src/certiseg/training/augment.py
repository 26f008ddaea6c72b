"""Random augmentation of training images: crop with zoom, mirroring, brightness and contrast."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SCALE = (0.8, 1.5)
"""Range of the zoom factor, log-uniform; raised where the image would be smaller than the crop."""
BRIGHTNESS = 0.1
CONTRAST = 0.2


def random_view(
    image: Tensor, labels: Tensor, crop: tuple[int, int], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """One augmented view of an image.

    image: uint8 (C, H, W). labels: uint8 (H, W). Returns float32 (C, *crop) in [0, 1] and
    int64 (*crop). Noise is added afterwards and not clipped: augmentation changes the scene, noise
    the input.
    """
    height, width = labels.shape
    zoom = math.exp(rng.uniform(math.log(SCALE[0]), math.log(SCALE[1])))
    zoom = max(zoom, crop[0] / height, crop[1] / width)
    h = min(height, max(1, round(crop[0] / zoom)))
    w = min(width, max(1, round(crop[1] / zoom)))
    top = int(rng.integers(height - h + 1))
    left = int(rng.integers(width - w + 1))
    cut = image[None, :, top : top + h, left : left + w].to(torch.float32) / 255
    classes = labels[None, None, top : top + h, left : left + w].to(torch.float32)
    view = F.interpolate(cut, size=crop, mode="bilinear", align_corners=False)[0]
    target = F.interpolate(classes, size=crop, mode="nearest")[0, 0].to(torch.int64)
    if rng.random() < 0.5:
        view, target = view.flip(-1), target.flip(-1)
    gain = rng.uniform(1 - CONTRAST, 1 + CONTRAST)
    shift = rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    return ((view - 0.5) * gain + 0.5 + shift).clamp(0, 1), target
