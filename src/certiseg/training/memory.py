"""A data set decoded once and held as uint8: an epoch then reads no file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.datasets.card import IGNORE, Card, Samples
from certiseg.datasets.pictures import Pictures
from certiseg.errors import InputError


@dataclass(frozen=True)
class Held:
    """images[i]: uint8 (C, H, W), 255 = 1.0; labels[i]: uint8 (H, W), 255 = ignore."""

    card: Card
    images: list[Tensor]
    labels: list[Tensor]

    def __len__(self) -> int:
        return len(self.images)

    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel over all pixels, in [0, 1] units."""
        flat = [image.flatten(1).to(torch.float64) / 255 for image in self.images]
        count = sum(image.shape[1] for image in flat)
        mean = torch.stack([image.sum(1) for image in flat]).sum(0) / count
        square = torch.stack([(image**2).sum(1) for image in flat]).sum(0) / count
        # A constant channel has spread 0; dividing by it would make NaN of every picture.
        std = (square - mean**2).clamp(min=1e-6).sqrt()
        return [round(m, 6) for m in mean.tolist()], [round(s, 6) for s in std.tolist()]

    def class_shares(self) -> Tensor:
        """Share of each class among labelled pixels, float64 (classes,)."""
        counts = torch.zeros(256, dtype=torch.int64)
        for labels in self.labels:
            counts += torch.bincount(labels.flatten(), minlength=256)
        counts[IGNORE] = 0
        if counts.sum() == 0:
            raise InputError("expected labelled pixels, got ignored ones only; check the labels")
        return counts[: self.card.num_classes].to(torch.float64) / counts.sum()


def hold(samples: Samples) -> Held:
    """Decode every sample. Values between k / 255 and (k + 1) / 255 are rounded."""
    images, labels = [], []
    for index in range(len(samples)):
        sample = samples[index]
        images.append(_bytes(sample.x))
        labels.append(torch.from_numpy(sample.labels))
    return Held(samples.card, images, labels)


def hold_pictures(pictures: Pictures) -> list[Tensor]:
    """Decode every picture."""
    return [_bytes(pictures[index]) for index in range(len(pictures))]


def _bytes(x: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.rint(x * 255).astype(np.uint8))
