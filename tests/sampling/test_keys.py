"""Randomness as an address: the noise of a draw depends on (seed, key, draw) alone."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from scipy.stats import kstest

import certiseg as cs
from certiseg.sampling.draw import NoiseStream
from certiseg.sampling.keys import Address, generator, resolve_seed
from certiseg.sampling.noise_samplers import sampler_at

SHAPE = (3, 5, 7)
LAW = sampler_at(cs.Gaussian(0.25), torch.zeros(SHAPE))


def _noise(seed=1, key="k", draw=0) -> np.ndarray:
    out = np.empty(SHAPE, dtype=np.float32)
    LAW.fill(out, Address.of(seed, key, draw))
    return out


def test_same_address_same_noise():
    assert np.array_equal(_noise(), _noise())


def test_other_address_other_noise():
    addresses = [
        {"seed": s, "key": k, "draw": d}
        for s in (0, 1, 2**32, 1 + 2**32, 2**64, 2**128)
        for k in ("k", "l", "")
        for d in (0, 1, 2**32, 2**40)
    ]
    draws = {_noise(**address).tobytes() for address in addresses}
    assert len(draws) == len(addresses)


def test_torch_cpu_seeds_would_repeat():
    """Negative control, and why NumPy's Philox is used: PyTorch keeps 32 bits of a CPU seed."""
    a, b = (torch.randn(9, generator=torch.Generator().manual_seed(s)) for s in (5, 5 + 2**32))
    assert torch.equal(a, b)
    assert not np.array_equal(_noise(seed=5), _noise(seed=5 + 2**32))


def test_seed_and_key_do_not_run_together():
    assert not np.array_equal(_noise(seed=1, key="1"), _noise(seed=11, key=""))


def test_stream_is_the_one_certificates_were_made_with():
    """Golden: NumPy 2.4.6, Philox key of (seed 7, "street"), draw 3, float32 normals."""
    out = np.empty(1000, dtype=np.float32)
    generator(7, "street", 3).standard_normal(dtype=np.float32, out=out)
    digest = hashlib.sha256(out.tobytes()).hexdigest()
    assert digest == "74bd5c07ae83524a4dac22ee6a2fbd93cbc2caffa5aff3287ad9766455f35063"


def test_sigma_that_float32_rounds_is_drawn_as_stated():
    """float32(0.7) is 1.7e-8 too small; beside a grid of sigma / 358 no mean could show it. So the
    scale itself: steps of sigma, one value after another, against 50 digits (test_rounded.py)."""
    noise = cs.Gaussian(0.7)
    assert sampler_at(noise, torch.zeros(3))._scale * noise.grid == 0.7
    assert float(np.float32(0.7)) != 0.7


def test_noise_is_normal():
    """Kolmogorov-Smirnov on 300 000 values of 3000 draws; false alarm 1e-6 (fixed seed)."""
    values = np.concatenate([_noise(draw=j).ravel()[:100] for j in range(3000)]) / 0.25
    assert kstest(values, "norm").pvalue > 1e-6
    # Neighbouring draws are uncorrelated: standard error 1/sqrt(n), 5 of them.
    rows = np.stack([_noise(draw=j).ravel() for j in range(2000)])
    lagged = np.mean(rows[1:] * rows[:-1]) / 0.25**2
    assert abs(lagged) < 5 / np.sqrt(rows[1:].size)


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_stream_of_batches_equals_single_draws(size, ahead):
    with NoiseStream(LAW, 1, "k", ahead) as stream:
        parts = [range(first, min(first + size, 8)) for first in range(0, 8, size)]
        batches = [
            stream.get(draws, following)
            for draws, following in zip(parts, [*parts[1:], None], strict=True)
        ]
    assert np.array_equal(torch.cat(batches), np.stack([_noise(draw=j) for j in range(8)]))


def test_stream_serves_another_range_than_announced():
    with NoiseStream(LAW, 1, "k", ahead=True) as stream:
        stream.get(range(4), range(4, 8))
        assert np.array_equal(stream.get(range(2, 4), None), [_noise(draw=2), _noise(draw=3)])


def test_seed_is_fresh_unless_given():
    assert resolve_seed(5) == (5, "caller")
    assert resolve_seed(np.int64(5)) == (5, "caller")
    (a, origin), (b, _) = resolve_seed(None), resolve_seed(None)
    assert origin == "entropy"
    assert a != b
    assert max(a, b) >= 2**64


@pytest.mark.parametrize("seed", [-1, 1.5, "7", True])
def test_bad_seed(seed):
    with pytest.raises(cs.InputError, match="seed"):
        resolve_seed(seed)
