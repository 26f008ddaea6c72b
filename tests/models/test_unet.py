"""SmallUNet: any size in, that size out; small; every part takes part."""

from __future__ import annotations

import pytest
import torch

from certiseg.models.unet import SmallUNet


@pytest.mark.parametrize("size", [(1, 1), (5, 64), (31, 33), (48, 40), (37, 90)])
def test_any_size(size: tuple[int, int]) -> None:
    net = SmallUNet(3, 4, (6, 8, 8, 8), (0, 1, 1, 1)).eval()
    with torch.inference_mode():
        logits = net(torch.rand(2, 3, *size))
    assert logits.shape == (2, 4, *size)
    assert torch.isfinite(logits).all()


def test_default_fits_the_budget_of_shipped_weights() -> None:
    count = sum(p.numel() for p in SmallUNet(3, 11).parameters())
    assert count * 2 < 1_490_000


def test_gradients_reach_every_parameter() -> None:
    net = SmallUNet(1, 3, (4, 6, 8), (1, 1, 1))
    net(torch.rand(2, 1, 24, 24)).square().mean().backward()
    idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_pictures_of_a_batch_do_not_mix() -> None:
    net = SmallUNet(3, 4, (6, 8, 8), (0, 1, 1)).eval()
    x = torch.rand(3, 3, 20, 28)
    with torch.inference_mode():
        torch.testing.assert_close(net(x)[1:2], net(x[1:2]), atol=1e-5, rtol=1e-4)
