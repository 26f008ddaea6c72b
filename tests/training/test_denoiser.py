"""Denoisers: what a batch holds, and figures that agree with the law of the noise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from certiseg.training.denoiser import measure, noisy_batches, smallest
from certiseg.training.loading import Cached
from certiseg.training.randomness import Randomness
from certiseg.training.settings import DenoiseSettings


def test_batches_hold_every_picture_once_uncut_in_value() -> None:
    pictures = [torch.full((3, 20 + i, 30), 10 * i, dtype=torch.uint8) for i in range(5)]
    settings = DenoiseSettings(sigma=0.5, sigma_from=0.1, epochs=1, batch_size=2)
    held = Cached(pictures.__getitem__, len(pictures))
    batches = list(noisy_batches(held, smallest(held), settings, Randomness(0)))
    assert [len(x) for x, _, _ in batches] == [2, 2, 1]
    assert {tuple(x.shape[1:]) for x, _, _ in batches} == {(3, 20, 30)}
    found = torch.cat([x.flatten(1).amax(1) for x, _, _ in batches]) * 255
    assert sorted(found.round().int().tolist()) == [0, 10, 20, 30, 40]
    sigmas = torch.cat([sigma.flatten() for _, _, sigma in batches])
    for _, drawn, sigma in batches:
        # 1800 values a picture: their spread is sigma to 1 in 60, 6 standard errors are 10 %.
        torch.testing.assert_close(drawn.flatten(1).std(1), sigma.flatten(), rtol=0.1, atol=0)
    assert 0.1 <= float(sigmas.min()) < float(sigmas.max()) <= 0.5


class _Bright(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        above = x.mean(1, keepdim=True) - 0.5
        return torch.cat([-above, above], 1)


def test_figures_are_fixed_and_agree_with_the_law() -> None:
    pictures = [torch.full((3, 64, 64), 204, dtype=torch.uint8)] * 2
    held = Cached(pictures.__getitem__, len(pictures))
    found = measure(nn.Identity(), held, (0.1, 0.5), 0, _Bright(), "cpu")
    assert found == measure(nn.Identity(), held, (0.1, 0.5), 0, _Bright(), "cpu")
    assert found != measure(nn.Identity(), held, (0.1, 0.5), 1, _Bright(), "cpu")
    for level in found.levels:
        assert level.psnr == pytest.approx(-20 * math.log10(level.sigma), abs=0.2)
        # Mean of three channels: N(0.8, sigma^2 / 3); 8192 pixels, 6 standard errors.
        share = 0.5 * math.erfc(-0.3 * math.sqrt(3) / level.sigma / math.sqrt(2))
        assert level.agreement == pytest.approx(share, abs=6 * math.sqrt(0.25 / 8192))
    assert found.score == pytest.approx(sum(level.agreement or 0 for level in found.levels) / 2)
