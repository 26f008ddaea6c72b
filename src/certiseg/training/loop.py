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
from certiseg.training.consistency import disagreement
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
            logits = model(x.to(settings.device, memory_format=torch.channels_last))
            loss = F.cross_entropy(
                logits,
                target.to(settings.device),
                weight=weight,
                ignore_index=IGNORE,
                label_smoothing=settings.label_smoothing,
            )
            if settings.consistency > 0:
                loss = loss + disagreement(logits, settings.consistency)
            yield loss

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
    """Augmented noisy inputs (B, C, h, w) and targets (B, h, w), every picture once an epoch.

    With consistency (2 B, ...): all views under one draw of noise each, then all under another.
    """
    order = rng.permutation(len(data))
    for start in range(0, len(order), settings.batch_size):
        chosen = order[start : start + settings.batch_size]
        crop = settings.crop or tuple(data.labels[chosen[0]].shape)
        views = [random_view(data.images[i], data.labels[i], crop, rng) for i in chosen]
        x = torch.stack([view for view, _ in views])
        targets = torch.stack([target for _, target in views])
        if settings.consistency > 0:
            x, targets = x.repeat(2, 1, 1, 1), targets.repeat(2, 1, 1)
        if settings.sigma > 0:
            x = x + _sigmas(len(x), settings, noise) * torch.randn(x.shape, generator=noise)
        yield x, targets


def _sigmas(number: int, settings: TrainSettings, noise: torch.Generator) -> float | Tensor:
    """The noise of each input, (B, 1, 1, 1); a picture's two draws have one sigma."""
    if settings.sigma_from is None:
        return settings.sigma
    views = number // 2 if settings.consistency > 0 else number
    share = torch.rand(views, 1, 1, 1, generator=noise)
    sigmas = settings.sigma_from + (settings.sigma - settings.sigma_from) * share
    return sigmas.repeat(number // views, 1, 1, 1)


def _class_weights(data: Held, power: float) -> Tensor:
    """Weights ~ share ** -power with mean 1 over pixels; absent classes get 0."""
    shares = data.class_shares()
    weights = torch.where(shares > 0, shares.clamp(min=1e-6) ** -power, 0.0)
    return (weights / (shares * weights).sum()).to(torch.float32)
