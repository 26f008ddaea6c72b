"""Training of PointNet++ on point clouds: augmentation, loss and validation under noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.datasets.card import IGNORE, Card, Samples, note_of
from certiseg.errors import InputError
from certiseg.metrics.confusion import Confusion
from certiseg.models.pointnet.parts import PartSegmenter, TrainedClouds
from certiseg.rounding import share_down
from certiseg.training.card import STORED, card_page, describe_figures, figure_lines, size_words
from certiseg.training.cloud_noise import CloudNoise
from certiseg.training.randomness import Randomness
from certiseg.training.settings import CloudSettings
from certiseg.training.task import Figures, Forward, Task

SCALE = (0.8, 1.25)
SHIFT = 0.1
"""Customary augmentation: a common random scale, and a random shift along each axis."""
_VALIDATED_AT_ONCE = 16
_CLASS = "certiseg.models.pointnet.network.PointNet2"


@dataclass(frozen=True)
class CloudTensors:
    """A data set in memory: x, float32 (M, C, N); labels, int64 (M, N), 255 = ignore; category,
    int64 (M,), index into the card's parts."""

    card: Card
    x: Tensor
    labels: Tensor
    category: Tensor

    def __len__(self) -> int:
        return len(self.x)


class CloudTask(Task):
    """Training on the splits "train", "val" and "test".

    reading: called with the number of clouds to read; returns a function to call after each cloud.
    """

    settings: CloudSettings
    about: Card
    model, command, inputs, parallel = TrainedClouds, "train-clouds", "clouds", False
    check = "the clouds have labels of their category"

    def __init__(
        self,
        splits: Mapping[str, Samples],
        settings: CloudSettings,
        reading: Callable[[int], Callable[[], None]] = lambda clouds: lambda: None,
    ) -> None:
        self.settings = settings
        self.about, self.size = splits["train"].card, len(splits["train"])
        self._splits, self._reading = splits, reading

    @property
    def steps_per_epoch(self) -> int:
        return batches_an_epoch(self.size, self.settings.batch_size)

    def facts(self) -> dict[str, Any]:
        facts = {k: v for k, v in super().facts().items() if k not in ("sigma", "axis")}
        return {**facts, "noise": asdict(self.settings.perturbation)}

    def prepare(self, device: torch.device) -> None:
        self.plan = self.settings.plan(self.about)
        advance = self._reading(sum(map(len, self._splits.values())))
        self.data = {name: read_clouds(samples, advance) for name, samples in self._splits.items()}

    def losses(self, forward: Forward, randomness: Randomness) -> Iterator[Tensor]:
        device = self.settings.device
        for x, labels, category in noisy_batches(self.data["train"], self.settings, randomness):
            logits = forward(x.to(device), category.to(device))
            yield F.cross_entropy(logits, labels.to(device), ignore_index=IGNORE)

    def validate(self, model: nn.Module) -> Figures:
        return validate_clouds(
            model, self.data["val"], self.settings.perturbation, self.settings.seed
        )

    def describe_model(self) -> dict[str, Any]:
        card = self.about
        assert card.parts is not None
        return {
            "architecture": {"class": _CLASS, **self.plan.record()},
            "classes": list(card.classes),
            "palette": [list(colour) for colour in card.palette],
            "channels": card.channels,
            "categories": list(card.parts),
            "parts": {name: list(labels) for name, labels in card.parts.items()},
        }

    def describe_figures(self, stored: nn.Module) -> dict[str, Any]:
        perturbation, seed = self.settings.perturbation, self.settings.seed

        def of(split: str) -> dict[str, Any]:
            data = self.data[split]
            clean = validate_clouds(stored, data, CloudNoise(), seed)
            noisy = (
                validate_clouds(stored, data, perturbation, seed)
                if perturbation.kind != "none"
                else None
            )
            return describe_figures(clean, noisy, seed)

        return {"split": "val", "weights": STORED, **of("val"), "test": of("test")}

    def describe_splits(self) -> dict[str, Any]:
        def count(split: str) -> str:
            note = note_of(self._splits[split])
            return f"{len(self._splits[split])} clouds" + (f" ({note})" if note else "")

        draw = " under one fixed draw of noise each" if self.settings.noise != "none" else ""
        return {
            "points": self.data["train"].x.shape[2],
            "train": f"train split, {count('train')}",
            "choice": f"val split, {count('val')}: highest mIoU{draw}",
            "test": f"test split, {count('test')}: no part in any choice",
        }

    def describe_training(self) -> dict[str, Any]:
        settings = super().describe_training()
        noise = {name: settings.pop(name) for name in ("noise", "sigma", "axis")}
        return {**noise, "in_words": self.settings.perturbation.words(), **settings}

    def page(self, card: dict[str, Any]) -> str:
        run, figures, plan = card["training"], card["figures"], card["architecture"]
        rows = {"clean": "clean", "one_draw": f"one draw: {run['in_words']}"}
        return card_page(
            card,
            f"PointNet++ (preset {run['preset']}), {size_words(card)}, trained with "
            f"{run['in_words']}.",
            [
                ("split", "input", "point accuracy", "mIoU"),
                *(
                    (split, words, share_down(values["accuracy"]), share_down(values["miou"]))
                    for split, found in (("val", figures), ("test", figures["test"]))
                    for name, words in rows.items()
                    if (values := found[name]) is not None
                ),
            ],
            "Accuracy is over all points, mIoU over the classes. The checkpoint was chosen on the "
            "val split.",
            [
                f"Categories: {', '.join(card['categories'])}. Classes: "
                f"{', '.join(card['classes'])}",
                f"Channels: {card['channels']}. Groups {plan['groups']}, radii {plan['radii']}, "
                f"neighbours {plan['neighbours']}",
            ],
        )

    def summary(self, card: dict[str, Any]) -> list[str]:
        return figure_lines({"val": card["figures"], "test": card["figures"]["test"]})


def read_clouds(samples: Samples, advance: Callable[[], None] = lambda: None) -> CloudTensors:
    """Read every cloud. All must have the same number of points. advance: called after each
    cloud."""
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
    return CloudTensors(samples.card, torch.stack(x), torch.stack(labels), torch.tensor(category))


def batches_an_epoch(clouds: int, batch_size: int) -> int:
    """Number of batches per epoch, such that no batch is a single cloud: batch norm over one vector
    per cloud needs two."""
    return max(1, math.ceil((clouds - 1) / batch_size))


@torch.no_grad()
def validate_clouds(model: nn.Module, data: CloudTensors, noise: CloudNoise, seed: int) -> Figures:
    """Pooled point accuracy and mIoU of `model` (put into evaluation mode), one draw of noise per
    cloud.

    Every call with the same seed gives the same noisy clouds.
    """
    assert isinstance(model, PartSegmenter)
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)

    def counted(some: Tensor) -> Confusion:
        x = noise.applied(data.x[some], generator)
        found = model(x.to(device), data.category[some].to(device)).argmax(1).cpu()
        return Confusion.count(data.labels[some].numpy(), found.numpy(), data.card.num_classes)

    batches = torch.split(torch.arange(len(data)), _VALIDATED_AT_ONCE)
    return Figures.pooled(map(counted, batches))


def noisy_batches(
    data: CloudTensors, settings: CloudSettings, randomness: Randomness
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Augmented noisy clouds (B, C, N), labels (B, N) and categories (B,); every cloud once per
    epoch."""
    rng, perturbation = randomness.order, settings.perturbation
    order = torch.from_numpy(rng.permutation(len(data)))
    for chosen in order.tensor_split(batches_an_epoch(len(data), settings.batch_size)):
        x = data.x[chosen]
        scale = torch.from_numpy(rng.uniform(*SCALE, (len(x), 1, 1)).astype(np.float32))
        shift = torch.from_numpy(rng.uniform(-SHIFT, SHIFT, (len(x), 3, 1)).astype(np.float32))
        view = torch.cat([x[:, :3] * scale + shift, x[:, 3:]], dim=1)
        yield (
            perturbation.applied(view, randomness.noise),
            data.labels[chosen],
            data.category[chosen],
        )
