"""What every training's settings are checked for, before anything is read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from certiseg.errors import InputError


def check_pace(epochs: int, batch_size: int, lr: float, seed: int, *, smallest: int = 1) -> None:
    """Raise InputError for a pace that is none. smallest: batch."""
    if epochs < 1 or batch_size < smallest:
        raise InputError(
            f"expected at least 1 epoch and a batch of at least {smallest}, got {epochs} and "
            f"{batch_size}; raise them"
        )
    if not (math.isfinite(lr) and lr > 0):
        raise InputError(f"expected a learning rate > 0, got {lr}; leave --lr out for the default")
    if not 0 <= seed < 2**63:
        raise InputError(f"expected a seed in [0, 2^63), got {seed}; 0 is the default")


def check_crop(crop: tuple[int, int] | None) -> None:
    """Raise InputError for a crop (H, W) too small to show anything."""
    if crop is not None and min(crop) < 16:
        raise InputError(
            f"expected a crop of at least 16 x 16, got {crop[0]} x {crop[1]}; "
            "enlarge it or leave it out"
        )


def check_levels(widths: Sequence[int], blocks: Sequence[int]) -> None:
    """Raise InputError for levels of a U-Net that do not fit together."""
    if len(widths) < 2 or len(widths) != len(blocks) or min(widths) < 1 or min(blocks) < 0:
        raise InputError(
            f"expected as many blocks as widths, two or more, got widths {tuple(widths)} and "
            f"blocks {tuple(blocks)}; for example 24,32,64 and 0,2,1"
        )
