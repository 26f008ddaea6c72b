"""NumPy's Philox 4x64-10 in PyTorch: the same random words on any device, for many draws at once.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; NumPy's ``Philox``.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 10
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_LOW = 0xFFFFFFFF
_WORDS = 4


def philox_words(key: tuple[int, int], draws: range, count: int, device: torch.device) -> Tensor:
    """First count words of NumPy's Philox with this key and counter (0, 0, draw, 0), for each draw.

    Returns int64 (len(draws), count). Integers wrap around in PyTorch as in C, so that the bits are
    equal on every device.
    """
    blocks = -(-count // _WORDS)
    # NumPy increments the counter before each block.
    block = torch.arange(1, blocks + 1, device=device).expand(len(draws), blocks)
    draw = torch.arange(draws.start, draws.stop, device=device)[:, None].expand_as(block)
    zero = torch.zeros_like(block)
    state = (block, zero, draw, zero)
    keys = list(key)
    for _ in range(ROUNDS):
        high_0, low_0 = _product(state[0], MULTIPLIERS[0])
        high_1, low_1 = _product(state[2], MULTIPLIERS[1])
        state = (
            high_1 ^ state[1] ^ _signed(keys[0]),
            low_1,
            high_0 ^ state[3] ^ _signed(keys[1]),
            low_0,
        )
        keys = [(k + step) % 2**64 for k, step in zip(keys, WEYL, strict=True)]
    return torch.stack(state, dim=-1).flatten(1)[:, :count]


def _product(value: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Upper and lower 64 bits of an unsigned product, from products of 32-bit halves."""
    low, high = value & _LOW, _upper(value)
    factor_low, factor_high = factor & _LOW, factor >> 32
    across, along = low * factor_high, high * factor_low
    carry = _upper(low * factor_low) + (across & _LOW) + (along & _LOW)
    upper = high * factor_high + _upper(across) + _upper(along) + (carry >> 32)
    return upper, value * _signed(factor)


def _upper(value: Tensor) -> Tensor:
    """The upper 32 bits as unsigned; PyTorch's shift is arithmetic."""
    return (value >> 32) & _LOW


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
