"""Normal numbers from a table: how close to the law, and that all ways to make them agree."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from scipy.special import ndtri

from certiseg.noise import Gaussian
from certiseg.sampling.draw import DeviceNoise, NoiseStream
from certiseg.sampling.keys import generator, philox_key
from certiseg.sampling.laws import law_at
from certiseg.sampling.normals import chords, host_cells, normals_into, normals_of, table_name
from certiseg.sampling.philox import philox_words

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
HALF = 2**31


def _cells() -> np.ndarray:
    """Cells of all sizes of probability, the edges of the table's octaves among them."""
    rng = np.random.default_rng(0)
    near = np.unique(np.geomspace(1, HALF - 1, 200_000).astype(np.int64))
    edges = np.array([2**k + d for k in range(31) for d in (-1, 0, 1)])
    some = np.concatenate([rng.integers(0, HALF, 500_000), near, edges, [0, HALF - 1]])
    some = some[(some >= 0) & (some < HALF)]
    return np.concatenate([some, -some - 1]).astype(np.int32)


def _made(cells: np.ndarray, table) -> np.ndarray:
    out = np.empty(len(cells), np.float32)
    normals_into(out, cells, table)
    return out


def _error(cells: np.ndarray, made: np.ndarray) -> float:
    middle = cells.astype(np.float64) + 0.5
    exact = -ndtri(np.abs(middle) / 2**32) * np.sign(middle)
    return float(np.max(np.abs(made - exact) / np.maximum(1.0, np.abs(exact))))


def test_numbers_are_the_quantiles_that_theory_t12_states():
    cells = _cells()
    made = _made(cells, chords(1.0))
    assert _error(cells, made) < 3e-7
    assert made.max() == -made.min() == pytest.approx(6.338, abs=1e-3)


def test_a_table_that_is_slightly_wrong_is_caught():
    """Negative control: a slope one in a million too steep, and chords left below their arcs."""
    cells = _cells()
    offsets, slopes = chords(1.0)
    assert _error(cells, _made(cells, (offsets, slopes * np.float32(1 + 1e-6)))) > 3e-7
    assert _error(cells, _made(cells, (offsets + np.float32(5e-7), slopes))) > 3e-7


def test_moments_of_the_law():
    """All of the law but what the cells round: from 2^17 cells evenly spread. The fourth moment
    would notice a cut tail."""
    cells = (np.arange(2**17, dtype=np.int64) * 2**15 + 2**14 - HALF).astype(np.int32)
    made = _made(cells, chords(1.0)).astype(np.float64)
    exact = -ndtri(np.abs(cells.astype(np.float64) + 0.5) / 2**32) * np.sign(cells + 0.5)
    for power in (2, 4):
        assert abs(np.mean(made**power) - np.mean(exact**power)) < 1e-6


@pytest.mark.parametrize("sigma", [1.0, 0.25, 0.7, 1e-5])
def test_host_and_tensor_code_give_equal_bits(sigma):
    cells, table = _cells(), chords(sigma)
    parts = tuple(torch.tensor(part) for part in table)
    again = normals_of(torch.from_numpy(cells), parts).numpy()
    assert np.array_equal(_made(cells, table).view(np.uint32), again.view(np.uint32))


def test_a_product_joined_with_its_sum_would_be_caught():
    """Negative control: what a fused multiply-add gives, computed in float64."""
    cells = _cells()
    offsets, slopes = chords(1.0)
    x = cells.astype(np.float32) + np.float32(0.5)
    names = x.view(np.uint32) >> 14
    fused = (offsets[names] + slopes[names].astype(np.float64) * x).astype(np.float32)
    assert not np.array_equal(fused, _made(cells, (offsets, slopes)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("draw", [0, 3, 2**40])
def test_words_are_those_of_numpy(device, draw):
    for seed, key in [(1, "k"), (2**128 - 1, "street")]:
        expected = generator(seed, key, draw).bit_generator.random_raw(1001)
        words = philox_words(
            philox_key(seed, key), range(draw, draw + 1), 1001, torch.device(device)
        )
        assert np.array_equal(words[0].cpu().numpy().view(np.uint64), expected)
        assert np.array_equal(
            host_cells(generator(seed, key, draw), 2001), expected.view(np.int32)[:2001]
        )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("noise", [Gaussian(0.25), Gaussian(0.7, channels=1)])
@pytest.mark.parametrize("shape", [(3, 5, 7), (3, 8)])
def test_both_places_give_the_same_batches(device, noise, shape):
    law = law_at(noise, torch.rand(shape).to(device))
    with NoiseStream(law, 5, "k") as host, DeviceNoise(law, 5, "k") as own:
        assert torch.equal(host.get(range(3, 9)), own.get(range(3, 9)))
        assert not torch.equal(host.get(range(3, 9)), own.get(range(4, 10)))


def test_stream_is_the_one_certificates_are_made_with():
    """Golden: bytes of the table (SciPy 1.17, glibc) and of draw 3 under (7, "street").

    Another library may round an entry of the table otherwise; its name then tells the votes apart.
    """
    cells = host_cells(generator(7, "street", 3), 1000)
    digest = hashlib.sha256(cells.astype("<i4").tobytes()).hexdigest()
    assert digest[:16] == "98faaf9fe361a570"
    assert math.isfinite(float(_made(cells, chords(0.25)).sum()))
    assert table_name() == "cbebce4da4ef"
