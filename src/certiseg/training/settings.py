"""What a training run is told: one frozen record, checked before anything is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from certiseg.errors import InputError
from certiseg.models.networks import NETWORKS
from certiseg.training.checks import check_crop, check_levels, check_pace
from certiseg.training.precision import check_precision


@dataclass(frozen=True)
class TrainSettings:
    """sigma: noise in [0, 1] input units, 0 for none; with sigma_from, of each view its own, even
    in sigma_from .. sigma. crop: (H, W), None = whole pictures. network: a key of
    ``models.networks.NETWORKS``; widths and blocks are the U-Net's.
    consistency: weight of the regulariser of ``training.consistency``; above 0 each picture of a
    batch is seen under two draws.

    class_weight_power: weight of a class ~ (1 / its share of pixels) ** power; 0 = plain.
    label_smoothing: share of the target spread over all classes.
    """

    sigma: float
    epochs: int
    batch_size: int = 8
    crop: tuple[int, int] | None = None
    lr: float = 3e-3
    seed: int = 0
    device: str = "cpu"
    widths: tuple[int, ...] = (24, 32, 64, 96, 120)
    blocks: tuple[int, ...] = (0, 2, 2, 2, 1)
    weight_decay: float = 0.01
    class_weight_power: float = 0.25
    label_smoothing: float = 0.0
    sigma_from: float | None = None
    network: str = "unet"
    consistency: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise InputError(f"expected sigma >= 0, got {self.sigma}; 0 trains without noise")
        if self.sigma_from is not None and not 0 <= self.sigma_from <= self.sigma:
            raise InputError(
                f"expected a range of noise that starts in [0, {self.sigma:g}], got "
                f"{self.sigma_from:g}; --sigma is its upper end"
            )
        if not (math.isfinite(self.consistency) and self.consistency >= 0):
            raise InputError(f"expected consistency >= 0, got {self.consistency}; 5 to 20 is usual")
        if self.consistency > 0 and self.sigma == 0:
            raise InputError(
                "expected noise with consistency, got sigma 0; without noise all views agree"
            )
        if self.network not in NETWORKS:
            raise InputError(
                f"expected a network among {', '.join(NETWORKS)}, got {self.network!r}; choose one"
            )
        check_pace(self.epochs, self.batch_size, self.lr, self.seed)
        check_crop(self.crop)
        check_precision(self.precision, self.device)
        check_levels(self.widths, self.blocks)
