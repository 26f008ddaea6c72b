"""What the training of a denoiser is told: one frozen record, checked before anything is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from certiseg.errors import InputError
from certiseg.training.precision import check_precision


@dataclass(frozen=True)
class DenoiseSettings:
    """sigma: noise in [0, 1] input units; with sigma_from, of each picture its own, even in
    sigma_from .. sigma. crop: (H, W), None = as large as every picture is.

    stability: weight of the segmentation network's cross-entropy, where there is one.
    """

    sigma: float
    epochs: int
    batch_size: int = 8
    crop: tuple[int, int] | None = None
    lr: float = 4e-3
    seed: int = 0
    device: str = "cpu"
    widths: tuple[int, ...] = (24, 48, 64, 96)
    blocks: tuple[int, ...] = (0, 1, 2, 3)
    sigma_from: float | None = None
    stability: float = 0.1
    weight_decay: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise InputError(f"expected sigma > 0, got {self.sigma}; such as 0.25")
        if self.sigma_from is not None and not 0 < self.sigma_from <= self.sigma:
            raise InputError(
                f"expected a range of noise that starts in (0, {self.sigma:g}], got "
                f"{self.sigma_from:g}; --sigma is its upper end"
            )
        if self.epochs < 1 or self.batch_size < 1:
            raise InputError(
                f"expected at least 1 epoch and a batch of at least 1, got {self.epochs} and "
                f"{self.batch_size}; raise them"
            )
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"expected a learning rate > 0, got {self.lr}; 4e-3 is the default")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"expected a seed in [0, 2^63), got {self.seed}; 0 is the default")
        if not (math.isfinite(self.stability) and self.stability >= 0):
            raise InputError(f"expected a stability >= 0, got {self.stability}; 0 leaves it out")
        if self.crop is not None and min(self.crop) < 16:
            raise InputError(
                f"expected a crop of at least 16 x 16, got {self.crop[0]} x {self.crop[1]}; "
                "enlarge it or leave it out"
            )
        check_precision(self.precision, self.device)
        levels = len(self.widths)
        if levels < 2 or levels != len(self.blocks) or min(self.widths) < 1 or min(self.blocks) < 0:
            raise InputError(
                f"expected as many blocks as widths, two or more, got widths {self.widths} and "
                f"blocks {self.blocks}; for example 24,48,64 and 0,1,2"
            )

    @property
    def levels(self) -> tuple[float, ...]:
        """The sigmas that a validation measures at: the ends of the range."""
        ends = (self.sigma if self.sigma_from is None else self.sigma_from, self.sigma)
        return tuple(dict.fromkeys(ends))
