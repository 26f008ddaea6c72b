"""The loop: passes in lower precision, and the learning rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from certiseg.errors import InputError
from certiseg.training.loop import in_precision, share_of_lr
from certiseg.training.settings import DenoiseSettings, TrainSettings


def test_bfloat16_rounds_the_pass_and_nothing_else() -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(3, 4, 3)
    x = torch.rand(2, 3, 9, 9)
    exact = in_precision(model, "float32", "cpu")(x)
    rounded = in_precision(model, "bfloat16", "cpu")(x)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    # bfloat16 has 8 bits: 2^-8 of the sums, which are below 1 in size.
    torch.testing.assert_close(exact, rounded, rtol=0, atol=0.02)
    (rounded**2).mean().backward()
    assert model.weight.dtype == torch.float32
    assert model.weight.grad is not None
    assert float(model.weight.grad.abs().max()) > 0


@pytest.mark.parametrize("settings", [TrainSettings, DenoiseSettings])
def test_what_is_no_precision_here(settings: type) -> None:
    for precision in ("float32", "bfloat16"):
        settings(sigma=0.1, epochs=1, precision=precision)
    settings(sigma=0.1, epochs=1, precision="float16", device="cuda")
    with pytest.raises(InputError, match="float16 on a CUDA device, got cpu"):
        settings(sigma=0.1, epochs=1, precision="float16")
    with pytest.raises(InputError, match="got 'half'"):
        settings(sigma=0.1, epochs=1, precision="half")


@pytest.mark.parametrize("steps", [1, 2, 10, 100])
def test_learning_rate_rises_and_falls(steps: int) -> None:
    shares = [share_of_lr(s, steps) for s in range(steps + 1)]
    assert all(0 <= share <= 1 for share in shares)
    if steps >= 10:
        assert shares[-1] == pytest.approx(0)
        peak = int(np.argmax(shares))
        assert shares[peak] == pytest.approx(1)
        assert np.all(np.diff(shares[: peak + 1]) > 0)
        assert np.all(np.diff(shares[peak:]) < 0)
