"""The subject of a benchmark: a model on its device, an image, and the user's options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from certiseg.datasets.images import read_image
from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.runs.device import usable_device
from certiseg.runs.model import channels_of, open_model
from certiseg.sampling.engine import Engine
from certiseg.sampling.sampler import Smoothed

NOISE = Gaussian(0.25)
CAMVID, CAMVID_SIZE = "certiseg:camvid", (360, 480)


@dataclass(frozen=True)
class Options:
    """The options of all benchmarks.

    Args:
        turns: number of repetitions of each timing.
        seed: of images, weights and draws.
        models: as after --model; empty for the benchmark's default.
        size: (H, W) of the image; None for the benchmark's default.
        image: file of an image, instead of a random one.
        num_samples: draws; None for the benchmark's default.
        num_classes: of a model that does not declare them.
        binary: the output of a model with one channel, as after --binary.
        channels: of a model that does not declare them.
        device: None for the CPU.
        engine: how passes are run, on both sides of a comparison.
        quick: very small sizes, to check that it runs; the figures mean nothing.
        progress: show a bar on standard error.
        command: as the user typed it.
    """

    turns: int = 5
    seed: int = 0
    models: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    image: Path | None = None
    num_samples: int | None = None
    num_classes: int | None = None
    binary: str | None = None
    channels: int | None = None
    device: str | None = None
    engine: Engine = field(default_factory=Engine)
    quick: bool = False
    progress: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.turns < 1:
            raise InputError(f"expected --turns 1 or more, got {self.turns}; 5 tell the spread")
        if self.num_samples is not None and self.num_samples < 1:
            raise InputError(f"expected -n 1 or more, got {self.num_samples}; 100 is usual")
        if self.seed < 0:
            raise InputError(f"expected --seed 0 or more, got {self.seed}; any number will do")

        if self.image is not None and self.size is not None:
            raise InputError("expected --image or --size, got both; leave --size out")

    def on(self) -> torch.device:
        """The device. Raises InputError if this machine does not have it."""
        device = usable_device(self.device or "cpu")
        self.engine.check_device(device)
        return device


@dataclass(frozen=True)
class Subject:
    """A model on its device, an image x (C, H, W) in [0, 1] on the same device, and the number of
    draws.

    classes: None where only the model's output shows them.
    """

    name: str
    model: Callable[[Tensor], Any]
    x: Tensor
    draws: int
    classes: int | None = None
    engine: Engine = field(default_factory=Engine)

    @property
    def device(self) -> torch.device:
        return self.x.device

    @property
    def parameters(self) -> int | None:
        """Number of parameters; None for a function."""
        if not isinstance(self.model, nn.Module):
            return None
        return sum(p.numel() for p in nn.Module.parameters(self.model))

    def smoothed(self) -> Smoothed:
        return Smoothed(self.model, NOISE, self.classes, device=self.device, engine=self.engine)


def subject(spec: str, options: Options) -> Subject:
    """Load the model that --model names. Raises InputError for a model of point clouds."""
    device = options.on()
    torch.manual_seed(options.seed)
    loaded = open_model(
        spec,
        num_classes=options.num_classes,
        channels=options.channels,
        binary=options.binary,
    )
    if loaded.kind == "clouds":
        raise InputError(
            f"expected a model of images, got {spec}; for clouds run python benchmarks/clouds.py"
        )
    if isinstance(loaded.model, nn.Module):
        loaded.model.to(device)
    channels = channels_of(loaded)
    if options.image is not None:
        x = torch.from_numpy(read_image(options.image, channels)).to(device)
    else:
        size = options.size or ((48, 64) if options.quick else CAMVID_SIZE)
        x = synthetic_image(channels, size, options.seed, device)
    draws = options.num_samples or (12 if options.quick else 100)
    return Subject(spec, loaded.model, x, draws, loaded.num_classes, options.engine)


def synthetic_image(
    channels: int, size: tuple[int, int], seed: int, device: torch.device
) -> Tensor:
    """A smooth random image (C, H, W) in [0, 1], the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, channels, 6, 8), generator=generator)
    fine = functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return fine[0].clamp_(0, 1).to(device)
