"""The compiled noise loop draws what NumPy draws, bit for bit."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import certiseg as cs
from certiseg.sampling import noise_loop, noise_samplers
from certiseg.sampling.keys import Address
from certiseg.sampling.noise_samplers import sampler_at

numba = pytest.importorskip("numba")
KEY = (2**64 - 1, 2**63 + 5)


def _drawn(x: torch.Tensor, noise: cs.Gaussian, draw: int, monkeypatch=None) -> np.ndarray:
    """One draw; with a monkeypatch by NumPy."""
    if monkeypatch is None:
        sampler = sampler_at(noise, x)
        assert sampler._loop is not None
    else:
        with monkeypatch.context() as patch:
            patch.setattr(noise_samplers, "compiled", lambda loop: None)
            sampler = sampler_at(noise, x)
    out = np.full(tuple(x.shape), 7.0, x.numpy().dtype)
    sampler.fill(out, Address(KEY, draw))
    return out


def _input(shape, dtype, size) -> torch.Tensor:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * size
    flat = x.view(-1)
    flat[0], flat[-1] = 0.0, -0.0
    return x.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("shape", "sigma", "size"),
    [
        ((1,), 0.3, 1.0),
        ((1, 7), 0.25, 1.0),
        ((2, 3, 5), 0.1, 300.0),
        ((3, 37, 53), 1e-3, 1e-3),
        ((1, 1, 2**10 + 1), 1.7, 1e-30),
        ((2, 2**15 - 1), 3e3, 1e7),
        ((3, 2**15 + 9), 0.25, 0.0),
    ],
)
def test_every_bit_is_that_of_numpy(dtype, shape, sigma, size, monkeypatch):
    x, noise = _input(shape, dtype, size), cs.Gaussian(sigma)
    for draw in (0, 5, 2**62):
        both = _drawn(x, noise, draw), _drawn(x, noise, draw, monkeypatch)
        assert both[0].tobytes() == both[1].tobytes()


def test_halves_of_steps_and_large_values(monkeypatch):
    """Inputs on the boundaries of the grid, and up to the largest that are taken."""
    noise = cs.Gaussian(0.25)
    x = torch.arange(-4096, 4096, dtype=torch.float32)[None] * (noise.grid / 2)
    for given in (x, x.double() + 2.0**39, x + 2.0**13 - 16):
        both = _drawn(given, noise, 1), _drawn(given, noise, 1, monkeypatch)
        assert both[0].tobytes() == both[1].tobytes()


def test_some_channels(monkeypatch):
    x, noise = _input((5, 40, 40), torch.float32, 1.0), cs.Gaussian(0.25, channels=3)
    both = _drawn(x, noise, 2), _drawn(x, noise, 2, monkeypatch)
    assert both[0].tobytes() == both[1].tobytes()
    assert np.array_equal(both[0][3:], x.numpy()[3:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("first // 8 + i + 1", "first // 8 + i"),
        ("key_1 += _STEP_1", "key_1 += _STEP_0"),
        ("np.float32(steps - whole)", "np.float32(0.0)"),
        ("not abs(number - step) <= sure", "abs(number - step) > 1.0"),
    ],
    ids=["counter", "key", "residual", "float32 decides all"],
)
def test_a_wrong_loop_is_caught(right, wrong, monkeypatch):
    """Negative control: the first check on loops with one error."""
    text = inspect.getsource(noise_loop.rounded_sums)
    assert right in text
    names = dict(vars(noise_loop))
    exec(f"from __future__ import annotations\n{text.replace(right, wrong)}", names)
    broken = numba.njit(error_model="numpy")(names["rounded_sums"])
    x, noise = _input((3, 37, 53), torch.float32, 1.0), cs.Gaussian(0.25)
    with monkeypatch.context() as patch:
        patch.setattr(noise_samplers, "compiled", lambda loop: broken)
        drawn = _drawn(x, noise, 5)
    assert drawn.tobytes() != _drawn(x, noise, 5, monkeypatch).tobytes()
