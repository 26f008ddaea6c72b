"""Training of segmentation networks on images: noisy views, loss, class weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from certiseg.datasets.card import IGNORE, Card, Samples, reading_of, remarks_of
from certiseg.metrics.confusion import Confusion
from certiseg.models.efficientnet import DECODER_WIDTH, MEAN, STD
from certiseg.models.networks import EFFICIENT, UNET, TrainedModel
from certiseg.rounding import share_down
from certiseg.training.augment import AUGMENTATIONS, random_view
from certiseg.training.card import (
    STORED,
    card_page,
    describe_figures,
    figure_lines,
    size_words,
)
from certiseg.training.loading import CachedSamples, prefetch
from certiseg.training.randomness import Randomness, fixed_noise
from certiseg.training.settings import TrainSettings, check_memory
from certiseg.training.task import Figures, Forward, Task

ENTROPY = 0.5
"""Weight of the entropy of the mean prediction in ``consistency_loss``, as fixed by its source."""


class ImageTask(Task):
    """Training on images with labels. memory: GiB of decoded images to keep."""

    settings: TrainSettings
    about: Card
    model, command = TrainedModel, "train"
    check = "each batch holds labelled pixels"

    def __init__(
        self, train: Samples, val: Samples, settings: TrainSettings, memory: float = 4.0
    ) -> None:
        check_memory(memory)
        self.settings = settings
        self.about, self.size = train.card, len(train)
        self._samples, self._memory = (train, val), memory

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "reading": reading_of(self._samples[0])}

    def prepare(self, device: torch.device) -> None:
        self.train, self.val = (CachedSamples(part, self._memory) for part in self._samples)
        self._labels = {
            split: part.label_counts() for split, part in (("train", self.train), ("val", self.val))
        }
        shares = self._labels["train"].of_classes
        self._weight = class_weights(shares, self.settings.class_weight_power).to(device)

    def notes(self) -> list[str]:
        read = [text for part in self._samples for text in remarks_of(part)]
        counted = [
            f"{split}: {text}" for split, counts in self._labels.items() for text in counts.notes()
        ]
        return read + counted

    def losses(self, forward: Forward, randomness: Randomness) -> Iterator[Tensor]:
        settings = self.settings
        batches = noisy_batches(self.train, settings, randomness)
        # On a CPU the passes need all cores; a loading thread would only compete.
        for x, target in batches if settings.device == "cpu" else prefetch(batches):
            logits = forward(x.to(settings.device, memory_format=torch.channels_last))
            loss = F.cross_entropy(
                logits,
                target.to(settings.device),
                weight=self._weight,
                ignore_index=IGNORE,
                label_smoothing=settings.label_smoothing,
            )
            if settings.consistency > 0:
                loss = loss + consistency_loss(logits, settings.consistency)
            yield loss

    def validate(self, model: nn.Module) -> Figures:
        return validate(model, self.val, self.settings.sigma, self.settings.seed)

    def describe_model(self) -> dict[str, Any]:
        card, settings = self.about, self.settings
        mean, std = self.train.statistics()
        if settings.network == "unet":
            chosen: dict[str, Any] = {
                "class": UNET,
                "widths": list(settings.widths),
                "blocks": list(settings.blocks),
            }
        else:
            variant = settings.network.removeprefix("efficientnet-")
            chosen = {"class": EFFICIENT, "variant": variant, "width": DECODER_WIDTH}
            if card.channels == 3:
                mean, std = list(MEAN), list(STD)
        sizes = {"in_channels": card.channels, "num_classes": card.num_classes}
        return {
            "architecture": {**chosen, **sizes, "mean": mean, "std": std},
            "classes": list(card.classes),
            "palette": [list(colour) for colour in card.palette],
            "channels": card.channels,
        }

    def describe_figures(self, stored: nn.Module) -> dict[str, Any]:
        sigma, seed = self.settings.sigma, self.settings.seed
        clean = validate(stored, self.val, 0.0, seed)
        noisy = validate(stored, self.val, sigma, seed) if sigma > 0 else None
        return {"split": "val", "weights": STORED, **describe_figures(clean, noisy, seed)}

    def describe_splits(self) -> dict[str, Any]:
        choice = "highest mIoU under one fixed draw of noise each"
        return {
            "reading": reading_of(self._samples[0]),
            "without_labels": list(self._labels["train"].without_truth),
            "train": f"train split, {self.size} images",
            "choice": f"val split, {len(self.val)} images: {choice}",
        }

    def page(self, card: dict[str, Any]) -> str:
        run, plan, figures = card["training"], card["architecture"], card["figures"]
        low = run["sigma_from"]
        sigma = f"= {run['sigma']}" if low is None else f"between {low} and {run['sigma']}"
        noise = f"with Gaussian noise of sigma {sigma} in [0, 1] input units"
        kind = plan["class"].rpartition(".")[2]
        elsewhere = ("class", "in_channels", "num_classes")
        spelled = ", ".join(
            f"{name} {value}" for name, value in plan.items() if name not in elsewhere
        )
        rows = {"clean": "clean", "one_draw": f"one draw of noise, sigma = {run['sigma']}"}
        return card_page(
            card,
            f"{kind}, {size_words(card)}, trained {noise if run['sigma'] > 0 else 'without noise'}"
            ".",
            [
                ("on the val split", "accuracy", "mIoU"),
                *(
                    (words, share_down(found["accuracy"]), share_down(found["miou"]))
                    for name, words in rows.items()
                    if (found := figures[name]) is not None
                ),
            ],
            "The checkpoint was chosen on this val split: these figures are optimistically biased "
            "by that choice.",
            [
                f"Classes: {', '.join(card['classes'])}. Channels: {card['channels']}",
                f"Architecture: {spelled}",
            ],
        )

    def summary(self, card: dict[str, Any]) -> list[str]:
        return figure_lines({"val": card["figures"]})


@torch.no_grad()
def validate(model: nn.Module, data: CachedSamples, sigma: float, seed: int) -> Figures:
    """Pooled accuracy and mIoU of `model` (put into evaluation mode) under noise sigma * N(0, I),
    unclipped.

    The noise of image i depends on (seed, i) alone: every call sees the same noisy images.
    """
    model.eval()
    device = next(model.parameters()).device

    def counted(index: int) -> Confusion:
        image, labels = data[index]
        x = image.to(torch.float32)[None] / 255
        if sigma > 0:
            x = x + sigma * fixed_noise(x.shape, seed, index)
        prediction = model(x.to(device)).argmax(1)[0].cpu().numpy()
        return Confusion.count(labels.numpy(), prediction, data.card.num_classes)

    return Figures.pooled(map(counted, range(len(data))))


def consistency_loss(logits: Tensor, weight: float) -> Tensor:
    """Divergence of each prediction from the mean prediction, plus the entropy of the mean.

    logits: (2 B, C, *out), the images under one draw, then the same images under another. With F_i
    the softmax under draw i and F their mean, this is the mean over components of weight * E_i KL(F
    || F_i) + ENTROPY * H(F). It is 0 where both draws give one label with probability 1:
    predictions that agree under noise are what certificates need.

    Source: Jeong & Shin 2020, Consistency regularization for certified robustness, eq. 7.
    """
    single = logits.log_softmax(dim=1)
    first, second = single.chunk(2)
    mean = torch.logaddexp(first, second) - torch.log(torch.tensor(2.0))
    share = mean.exp()
    entropy = -(share * mean).sum(dim=1).mean()
    cross = -(share * (first + second) / 2).sum(dim=1).mean()
    return weight * (cross - entropy) + ENTROPY * entropy


def noisy_batches(
    data: CachedSamples, settings: TrainSettings, randomness: Randomness
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented noisy inputs (B, C, h, w) and targets (B, h, w).

    Every image occurs once per epoch; of each batch this process gets its share. With consistency
    (2 B, ...): all views under one draw of noise each, then the same views under another.
    """
    noise, how = randomness.noise, AUGMENTATIONS[settings.augment]
    for chosen in randomness.batches(len(data), settings.batch_size):
        pairs = data.many(chosen)
        height, width = settings.crop or pairs[0][1].shape
        views = [random_view(*pair, (height, width), randomness.views, how) for pair in pairs]
        x = torch.stack([view for view, _ in views])
        targets = torch.stack([target for _, target in views])
        if settings.consistency > 0:
            x, targets = x.repeat(2, 1, 1, 1), targets.repeat(2, 1, 1)
        if settings.sigma > 0:
            x = x + _sigmas(len(x), settings, noise) * torch.randn(x.shape, generator=noise)
        yield x, targets


def _sigmas(number: int, settings: TrainSettings, noise: torch.Generator) -> float | Tensor:
    """Sigma of each input, (B, 1, 1, 1); both draws of an image have the same."""
    if settings.sigma_from is None and settings.clean == 0:
        return settings.sigma
    views = number // 2 if settings.consistency > 0 else number
    sigmas = torch.full((views, 1, 1, 1), settings.sigma)
    if settings.sigma_from is not None:
        share = torch.rand(views, 1, 1, 1, generator=noise)
        sigmas = settings.sigma_from + (settings.sigma - settings.sigma_from) * share
    if settings.clean > 0:
        sigmas = sigmas * (torch.rand(views, 1, 1, 1, generator=noise) >= settings.clean)
    return sigmas.repeat(number // views, 1, 1, 1)


def class_weights(labelled: NDArray[np.int64], power: float) -> Tensor:
    """Class weights (C,) ~ share ** -power with mean 1 over pixels; 0 for absent classes.

    labelled: number of pixels of each class, ints (C,).
    """
    shares = torch.from_numpy(labelled / labelled.sum())
    weights = torch.where(shares > 0, shares.clamp(min=1e-6) ** -power, 0.0)
    return (weights / (shares * weights).sum()).to(torch.float32)
