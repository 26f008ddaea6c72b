"""Training on pictures: noisy views, their loss, weights of classes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.datasets.card import IGNORE
from certiseg.training.ahead import ahead
from certiseg.training.augment import random_view
from certiseg.training.consistency import disagreement
from certiseg.training.descent import Chosen, Forward, Means, Report, descend
from certiseg.training.memory import Held
from certiseg.training.processes import ALONE, Processes
from certiseg.training.randomness import Randomness
from certiseg.training.settings import TrainSettings
from certiseg.training.validate import validate


def fit(
    model: nn.Module,
    train: Held,
    val: Held,
    settings: TrainSettings,
    report: Report,
    means: Means,
) -> Chosen | None:
    """Train `model` (logits from [0, 1] inputs, on settings.device) in place.

    Deterministic for one machine, thread count and seed. Raises InputError when the loss stops
    being finite.
    """
    randomness = Randomness(settings.seed, means.processes)
    weight = _class_weights(train, settings.class_weight_power).to(settings.device)

    def losses(forward: Forward) -> Iterator[Tensor]:
        batches = _batches(train, settings, randomness, means.processes)
        # On a CPU that computes the passes too, a thread beside them only competes.
        for x, target in batches if settings.device == "cpu" else ahead(batches):
            logits = forward(x.to(settings.device, memory_format=torch.channels_last))
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
        randomness=randomness,
        means=means,
        precision=settings.precision,
    )


def _batches(
    data: Held, settings: TrainSettings, randomness: Randomness, processes: Processes = ALONE
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented noisy inputs (B, C, h, w) and targets (B, h, w), every picture once an epoch; of
    each batch the share of this process.

    With consistency (2 B, ...): all views under one draw of noise each, then all under another.
    """
    noise = randomness.noise
    order = randomness.order.permutation(len(data))
    for start in range(0, len(order), settings.batch_size):
        chosen = processes.share(order[start : start + settings.batch_size])
        pairs = data.many(chosen.tolist())
        height, width = settings.crop or pairs[0][1].shape
        views = [random_view(*pair, (height, width), randomness.views) for pair in pairs]
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
