"""Training of denoisers on noisy crops: squared error, and optionally preservation of a network's
labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.datasets.card import Samples, reading_of, remarks_of
from certiseg.datasets.folder import ImageFolder
from certiseg.errors import InputError
from certiseg.models.denoise import TrainedDenoiser
from certiseg.models.loaded import LoadedModel
from certiseg.outputs.tensors import scores_of, tensor_of
from certiseg.rounding import exact, nearest, share_down
from certiseg.sampling.checks import check_evaluation_mode
from certiseg.sampling.fingerprint import model_fingerprint
from certiseg.training.card import STORED, bare, card_page, size_words
from certiseg.training.loading import Cached, CachedImages, prefetch
from certiseg.training.randomness import Randomness, fixed_noise
from certiseg.training.settings import DenoiseSettings, check_memory
from certiseg.training.task import Forward, Task

Guide = nn.Module | Callable[[Tensor], Any]
"""The segmentation network that the denoiser is trained for; its weights stay fixed."""

_TWO_LOGITS = (
    "return torch.cat([torch.zeros_like(z), z], dim=1) of its logit z, which is torch.logit(p) of "
    "a probability p"
)


@dataclass(frozen=True)
class Level:
    """Means over images at one sigma. psnr: in dB. agreement: share of pixels to which the guide
    gives the same label as on the clean image."""

    sigma: float
    psnr: float
    agreement: float | None


@dataclass(frozen=True)
class Restored:
    """Validation metrics at each sigma."""

    levels: tuple[Level, ...]

    @property
    def score(self) -> float:
        """Mean agreement with a guide, else mean PSNR."""
        values = [v.psnr if v.agreement is None else v.agreement for v in self.levels]
        return sum(values) / len(values)

    def words(self) -> str:
        return ", ".join(
            f"sigma {exact(v.sigma)}: {nearest(v.psnr, 2)} dB"
            + ("" if v.agreement is None else f", {share_down(v.agreement)} of labels kept")
            for v in self.levels
        )


class DenoiserTask(Task):
    """Training on images: those of a data set, whose labels are not used, or of a folder.

    loaded: the segmentation network whose labels should be preserved, if any. memory: GiB of
    decoded images to keep.
    """

    settings: DenoiseSettings
    model, command = TrainedDenoiser, "train denoiser"
    check = "the images are valid"

    def __init__(
        self,
        train: Samples | ImageFolder,
        val: Samples | ImageFolder,
        settings: DenoiseSettings,
        loaded: LoadedModel | None = None,
        memory: float = 4.0,
    ) -> None:
        check_memory(memory)
        self.settings = settings
        self.about, self.size = train if isinstance(train, ImageFolder) else train.card, len(train)
        self._images, self._memory, self._loaded = (train, val), memory, loaded
        self._guided: dict[str, str] | None = None
        if loaded is not None:
            fingerprint = model_fingerprint(loaded.model)[0]
            self._guided = {"name": bare(loaded.name), "fingerprint": fingerprint}

    def facts(self) -> dict[str, Any]:
        return {
            **super().facts(),
            "reading": reading_of(self._images[0]),
            "for": self._guided,
        }

    def prepare(self, device: torch.device) -> None:
        self.train, self.val = (CachedImages(part, self._memory) for part in self._images)
        self._crop = self.settings.crop or smallest(self.train)
        self._guide = None if self._loaded is None else self._checked(self._loaded, device)

    def notes(self) -> list[str]:
        return [text for part in self._images for text in remarks_of(part)]

    def losses(self, forward: Forward, randomness: Randomness) -> Iterator[Tensor]:
        """Squared error relative to the noise power; with a guide, plus settings.stability times
        its cross-entropy on the denoised image against its labels of the clean one (Salman et al.
        2020)."""
        settings, guide = self.settings, self._guide
        batches = noisy_batches(self.train, self._crop, settings, randomness)
        for parts in batches if settings.device == "cpu" else prefetch(batches):
            x, drawn, scale = (part.to(settings.device) for part in parts)
            restored = forward(x + drawn)
            loss = (((restored - x) / scale) ** 2).mean()
            if guide is not None and settings.stability > 0:
                with torch.no_grad():
                    labels = tensor_of(guide(x))[0].argmax(1)
                kept = F.cross_entropy(tensor_of(guide(restored))[0], labels)
                loss = loss + settings.stability * kept
            yield loss

    def validate(self, model: nn.Module) -> Restored:
        return measure(model, self.val, self.settings.levels, self.settings.seed, self._guide)

    def describe_model(self) -> dict[str, Any]:
        channels = self.about.channels
        return {
            "architecture": {
                "class": "certiseg.models.denoise.SmallDenoiser",
                "channels": channels,
                "widths": list(self.settings.widths),
                "blocks": list(self.settings.blocks),
            },
            "channels": channels,
        }

    def describe_figures(self, stored: nn.Module) -> dict[str, Any]:
        levels, seed = self.settings.levels, self.settings.seed
        device = next(stored.parameters()).device
        noisy = measure(nn.Identity(), self.val, levels, seed, self._guide, device)
        return {
            "split": "val",
            "weights": STORED,
            "noise_seed": seed,
            "noisy": [asdict(level) for level in noisy.levels],
            "denoised": [asdict(level) for level in self.validate(stored).levels],
        }

    def describe_splits(self) -> dict[str, Any]:
        by = "mean PSNR" if self._guide is None else "share of labels kept"
        return {
            "reading": reading_of(self._images[0]),
            "train": f"{self.size} images, without their labels",
            "choice": f"{len(self.val)} validation images: highest {by} under one fixed draw each",
        }

    def describe_training(self) -> dict[str, Any]:
        return {**super().describe_training(), "for": self._guided}

    def page(self, card: dict[str, Any]) -> str:
        run, figures, plan = card["training"], card["figures"], card["architecture"]
        low, high, guide = run["sigma_from"], exact(run["sigma"]), run["for"]
        noise = f"sigma = {high}" if low is None else f"sigma between {exact(low)} and {high}"
        objective = "squared error"
        if guide is not None:
            objective += (
                f" and {exact(run['stability'])} x cross-entropy for {guide['name']} "
                f"(fingerprint {guide['fingerprint'][:12]})"
            )
        return card_page(
            card,
            "A denoiser to put before a segmentation network that never saw noise: SmallDenoiser, "
            f"{size_words(card)}, for Gaussian noise of {noise} in [0, 1] input units.",
            [
                ("sigma", "PSNR noisy, dB", "denoised, dB", "labels kept under noise", "denoised"),
                *(
                    (
                        exact(before["sigma"]),
                        *(nearest(found["psnr"], 2) for found in (before, after)),
                        *(share_down(found["agreement"]) for found in (before, after)),
                    )
                    for before, after in zip(figures["noisy"], figures["denoised"], strict=True)
                ),
            ],
            "On the validation images, one draw of noise each, means over images. Labels kept: "
            "share of pixels that keep their label on the clean image, by the network the denoiser "
            "is for. The checkpoint was chosen on these images, so the figures are "
            "optimistically biased by that choice.",
            [
                f"Objective: {objective}",
                f"Channels: {card['channels']}. Architecture: widths {plan['widths']}, blocks "
                f"{plan['blocks']}",
            ],
        )

    def summary(self, card: dict[str, Any]) -> list[str]:
        figures, lines = card["figures"], []
        for before, after in zip(figures["noisy"], figures["denoised"], strict=True):
            line = f"val, sigma {exact(before['sigma'])}: "
            line += " -> ".join(nearest(found["psnr"], 2) for found in (before, after)) + " dB"
            if after["agreement"] is not None:
                kept = (share_down(found["agreement"]) for found in (before, after))
                line += f"; labels kept {' -> '.join(kept)}"
            lines.append(line)
        return lines

    def _checked(self, loaded: LoadedModel, device: torch.device) -> Guide:
        """The network, checked on one image: it must accept it and return logits with a
        gradient."""
        if loaded.kind == "clouds":
            raise InputError(
                f"expected a model of images with --for, got {loaded.name}, which is a model of "
                "point clouds"
            )
        if loaded.channels is not None and loaded.channels != self.about.channels:
            raise InputError(
                f"expected a model for the {self.about.channels} channels of {self.about.name} "
                f"with --for, got one for {loaded.channels}; choose another model or other data"
            )
        model = loaded.model
        check_evaluation_mode(model)
        if isinstance(model, nn.Module):
            model.to(device).requires_grad_(False)
        x = (self.val[0][None].to(torch.float32) / 255).to(device).requires_grad_()
        logits = scores_of(model(x), x.shape[2:], _TWO_LOGITS)
        if logits.ndim != 4 or not logits.requires_grad:
            raise InputError(
                f"expected logits (B, classes, H, W) with a gradient from {loaded.name}, got "
                f"{logits.dtype} of shape {tuple(logits.shape)}; leave --for out"
            )
        return model


@torch.no_grad()
def measure(
    denoiser: nn.Module,
    images: Cached[Tensor],
    sigmas: Sequence[float],
    seed: int,
    guide: Guide | None,
    device: str | torch.device | None = None,
) -> Restored:
    """PSNR and agreement of `denoiser` (put into evaluation mode) at each sigma; nn.Identity gives
    those of the noisy input.

    The noise of image i depends on (seed, i) alone, scaled by sigma. device: default that of the
    denoiser's parameters.
    """
    denoiser.eval()
    device = next(denoiser.parameters()).device if device is None else device
    decibels, kept = np.zeros(len(sigmas)), np.zeros(len(sigmas))
    for index in range(len(images)):
        clean = (images[index].to(torch.float32)[None] / 255).to(device)
        drawn = fixed_noise(clean.shape, seed, index).to(device)
        labels = None if guide is None else tensor_of(guide(clean))[0].argmax(1)
        for place, sigma in enumerate(sigmas):
            restored = denoiser(clean + sigma * drawn)
            decibels[place] -= 10 * math.log10(float(((restored - clean) ** 2).mean()))
            if guide is not None and labels is not None:
                found = tensor_of(guide(restored))[0].argmax(1)
                kept[place] += float(torch.eq(found, labels).float().mean())
    count = len(images)
    return Restored(
        tuple(
            Level(sigma, float(d / count), None if guide is None else float(k / count))
            for sigma, d, k in zip(sigmas, decibels, kept, strict=True)
        )
    )


def noisy_batches(
    images: Cached[Tensor],
    crop: tuple[int, int],
    settings: DenoiseSettings,
    randomness: Randomness,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Clean crops (B, C, h, w) in [0, 1], their noise, and its sigmas (B, 1, 1, 1).

    Every image occurs once per epoch; of each batch this process gets its share. Crops are cut and
    mirrored, never resized: resizing would smooth the detail that is to be learnt.
    """
    rng = randomness.views
    for chosen in randomness.batches(len(images), settings.batch_size):
        views = [_view(image, crop, rng) for image in images.many(chosen)]
        clean = torch.stack(views).to(torch.float32) / 255
        drawn = rng.uniform(settings.levels[0], settings.sigma, (len(views), 1, 1, 1))
        sigma = torch.from_numpy(drawn.astype(np.float32))
        yield clean, sigma * torch.randn(clean.shape, generator=randomness.noise), sigma


def _view(image: Tensor, crop: tuple[int, int], rng: np.random.Generator) -> Tensor:
    height, width = image.shape[1:]
    if height < crop[0] or width < crop[1]:
        raise InputError(
            f"expected images of at least {crop[0]} x {crop[1]} pixels, the crop, got one of "
            f"{height} x {width}; lower --crop or leave it out"
        )
    top = int(rng.integers(height - crop[0] + 1))
    left = int(rng.integers(width - crop[1] + 1))
    view = image[:, top : top + crop[0], left : left + crop[1]]
    return view.flip(-1) if rng.random() < 0.5 else view


def smallest(images: Cached[Tensor]) -> tuple[int, int]:
    """Smallest height and smallest width (H, W) over all images."""
    sizes = [images[index].shape[1:] for index in range(len(images))]
    return min(h for h, _ in sizes), min(w for _, w in sizes)
