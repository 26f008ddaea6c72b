"""An order of the points of a cloud that their own values decide, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

# Odd 64-bit multipliers of splitmix64 (Steele, Lea, Flood 2014), as signed integers.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def canonical_order(x: Tensor) -> Tensor:
    """A permutation int64 (B, N) of the points of each cloud x, floats (B, C, N).

    Guarantee: points that differ in any value come in an order that depends on the two of them
    alone, not on where they stood, on the other points or on the batch; equal points keep their
    order. (Two different points have the same key with probability about 2^-64.)
    The order is pseudo-random in the values: a point moved in its last bit goes anywhere.
    Computed in integers from the bits of the floats, so the same on every device.
    """
    # + 0.0: minus zero equals zero, and must sort as it.
    values = x.detach() + 0.0
    wide = torch.int64 if values.dtype == torch.float64 else torch.int32
    if wide == torch.int32:
        values = values.float()
    bits = values.contiguous().view(wide).to(torch.int64)
    key = torch.full_like(bits[:, 0], _STEP)
    for channel in range(bits.shape[1]):
        key = _mixed((key ^ bits[:, channel]) + _STEP)
    return key.argsort(dim=1, stable=True)


def _mixed(key: Tensor) -> Tensor:
    """splitmix64's finaliser, a bijection of the 64-bit integers."""
    for shift, factor in zip((30, 27), _MIX, strict=True):
        key = (key ^ _shifted(key, shift)) * factor
    return key ^ _shifted(key, 31)


def _shifted(key: Tensor, by: int) -> Tensor:
    """Logical shift to the right: PyTorch's own repeats the sign bit."""
    return (key >> by) & (2 ** (64 - by) - 1)
