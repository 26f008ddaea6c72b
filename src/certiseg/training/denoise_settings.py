"""What the training of a denoiser is told: one frozen record, checked before anything is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from certiseg.errors import InputError
from certiseg.training.checks import check_crop, check_levels, check_pace
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
        check_pace(self.epochs, self.batch_size, self.lr, self.seed)
        if not (math.isfinite(self.stability) and self.stability >= 0):
            raise InputError(f"expected a stability >= 0, got {self.stability}; 0 leaves it out")
        check_crop(self.crop)
        check_precision(self.precision, self.device)
        check_levels(self.widths, self.blocks)

    @property
    def levels(self) -> tuple[float, ...]:
        """The sigmas that a validation measures at: the ends of the range."""
        ends = (self.sigma if self.sigma_from is None else self.sigma_from, self.sigma)
        return tuple(dict.fromkeys(ends))
