"""Training on pictures: noisy views, their loss, weights of classes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.datasets.card import IGNORE
from certiseg.training.augment import random_view
from certiseg.training.descent import Chosen, Report, descend
from certiseg.training.memory import Held
from certiseg.training.settings import TrainSettings
from certiseg.training.validate import validate


def fit(
    model: nn.Module, train: Held, val: Held, settings: TrainSettings, report: Report
) -> Chosen:
    """Train `model` (logits from [0, 1] inputs, on settings.device) in place.

    Deterministic for one machine, thread count and seed. Raises InputError when the loss stops
    being finite.
    """
    rng = np.random.default_rng(settings.seed)
    noise = torch.Generator().manual_seed(settings.seed)
    weight = _class_weights(train, settings.class_weight_power).to(settings.device)

    def losses() -> Iterator[Tensor]:
        for x, target in _batches(train, settings, rng, noise):
            yield F.cross_entropy(
                model(x.to(settings.device)),
                target.to(settings.device),
                weight=weight,
                ignore_index=IGNORE,
                label_smoothing=settings.label_smoothing,
            )

    return descend(
        model,
        losses,
        lambda average: validate(average, val, settings.sigma, settings.seed),
        settings,
        math.ceil(len(train) / settings.batch_size),
        report,
        check="each batch holds labelled pixels",
    )


def _batches(
    data: Held, settings: TrainSettings, rng: np.random.Generator, noise: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented noisy inputs (B, C, h, w) and targets (B, h, w), every picture once an epoch."""
    order = rng.permutation(len(data))
    for start in range(0, len(order), settings.batch_size):
        chosen = order[start : start + settings.batch_size]
        crop = settings.crop or tuple(data.labels[chosen[0]].shape)
        views = [random_view(data.images[i], data.labels[i], crop, rng) for i in chosen]
        x = torch.stack([view for view, _ in views])
        if settings.sigma > 0:
            x = x + settings.sigma * torch.randn(x.shape, generator=noise)
        yield x, torch.stack([target for _, target in views])


def _class_weights(data: Held, power: float) -> Tensor:
    """Weights ~ share ** -power with mean 1 over pixels; absent classes get 0."""
    shares = data.class_shares()
    weights = torch.where(shares > 0, shares.clamp(min=1e-6) ** -power, 0.0)
    return (weights / (shares * weights).sum()).to(torch.float32)
