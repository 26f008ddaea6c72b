"""The training loop: AdamW, warm-up and cosine, averaged weights, choice on noisy validation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError
from certiseg.training.augment import random_view
from certiseg.training.memory import Held
from certiseg.training.schedule import EVALUATIONS, averaged, share_of_lr
from certiseg.training.settings import TrainSettings
from certiseg.training.validate import Figures, validate


@dataclass(frozen=True)
class Chosen:
    """The checkpoint with the best validation mIoU under noise."""

    weights: dict[str, Tensor]
    epoch: int
    figures: Figures


Report = Callable[[int, float, float, Figures | None], None]
"""Called after each step: steps done, epoch (fraction), loss, figures where just measured."""


def fit(
    model: nn.Module, train: Held, val: Held, settings: TrainSettings, report: Report
) -> Chosen:
    """Train `model` (logits from [0, 1] inputs, on settings.device) in place.

    Deterministic for one machine, thread count and seed. Raises InputError when the loss stops
    being finite.
    """
    rng = np.random.default_rng(settings.seed)
    noise = torch.Generator().manual_seed(settings.seed)
    per_epoch = math.ceil(len(train) / settings.batch_size)
    steps = per_epoch * settings.epochs
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: share_of_lr(s, steps))
    average = averaged(model, steps)
    weight = _class_weights(train, settings.class_weight_power).to(settings.device)
    every = max(1, settings.epochs // EVALUATIONS)
    best: Chosen | None = None
    done = 0
    for epoch in range(1, settings.epochs + 1):
        model.train()
        for x, target in _batches(train, settings, rng, noise):
            logits = model(x.to(settings.device))
            loss = F.cross_entropy(
                logits,
                target.to(settings.device),
                weight=weight,
                ignore_index=IGNORE,
                label_smoothing=settings.label_smoothing,
            )
            value = float(loss.detach())
            if not math.isfinite(value):
                raise InputError(
                    f"expected a finite loss, got {value} in epoch {epoch}; lower --lr or "
                    "check that each batch holds labelled pixels"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(model)
            done += 1
            last = done == epoch * per_epoch
            figures = None
            if last and (epoch % every == 0 or epoch == settings.epochs):
                figures = validate(average.module, val, settings.sigma, settings.seed)
                if best is None or figures.miou > best.figures.miou:
                    best = Chosen(copy.deepcopy(average.module.state_dict()), epoch, figures)
            report(done, done / per_epoch, value, figures)
    assert best is not None, "the last epoch is always validated"
    return best


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
