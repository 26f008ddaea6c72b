"""Random augmentation of training images: crop with zoom, mirroring, colour, blur and cut-outs.

The operations are PyTorch's own tensor operations, so that training needs no further package.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from certiseg.datasets.card import IGNORE
from certiseg.training.settings import Augment


@dataclass(frozen=True)
class Augmentation:
    """How far views may differ from their images.

    scale: range of the zoom factor, log-uniform; raised where the image would be smaller than the
    crop. brightness: largest shift. contrast, saturation: largest relative change; about_mean:
    contrast keeps the mean of the view rather than middle grey, so that dark scenes stay visible.
    gamma: largest absolute logarithm of the exponent. cast: largest relative change of one channel
    against the others. blur: share of views that are blurred, by a Gaussian kernel of a standard
    deviation up to BLUR pixels. cutout: share of views from which a rectangle of up to CUTOUT of
    each side is cut, filled with a random colour and ignored by the loss.
    """

    scale: tuple[float, float] = (0.8, 1.5)
    brightness: float = 0.1
    contrast: float = 0.2
    about_mean: bool = False
    saturation: float = 0.0
    gamma: float = 0.0
    cast: float = 0.0
    blur: float = 0.0
    cutout: float = 0.0


AUGMENTATIONS: dict[Augment, Augmentation] = {
    "basic": Augmentation(),
    "strong": Augmentation(
        scale=(0.5, 2.0),
        brightness=0.1,
        contrast=0.4,
        about_mean=True,
        saturation=0.6,
        gamma=0.4,
        cast=0.1,
        blur=0.2,
        cutout=0.3,
    ),
}
BLUR = 1.5
CUTOUT = 0.4
_GREY = (0.299, 0.587, 0.114)
"""Weights of the luma of ITU-R BT.601."""


def random_view(
    image: Tensor,
    labels: Tensor,
    crop: tuple[int, int],
    rng: np.random.Generator,
    how: Augmentation = AUGMENTATIONS["basic"],
) -> tuple[Tensor, Tensor]:
    """One augmented view of an image.

    image: uint8 (C, H, W). labels: uint8 (H, W). Returns float32 (C, *crop) in [0, 1] and
    int64 (*crop). Noise is added afterwards and not clipped: augmentation changes the scene, noise
    the input.
    """
    view, target = _cropped(image, labels, crop, rng, how.scale)
    if rng.random() < 0.5:
        view, target = view.flip(-1), target.flip(-1)
    gain = rng.uniform(1 - how.contrast, 1 + how.contrast)
    shift = rng.uniform(-how.brightness, how.brightness)
    pivot = float(view.mean()) if how.about_mean else 0.5
    view = ((view - pivot) * gain + pivot + shift).clamp(0, 1)
    if how.saturation > 0 and len(view) == 3:
        grey = torch.tensordot(torch.tensor(_GREY), view, dims=1)
        view = torch.lerp(grey, view, rng.uniform(1 - how.saturation, 1 + how.saturation))
    if how.cast > 0:
        gains = rng.uniform(1 - how.cast, 1 + how.cast, size=(len(view), 1, 1))
        view = view * torch.from_numpy(gains).to(view)
    if how.gamma > 0:
        view = view.clamp(0, 1) ** math.exp(rng.uniform(-how.gamma, how.gamma))
    if rng.random() < how.blur:
        view = _blurred(view, rng.uniform(0.2, BLUR))
    if rng.random() < how.cutout:
        view, target = _cut_out(view, target, rng)
    return view.clamp(0, 1), target


def _cropped(
    image: Tensor,
    labels: Tensor,
    crop: tuple[int, int],
    rng: np.random.Generator,
    scale: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    height, width = labels.shape
    zoom = math.exp(rng.uniform(math.log(scale[0]), math.log(scale[1])))
    zoom = max(zoom, crop[0] / height, crop[1] / width)
    h = min(height, max(1, round(crop[0] / zoom)))
    w = min(width, max(1, round(crop[1] / zoom)))
    top = int(rng.integers(height - h + 1))
    left = int(rng.integers(width - w + 1))
    cut = image[None, :, top : top + h, left : left + w].to(torch.float32) / 255
    classes = labels[None, None, top : top + h, left : left + w].to(torch.float32)
    view = F.interpolate(cut, size=crop, mode="bilinear", align_corners=False)[0]
    target = F.interpolate(classes, size=crop, mode="nearest")[0, 0].to(torch.int64)
    return view, target


def _blurred(view: Tensor, sigma: float) -> Tensor:
    reach = math.ceil(2 * sigma)
    steps = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    rows = F.pad(view[:, None], (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(rows, kernel.view(1, 1, -1, 1))
    return F.conv2d(rows, kernel.view(1, 1, 1, -1))[:, 0]


def _cut_out(view: Tensor, target: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A rectangle of one colour whose labels are ignored. Source: DeVries & Taylor 2017."""
    height, width = target.shape
    h, w = (max(1, round(side * rng.uniform(0.1, CUTOUT))) for side in (height, width))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    view, target = view.clone(), target.clone()
    colour = torch.from_numpy(rng.random((len(view), 1, 1))).to(view)
    view[:, top : top + h, left : left + w] = colour
    target[top : top + h, left : left + w] = IGNORE
    return view, target
