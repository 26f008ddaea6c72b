"""Accuracy and mIoU of a model on held data, clean or under one fixed draw of noise a picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from certiseg.metrics.confusion import Confusion
from certiseg.rounding import share_down
from certiseg.training.memory import Held


@dataclass(frozen=True)
class Figures:
    """Pooled over all labelled pixels of the data set."""

    accuracy: float
    miou: float

    @property
    def score(self) -> float:
        """What checkpoints are chosen by."""
        return self.miou

    def words(self) -> str:
        """For the line of a validation."""
        return f"accuracy {share_down(self.accuracy)}, mIoU {share_down(self.miou)}"


@torch.no_grad()
def validate(model: nn.Module, data: Held, sigma: float, seed: int) -> Figures:
    """Figures of `model` (put into eval mode) with noise sigma * N(0, I), nothing clipped.

    The noise of picture i depends on (seed, i) alone: every call sees the same noisy pictures.
    """
    model.eval()
    device = next(model.parameters()).device
    total: Confusion | None = None
    for index in range(len(data)):
        image, labels = data[index]
        x = image.to(torch.float32)[None] / 255
        if sigma > 0:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
            x = x + sigma * torch.randn(x.shape, generator=generator)
        prediction = model(x.to(device)).argmax(1)[0].cpu().numpy()
        counted = Confusion.count(labels.numpy(), prediction, data.card.num_classes)
        total = counted if total is None else total + counted
    assert total is not None, "data sets are not empty"
    return Figures(float(total.accuracy), float(total.miou))
