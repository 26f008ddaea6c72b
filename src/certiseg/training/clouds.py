"""Training on clouds: noisy views, their loss, figures under noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.datasets.card import IGNORE, Card, Samples
from certiseg.errors import InputError
from certiseg.metrics.confusion import Confusion
from certiseg.models.pointnet.parts import PartSegmenter
from certiseg.training.cloud_noise import CloudNoise
from certiseg.training.cloud_settings import CloudSettings
from certiseg.training.descent import Chosen, Forward, Means, Report, descend
from certiseg.training.randomness import Randomness
from certiseg.training.validate import Figures

SCALE = (0.8, 1.25)
SHIFT = 0.1
"""The customary views of a cloud: one factor, and one shift along each axis."""
_VALIDATED_AT_ONCE = 16


@dataclass(frozen=True)
class HeldClouds:
    """A data set in memory. x: float32 (M, C, N); labels: int64 (M, N), 255 = ignore; category:
    int64 (M,), the place in the card's parts."""

    card: Card
    x: Tensor
    labels: Tensor
    category: Tensor

    def __len__(self) -> int:
        return len(self.x)


def hold_clouds(samples: Samples, advance: Callable[[], None] = lambda: None) -> HeldClouds:
    """Read every cloud; all must have as many points. advance: called after each."""
    parts = samples.card.parts
    if parts is None:
        raise InputError(f"expected point clouds with parts, got {samples.card.name}")
    places = {name: place for place, name in enumerate(parts)}
    x, labels, category = [], [], []
    for index in range(len(samples)):
        sample = samples[index]
        x.append(torch.from_numpy(sample.x))
        labels.append(torch.from_numpy(sample.labels.astype(np.int64)))
        category.append(places[str(sample.category)])
        advance()
    return HeldClouds(samples.card, torch.stack(x), torch.stack(labels), torch.tensor(category))


def fit_clouds(
    model: PartSegmenter,
    train: HeldClouds,
    val: HeldClouds,
    settings: CloudSettings,
    report: Report,
    means: Means,
) -> Chosen | None:
    """Train `model` (on settings.device) in place; only the parts of a cloud's category compete.

    Deterministic for one machine, thread count and seed. Raises InputError when the loss stops
    being finite.
    """
    randomness = Randomness(settings.seed)

    def losses(forward: Forward) -> Iterator[Tensor]:
        for x, labels, category in _batches(train, settings, randomness):
            logits = forward(x.to(settings.device), category.to(settings.device))
            yield F.cross_entropy(logits, labels.to(settings.device), ignore_index=IGNORE)

    def figures(average: nn.Module) -> Figures:
        assert isinstance(average, PartSegmenter)
        return validate_clouds(average, val, settings.noise, settings.seed)

    return descend(
        model,
        losses,
        figures,
        settings,
        batches_an_epoch(len(train), settings.batch_size),
        report,
        check="the clouds have labels of their category",
        randomness=randomness,
        means=means,
    )


def batches_an_epoch(clouds: int, batch_size: int) -> int:
    """Batches of batch_size, or one more; never of one cloud, which batch norm over a cloud's one
    vector could not take."""
    return max(1, math.ceil((clouds - 1) / batch_size))


@torch.no_grad()
def validate_clouds(
    model: PartSegmenter, data: HeldClouds, noise: CloudNoise, seed: int
) -> Figures:
    """Figures of `model` (put into evaluation mode), pooled over all points, under one draw of
    noise for each cloud: every call with the same seed sees the same noisy clouds."""
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    total: Confusion | None = None
    for some in torch.arange(len(data)).split(_VALIDATED_AT_ONCE):
        x = noise.applied(data.x[some], generator)
        found = model(x.to(device), data.category[some].to(device)).argmax(1).cpu()
        counted = Confusion.count(data.labels[some].numpy(), found.numpy(), data.card.num_classes)
        total = counted if total is None else total + counted
    assert total is not None, "data sets are not empty"
    return Figures(float(total.accuracy), float(total.miou))


def _batches(
    data: HeldClouds, settings: CloudSettings, randomness: Randomness
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Noisy views (B, C, N), labels (B, N), categories (B,), every cloud once an epoch."""
    rng = randomness.order
    order = torch.from_numpy(rng.permutation(len(data)))
    for chosen in order.tensor_split(batches_an_epoch(len(data), settings.batch_size)):
        x = data.x[chosen]
        scale = torch.from_numpy(rng.uniform(*SCALE, (len(x), 1, 1)).astype(np.float32))
        shift = torch.from_numpy(rng.uniform(-SHIFT, SHIFT, (len(x), 3, 1)).astype(np.float32))
        view = torch.cat([x[:, :3] * scale + shift, x[:, 3:]], dim=1)
        yield (
            settings.noise.applied(view, randomness.noise),
            data.labels[chosen],
            data.category[chosen],
        )
