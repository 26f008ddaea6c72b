"""Training of a denoiser: noisy crops, what is left of their noise, and labels that stay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.outputs.decide import tensor_of
from certiseg.rounding import exact, nearest, share_down
from certiseg.training.ahead import ahead
from certiseg.training.denoise_settings import DenoiseSettings
from certiseg.training.descent import Chosen, Forward, Means, Report, descend
from certiseg.training.memory import Kept
from certiseg.training.processes import ALONE, Processes
from certiseg.training.randomness import Randomness

Guide = nn.Module | Callable[[Tensor], Any]
"""The segmentation network that a denoiser is for; it is never trained."""


@dataclass(frozen=True)
class Level:
    """Means over pictures at one sigma. psnr: in dB. agreement: share of pixels to which the guide
    gives the label it gives on the clean picture."""

    sigma: float
    psnr: float
    agreement: float | None


@dataclass(frozen=True)
class Restored:
    """Figures at each sigma that was measured."""

    levels: tuple[Level, ...]

    @property
    def score(self) -> float:
        """Mean agreement, or mean PSNR where there is no guide."""
        values = [v.psnr if v.agreement is None else v.agreement for v in self.levels]
        return sum(values) / len(values)

    def words(self) -> str:
        return ", ".join(
            f"sigma {exact(v.sigma)}: {nearest(v.psnr, 2)} dB"
            + ("" if v.agreement is None else f", {share_down(v.agreement)} of labels kept")
            for v in self.levels
        )


def fit_denoiser(
    model: nn.Module,
    train: Kept[Tensor],
    val: Kept[Tensor],
    settings: DenoiseSettings,
    guide: Guide | None,
    report: Report,
    means: Means,
) -> Chosen | None:
    """Train `model` (denoised from noisy pictures, on settings.device) in place.

    train, val: uint8 (C, H, W). The loss is the share of the noise's power that is left, and with
    a guide settings.stability times its cross-entropy on the denoised picture against its own
    labels on the clean one (Salman et al. 2020). Deterministic for one machine, thread count and
    seed. Raises InputError when the loss stops being finite.
    """
    randomness = Randomness(settings.seed, means.processes)
    crop = settings.crop or smallest(train)

    def losses(forward: Forward) -> Iterator[Tensor]:
        batches = _batches(train, crop, settings, randomness, means.processes)
        for parts in batches if settings.device == "cpu" else ahead(batches):
            x, drawn, scale = (part.to(settings.device) for part in parts)
            restored = forward(x + drawn)
            loss = (((restored - x) / scale) ** 2).mean()
            if guide is not None and settings.stability > 0:
                loss = loss + settings.stability * _stability(guide, restored, x)
            yield loss

    return descend(
        model,
        losses,
        lambda average: measure(average, val, settings.levels, settings.seed, guide),
        settings,
        math.ceil(len(train) / settings.batch_size),
        report,
        check="the pictures are in order",
        randomness=randomness,
        means=means,
        precision=settings.precision,
    )


@torch.no_grad()
def measure(
    denoiser: nn.Module,
    pictures: Kept[Tensor],
    sigmas: Sequence[float],
    seed: int,
    guide: Guide | None,
    device: str | torch.device | None = None,
) -> Restored:
    """Figures of `denoiser` (put into eval mode); those of nn.Identity are the noise's own.

    The noise of picture i depends on (seed, i) alone, and sigma scales it. device: default that of
    the denoiser's parameters.
    """
    denoiser.eval()
    device = next(denoiser.parameters()).device if device is None else device
    decibels, kept = np.zeros(len(sigmas)), np.zeros(len(sigmas))
    for index in range(len(pictures)):
        clean = (pictures[index].to(torch.float32)[None] / 255).to(device)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        drawn = torch.randn(clean.shape, generator=generator).to(device)
        truth = None if guide is None else tensor_of(guide(clean))[0].argmax(1)
        for place, sigma in enumerate(sigmas):
            restored = denoiser(clean + sigma * drawn)
            decibels[place] -= 10 * math.log10(float(((restored - clean) ** 2).mean()))
            if guide is not None and truth is not None:
                found = tensor_of(guide(restored))[0].argmax(1)
                kept[place] += float(torch.eq(found, truth).float().mean())
    count = len(pictures)
    return Restored(
        tuple(
            Level(sigma, float(d / count), None if guide is None else float(k / count))
            for sigma, d, k in zip(sigmas, decibels, kept, strict=True)
        )
    )


def _stability(guide: Guide, restored: Tensor, clean: Tensor) -> Tensor:
    with torch.no_grad():
        labels = tensor_of(guide(clean))[0].argmax(1)
    return F.cross_entropy(tensor_of(guide(restored))[0], labels)


def _batches(
    pictures: Kept[Tensor],
    crop: tuple[int, int],
    settings: DenoiseSettings,
    randomness: Randomness,
    processes: Processes = ALONE,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Clean crops (B, C, h, w) in [0, 1], their noise, and its sigmas (B, 1, 1, 1); every picture
    once an epoch, of each batch the share of this process.

    Crops are cut and mirrored, never resized: resizing would smooth what is to be learnt.
    """
    rng = randomness.views
    order = randomness.order.permutation(len(pictures))
    for start in range(0, len(order), settings.batch_size):
        chosen = processes.share(order[start : start + settings.batch_size])
        views = [_view(picture, crop, rng) for picture in pictures.many(chosen.tolist())]
        clean = torch.stack(views).to(torch.float32) / 255
        drawn = rng.uniform(settings.levels[0], settings.sigma, (len(views), 1, 1, 1))
        sigma = torch.from_numpy(drawn.astype(np.float32))
        yield clean, sigma * torch.randn(clean.shape, generator=randomness.noise), sigma


def _view(picture: Tensor, crop: tuple[int, int], rng: np.random.Generator) -> Tensor:
    height, width = picture.shape[1:]
    if height < crop[0] or width < crop[1]:
        raise InputError(
            f"expected pictures of at least {crop[0]} x {crop[1]} pixels, the crop, got one of "
            f"{height} x {width}; lower --crop or leave it out"
        )
    top = int(rng.integers(height - crop[0] + 1))
    left = int(rng.integers(width - crop[1] + 1))
    view = picture[:, top : top + crop[0], left : left + crop[1]]
    return view.flip(-1) if rng.random() < 0.5 else view


def smallest(pictures: Kept[Tensor]) -> tuple[int, int]:
    """The size (H, W) that every picture has at least."""
    sizes = [pictures[index].shape[1:] for index in range(len(pictures))]
    return min(h for h, _ in sizes), min(w for _, w in sizes)
