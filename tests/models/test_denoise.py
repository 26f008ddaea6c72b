"""The denoiser network: any size, no mode, scales with its input, looks at one picture alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from certiseg.models.denoise import SmallDenoiser


def _denoiser(channels: int = 3) -> SmallDenoiser:
    torch.manual_seed(0)
    return SmallDenoiser(channels, (4, 6, 8), (0, 1, 2))


@pytest.mark.parametrize("size", [(8, 8), (9, 11), (33, 41), (1, 7)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_comes_back_at_that_size(size: tuple[int, int], channels: int) -> None:
    x = torch.rand(2, channels, *size)
    assert _denoiser(channels)(x).shape == x.shape


def test_default_is_small() -> None:
    assert sum(p.numel() for p in SmallDenoiser(3).parameters()) < 1_000_000


def test_the_output_scales_with_the_input() -> None:
    x = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    model = _denoiser()
    torch.testing.assert_close(model(2 * x), 2 * model(x))
    # Negative control: one bias, and it does not.
    model.head.bias = nn.Parameter(torch.ones(12))
    assert not torch.allclose(model(2 * x), 2 * model(x))


def test_no_picture_depends_on_its_batch_nor_on_the_mode() -> None:
    """What theory T13 needs: a function of the one noisy picture."""
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    model = _denoiser()
    together = model.train()(x)
    alone = torch.cat([model.eval()(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)
    # Negative control: normalised by the batch, it would.
    mixing = nn.Sequential(nn.BatchNorm2d(3), model).train()
    apart = torch.cat([mixing(x[i : i + 1]) for i in range(3)])
    assert not torch.allclose(mixing(x), apart, atol=1e-3)
