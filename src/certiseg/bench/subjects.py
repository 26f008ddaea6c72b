"""The models that are measured, each with the picture it looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from certiseg.bench.options import Options
from certiseg.errors import InputError
from certiseg.models.hrnet import HRNetV2
from certiseg.models.hrnet.published import MEAN as IMAGENET_MEAN
from certiseg.models.hrnet.published import STD as IMAGENET_STD
from certiseg.models.preprocess import Preprocess
from certiseg.noise import Gaussian
from certiseg.rounding import exact
from certiseg.runs.model import channels_of, open_model
from certiseg.sampling.engine import Engine
from certiseg.sampling.sampler import Smoothed

NOISE = Gaussian(0.25)
CAMVID, HRNET, COARSE = "certiseg:camvid", "hrnet-w48", "coarse-150"
CAMVID_SIZE, CITYSCAPES_SIZE = (360, 480), (1024, 2048)


@dataclass(frozen=True)
class Subject:
    """A model on its device, the picture x (C, H, W) in [0, 1] there, and how many draws to time.

    classes: None where only its output tells. note: what is special about it.
    """

    name: str
    model: Callable[[Tensor], Any]
    x: Tensor
    draws: int
    classes: int | None = None
    engine: Engine = field(default_factory=Engine)
    note: str = ""

    @property
    def device(self) -> torch.device:
        return self.x.device

    @property
    def parameters(self) -> int | None:
        """None of a function."""
        if not isinstance(self.model, nn.Module):
            return None
        return sum(p.numel() for p in self.model.parameters())

    def smoothed(self) -> Smoothed:
        return Smoothed(self.model, NOISE, self.classes, device=self.device, engine=self.engine)


def subject(spec: str, options: Options) -> Subject:
    """What --model names, or one of the benchmark's own: hrnet-w48, coarse-150.

    Random weights where the benchmark makes the model: its speed does not depend on them.
    """
    device = options.on()
    torch.manual_seed(options.seed)
    if spec == HRNET:
        return _hrnet(options, device)
    if spec == COARSE:
        size = options.size or CITYSCAPES_SIZE
        x = picture(3, size, options.seed, device)
        model = CoarseNet(150).eval().to(device)
        return Subject(spec, model, x, options.num_samples or 4, engine=options.engine)
    loaded = open_model(spec, num_classes=options.num_classes, channels=options.channels)
    if loaded.kind == "clouds":
        raise InputError(
            f"expected a model of pictures, got {spec}; of clouds: python benchmarks/clouds.py"
        )
    if isinstance(loaded.model, nn.Module):
        loaded.model.to(device)
    size = options.size or ((48, 64) if options.quick else CAMVID_SIZE)
    x = picture(channels_of(loaded), size, options.seed, device)
    draws = options.num_samples or (12 if options.quick else 100)
    return Subject(spec, loaded.model, x, draws, loaded.num_classes, options.engine)


def picture(channels: int, size: tuple[int, int], seed: int, device: torch.device) -> Tensor:
    """A made-up picture (C, H, W) in [0, 1] of soft patches, the same for every device."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, channels, 6, 8), generator=generator)
    fine = functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return fine[0].clamp_(0, 1).to(device)


class CoarseNet(nn.Module):
    """A few layers at 1/4 of the size and as many classes as asked, returned as Hugging Face's
    models do: under "logits", for the caller to upsample."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, num_classes, 1),
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.layers(x)}


def _hrnet(options: Options, device: torch.device) -> Subject:
    """The paper's network at Cityscapes' size: noise at full size, resized to the scale, labels of
    full size."""
    gpu = device.type == "cuda"
    scale = 0.5 if gpu else 0.25
    size = options.size or ((64, 128) if options.quick else CITYSCAPES_SIZE)
    x = picture(3, size, options.seed, device)
    draws = options.num_samples or (2 if options.quick else 100 if gpu else 8)
    network = Preprocess(HRNetV2(19), IMAGENET_MEAN, IMAGENET_STD, scale=scale)
    model = network.eval().to(device)
    note = f"random weights, scale {exact(scale)}"
    return Subject(HRNET, model, x, draws, 19, options.engine, note)
