"""The settings of trainings: one frozen record per task, checked before any data is read.

A field annotated with a sentence is also an option of the command, with its name and default; the
sentence is the option's help. This module does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from certiseg.errors import InputError

if TYPE_CHECKING:
    from certiseg.datasets.card import Card
    from certiseg.models.pointnet.network import Plan
    from certiseg.training.cloud_noise import CloudNoise

Precision = Literal["float32", "bfloat16", "float16"]
Preset = Literal["small", "msg"]
Augment = Literal["basic", "strong"]
Disturbance = Literal["none", "coordinates", "rotation"]
Axis = Literal["x", "y", "z"]

Epochs = Annotated[int, "Passes over the training data."]
BatchSize = Annotated[int, "Images or clouds per step."]
Crop = Annotated[tuple[int, int] | None, "Training crop HxW; default: whole images."]
Rate = Annotated[float, "Highest learning rate."]
Seed = Annotated[int, "Seed of weights, order, crops and noise."]
Device = Annotated[str, "Torch device."]
Widths = Annotated[tuple[int, ...], "Channels at 1/2, 1/4, ..."]
Blocks = Annotated[tuple[int, ...], "Residual blocks at 1/2, 1/4, ..."]
Passes = Annotated[Precision, "Precision of training passes; float16 only on CUDA."]


@dataclass(frozen=True)
class TrainSettings:
    """Training of a segmentation network on images.

    sigma: noise in [0, 1] input units, 0 for none; with sigma_from, the sigma of each view is
    uniform in [sigma_from, sigma]. crop: (H, W), None = whole images. network: a key of
    ``models.networks.NETWORKS``; widths and blocks are the U-Net's.

    clean: share of views that get no noise, so that clean images are known too. augment: a key of
    ``training.augment.AUGMENTATIONS``.

    consistency: weight of ``training.images.consistency_loss``; above 0 each image of a batch is
    seen under two draws.

    class_weight_power: class weights are (1 / share of pixels) ** power; 0 = unweighted.
    label_smoothing: share of the target spread over all classes.
    """

    sigma: Annotated[float, "Noise in [0, 1] input units; 0 = none."]
    sigma_from: Annotated[
        float | None, "Noise level of each view, uniform between this and --sigma."
    ] = None
    clean: Annotated[float, "Share of views without noise, such as 0.2."] = 0.0
    augment: Annotated[Augment, "Strength of random crops, colours, blur and cut-outs."] = "basic"
    consistency: Annotated[
        float, "Weight of the consistency loss between two draws of noise; 5 to 20 is usual."
    ] = 0.0
    network: Annotated[str, "unet, or efficientnet-lite0, -lite0-short, -lite1, -lite2."] = "unet"
    epochs: Epochs = 60
    crop: Crop = None
    batch_size: BatchSize = 8
    lr: Rate = 3e-3
    widths: Widths = (24, 32, 64, 96, 120)
    blocks: Blocks = (0, 2, 2, 2, 1)
    seed: Seed = 0
    device: Device = "cpu"
    precision: Passes = "float32"
    weight_decay: float = 0.01
    class_weight_power: float = 0.25
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        from certiseg.models.networks import NETWORKS

        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise InputError(f"expected sigma >= 0, got {self.sigma}; 0 trains without noise")
        if self.sigma_from is not None and not 0 <= self.sigma_from <= self.sigma:
            raise InputError(
                f"expected a range of noise that starts in [0, {self.sigma:g}], got "
                f"{self.sigma_from:g}; --sigma is its upper end"
            )
        if not 0 <= self.clean < 1:
            raise InputError(
                f"expected a share of clean views in [0, 1), got {self.clean}; 0.2 is usual"
            )
        if self.augment not in get_args(Augment):
            raise InputError(
                f"expected an augmentation among {', '.join(get_args(Augment))}, got "
                f"{self.augment!r}; choose one"
            )
        _check_weight("consistency", self.consistency, "5 to 20 is usual")
        if self.consistency > 0 and self.sigma == 0:
            raise InputError(
                "expected noise with consistency, got sigma 0; without noise all views agree"
            )
        if self.network not in NETWORKS:
            raise InputError(
                f"expected a network among {', '.join(NETWORKS)}, got {self.network!r}; choose one"
            )
        _check_pace(self.epochs, self.batch_size, self.lr, self.seed)
        _check_passes(self.crop, self.precision, self.device)
        _check_levels(self.widths, self.blocks)


@dataclass(frozen=True)
class DenoiseSettings:
    """Training of a denoiser of images.

    sigma: noise in [0, 1] input units; with sigma_from, the sigma of each image is uniform in
    [sigma_from, sigma]. crop: (H, W), None = the smallest height and width in the data. stability:
    weight of the segmentation network's cross-entropy, where there is one.
    """

    sigma: Annotated[float, "Noise in [0, 1] input units."]
    sigma_from: Annotated[
        float | None, "Noise level of each image, uniform between this and --sigma."
    ] = None
    epochs: Epochs = 60
    crop: Crop = None
    batch_size: BatchSize = 8
    lr: Rate = 4e-3
    stability: Annotated[
        float, "With --for: weight of preserving its labels; denoising has weight 1."
    ] = 0.1
    widths: Widths = (24, 48, 64, 96)
    blocks: Blocks = (0, 1, 2, 3)
    seed: Seed = 0
    device: Device = "cpu"
    precision: Passes = "float32"
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise InputError(f"expected sigma > 0, got {self.sigma}; such as 0.25")
        if self.sigma_from is not None and not 0 < self.sigma_from <= self.sigma:
            raise InputError(
                f"expected a range of noise that starts in (0, {self.sigma:g}], got "
                f"{self.sigma_from:g}; --sigma is its upper end"
            )
        _check_weight("a stability", self.stability, "0 leaves it out")
        _check_pace(self.epochs, self.batch_size, self.lr, self.seed)
        _check_passes(self.crop, self.precision, self.device)
        _check_levels(self.widths, self.blocks)

    @property
    def levels(self) -> tuple[float, ...]:
        """Sigmas used in validation: the ends of the range."""
        ends = (self.sigma if self.sigma_from is None else self.sigma_from, self.sigma)
        return tuple(dict.fromkeys(ends))


@dataclass(frozen=True)
class CloudSettings:
    """Training of PointNet++ on point clouds.

    noise, sigma, axis: the perturbation, drawn anew for each cloud in each epoch
    (``training.cloud_noise``). preset: the architecture.
    """

    noise: Annotated[Disturbance, "Gaussian on the coordinates, or rotation."] = "none"
    sigma: Annotated[float, "Noise level: in input units, or in radians for rotations."] = 0.0
    axis: Annotated[Axis | None, "Rotations around this axis; default: any axis."] = None
    preset: Annotated[Preset, "msg: as published."] = "small"
    epochs: Epochs = 12
    batch_size: BatchSize = 16
    lr: Rate = 2e-3
    seed: Seed = 0
    device: Device = "cpu"
    weight_decay: float = 0.01
    precision: ClassVar[Precision] = "float32"

    def __post_init__(self) -> None:
        if self.preset not in get_args(Preset):
            raise InputError(
                f"expected a preset among {', '.join(get_args(Preset))}, got {self.preset!r}"
            )
        _check_pace(self.epochs, self.batch_size, self.lr, self.seed, smallest=2)
        _ = self.perturbation

    @property
    def perturbation(self) -> CloudNoise:
        """The noise. Raises InputError where noise, sigma and axis do not fit together."""
        from certiseg.training.cloud_noise import CloudNoise

        return CloudNoise(self.noise, self.sigma, self.axis)

    def plan(self, card: Card) -> Plan:
        """The architecture for this card's clouds. Raises InputError for a card of images."""
        from certiseg.models.pointnet.network import msg, small

        if card.parts is None:
            raise InputError(
                f"expected point clouds with parts, got {card.name}; use certiseg train"
            )
        preset = {"small": small, "msg": msg}[self.preset]
        return preset(card.channels, len(card.parts), card.num_classes)


Settings = TrainSettings | DenoiseSettings | CloudSettings


def check_memory(gib: float) -> None:
    """Raise InputError unless gib is 0 or more."""
    if not gib >= 0:
        raise InputError(f"expected --memory 0 or more GiB, got {gib}; 4 is the default")


def _check_weight(name: str, value: float, remedy: str) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"expected {name} >= 0, got {value}; {remedy}")


def _check_pace(epochs: int, batch_size: int, lr: float, seed: int, *, smallest: int = 1) -> None:
    if epochs < 1 or batch_size < smallest:
        raise InputError(
            f"expected at least 1 epoch and a batch of at least {smallest}, got {epochs} and "
            f"{batch_size}; raise them"
        )
    if not (math.isfinite(lr) and lr > 0):
        raise InputError(f"expected a learning rate > 0, got {lr}; leave --lr out for the default")
    if not 0 <= seed < 2**63:
        raise InputError(f"expected a seed in [0, 2^63), got {seed}; 0 is the default")


def _check_passes(crop: tuple[int, int] | None, precision: str, device: str) -> None:
    if crop is not None and min(crop) < 16:
        raise InputError(
            f"expected a crop of at least 16 x 16, got {crop[0]} x {crop[1]}; "
            "enlarge it or leave it out"
        )
    if precision not in get_args(Precision):
        raise InputError(
            f"expected a precision among {', '.join(get_args(Precision))}, got {precision!r}; "
            "float32 is the default"
        )
    if precision == "float16" and not device.startswith("cuda"):
        raise InputError(
            f"expected --precision float16 on a CUDA device, got {device}; use bfloat16 there"
        )


def _check_levels(widths: Sequence[int], blocks: Sequence[int]) -> None:
    """Raise InputError unless widths and blocks describe the levels of a U-Net."""
    if len(widths) < 2 or len(widths) != len(blocks) or min(widths) < 1 or min(blocks) < 0:
        raise InputError(
            f"expected as many blocks as widths, two or more, got widths {tuple(widths)} and "
            f"blocks {tuple(blocks)}; for example 24,32,64 and 0,2,1"
        )
