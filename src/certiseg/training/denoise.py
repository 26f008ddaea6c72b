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
from certiseg.models.outputs import tensor_of
from certiseg.training.denoise_settings import DenoiseSettings
from certiseg.training.descent import Chosen, Report, descend

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
            f"sigma {v.sigma:g}: {v.psnr:.2f} dB"
            + ("" if v.agreement is None else f", {v.agreement:.4f} of labels kept")
            for v in self.levels
        )


def fit_denoiser(
    model: nn.Module,
    train: Sequence[Tensor],
    val: Sequence[Tensor],
    settings: DenoiseSettings,
    guide: Guide | None,
    report: Report,
) -> Chosen:
    """Train `model` (denoised from noisy pictures, on settings.device) in place.

    train, val: uint8 (C, H, W). The loss is the share of the noise's power that is left, and with
    a guide settings.stability times its cross-entropy on the denoised picture against its own
    labels on the clean one (Salman et al. 2020). Deterministic for one machine, thread count and
    seed. Raises InputError when the loss stops being finite.
    """
    rng = np.random.default_rng(settings.seed)
    noise = torch.Generator().manual_seed(settings.seed)

    def losses() -> Iterator[Tensor]:
        for clean, sigma in _batches(train, settings, rng):
            drawn = sigma * torch.randn(clean.shape, generator=noise)
            x, scale = clean.to(settings.device), sigma.to(settings.device)
            restored = model(x + drawn.to(settings.device))
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
    )


@torch.no_grad()
def measure(
    denoiser: nn.Module,
    pictures: Sequence[Tensor],
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
    for index, picture in enumerate(pictures):
        clean = (picture.to(torch.float32)[None] / 255).to(device)
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
    pictures: Sequence[Tensor], settings: DenoiseSettings, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Clean crops (B, C, h, w) in [0, 1] and a sigma for each (B, 1, 1, 1), every picture once an
    epoch. Crops are cut and mirrored, never resized: resizing would smooth what is to be learnt."""
    height, width = settings.crop or smallest(pictures)
    order = rng.permutation(len(pictures))
    for start in range(0, len(order), settings.batch_size):
        views = []
        for index in order[start : start + settings.batch_size]:
            picture = pictures[index]
            top = int(rng.integers(picture.shape[1] - height + 1))
            left = int(rng.integers(picture.shape[2] - width + 1))
            view = picture[:, top : top + height, left : left + width]
            views.append(view.flip(-1) if rng.random() < 0.5 else view)
        sigma = rng.uniform(settings.levels[0], settings.sigma, (len(views), 1, 1, 1)).astype(
            np.float32
        )
        yield torch.stack(views).to(torch.float32) / 255, torch.from_numpy(sigma)


def smallest(pictures: Sequence[Tensor]) -> tuple[int, int]:
    """The size (H, W) that every picture has at least."""
    return min(p.shape[1] for p in pictures), min(p.shape[2] for p in pictures)


def check_crop(pictures: Sequence[Tensor], crop: tuple[int, int] | None) -> None:
    """Raise InputError unless every picture is as large as the crop."""
    height, width = smallest(pictures)
    if crop is not None and (height < crop[0] or width < crop[1]):
        raise InputError(
            f"expected pictures of at least {crop[0]} x {crop[1]} pixels, the crop, got one of "
            f"{height} x {width} at most; lower --crop or leave it out"
        )
