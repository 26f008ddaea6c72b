"""round_h(x + Z), exact: against 50 digits, against the cell probabilities, on host and device."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from scipy.special import log_ndtr, ndtri
from scipy.stats import chi2

import certiseg as cs
from certiseg.sampling import noise_samplers, rounded
from certiseg.sampling.draw import DeviceNoise, NoiseStream
from certiseg.sampling.keys import Address, generator, philox_key
from certiseg.sampling.noise_samplers import GaussianSampler, sampler_at
from certiseg.sampling.normals import (
    ERROR,
    LARGEST,
    chords,
    host_cells,
    normals_into,
    normals_of,
)
from certiseg.sampling.philox import philox_words
from certiseg.sampling.rounded import brackets, exact_steps, nearest, unsure

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
HALF = 2**31
ADDRESS = Address.of(7, "street", 3)


def _cells() -> np.ndarray:
    """Cells of all sizes of probability, the edges of the table's octaves among them."""
    rng = np.random.default_rng(0)
    near = np.unique(np.geomspace(1, HALF - 1, 200_000).astype(np.int64))
    edges = np.array([2**k + d for k in range(31) for d in (-1, 0, 1)])
    some = np.concatenate([rng.integers(0, HALF, 500_000), near, edges, [0, HALF - 1]])
    some = some[(some >= 0) & (some < HALF)]
    return np.concatenate([some, -some - 1]).astype(np.int32)


def _table_error(cells: np.ndarray, table) -> float:
    """The largest error of the numbers, relative to ERROR * max(1, |z|); where there are any."""
    made = np.empty(len(cells), np.float32)
    normals_into(made, cells, table)
    middle = cells.astype(np.float64) + 0.5
    exact = -ndtri(np.abs(middle) / 2**32) * np.sign(middle)
    assert np.all(np.abs(exact[np.isnan(made)]) > LARGEST - 0.01)
    assert np.all(np.abs(exact[~np.isnan(made)]) <= LARGEST)
    share = np.abs(made - exact) / np.maximum(1.0, np.abs(exact))
    return float(np.nanmax(share)) / ERROR


def test_the_table_keeps_its_stated_error():
    assert _table_error(_cells(), chords(1.0)) < 1
    made = [np.empty(5, np.float32) for _ in range(2)]
    cells = np.array([1, 5, 2**30, -3, -(2**30)], np.int32)
    normals_into(made[0], cells, chords(1.0))
    made[1] = normals_of(
        torch.from_numpy(cells), tuple(torch.tensor(part) for part in chords(1.0))
    ).numpy()
    assert np.array_equal(made[0], made[1], equal_nan=True)


def test_a_table_that_is_slightly_wrong_is_caught():
    """Negative control: a slope one in a million too steep, and chords left below their arcs."""
    offsets, slopes = chords(1.0)
    assert _table_error(_cells(), (offsets, slopes * np.float32(1 + 1e-6))) > 1
    assert _table_error(_cells(), (offsets + np.float32(5e-7), slopes)) > 1


def test_quantiles_in_float64_keep_within_the_tolerance():
    """SciPy and PyTorch against 50 digits: a hundredth of what the tolerance covers, at most."""
    rng = np.random.default_rng(1)
    tails = np.concatenate([2.0 ** -rng.uniform(1, 64, 300), 0.5 - 2.0 ** -rng.uniform(2, 40, 100)])
    with mpmath.workdps(50):
        exact = [
            float(-mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * mpmath.mpf(float(p)))) for p in tails
        ]
    for made in (ndtri(tails), torch.special.ndtri(torch.from_numpy(tails)).numpy()):
        assert np.max(np.abs(made - exact)) * 512 < rounded._TOLERANCE / 100


def _words(law: GaussianSampler, count: int) -> np.ndarray:
    """The 64-bit words of the first values of a draw, from two streams of NumPy's generator."""
    upper = host_cells(ADDRESS.generator(), count).astype(np.int64)
    lower = host_cells(ADDRESS.generator(0, 1), count).view(np.uint32).astype(np.int64)
    return (upper << 32) | lower


@pytest.mark.parametrize("sigma", [0.25, 0.7, 1e-4, 31.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_value_is_the_nearest_step_to_fifty_digits(sigma, dtype):
    x = torch.rand(2000, dtype=dtype, generator=torch.Generator().manual_seed(0))
    noise = cs.Gaussian(sigma)
    law = sampler_at(noise, x)
    out = np.empty(len(x), law.x.numpy().dtype)
    law.fill(out, ADDRESS)
    for value, word, made in zip(x.tolist(), _words(law, len(x)), out.tolist(), strict=True):
        steps = nearest(int(word), value / noise.grid, sigma / noise.grid)
        assert made == steps * noise.grid


@pytest.mark.parametrize("sure", [0.25, -1.0])
def test_the_law_does_not_depend_on_what_is_settled_where(sure, monkeypatch):
    """float32 may leave half of the values, or all, to float64, and that far more to 50 digits."""
    law = sampler_at(cs.Gaussian(0.25), torch.rand(3, 40, 40, generator=torch.manual_seed(0)))
    plain, other = (np.empty((3, 40, 40), np.float32) for _ in range(2))
    law.fill(plain, ADDRESS)
    monkeypatch.setattr(rounded, "_TOLERANCE", 1e-2)
    law._sure = np.float32(sure)
    law.fill(other, ADDRESS)
    assert np.array_equal(plain, other)


def test_a_float32_that_decides_alone_is_caught():
    """Negative control of the above, on enough values: about one in ten thousand is another."""
    x = torch.rand(3, 360, 480, generator=torch.Generator().manual_seed(0))
    law = sampler_at(cs.Gaussian(0.25), x)
    exact, quick = (np.empty(x.shape, np.float32) for _ in range(2))
    law.fill(exact, ADDRESS)
    law._sure = np.float32(0.5)
    law.fill(quick, ADDRESS)
    assert 1 <= np.count_nonzero(exact != quick) < 1e-3 * exact.size


def test_outermost_words_and_ties_of_cells():
    """All 64 bits 0 or 1: the ends of the law; and cells that hold a boundary go on to digits."""
    words = np.array([0, 1, -1, -2, 2**63 - 1, -(2**63)], dtype=np.int64)
    cells, low = (words >> 32).astype(np.int32), (words & 0xFFFFFFFF).astype(np.uint32)
    steps = exact_steps(cells, np.zeros(6), 256.0, lambda places: low[places])
    assert steps.tolist() == [nearest(int(w), 0.0, 256.0) for w in words]
    assert steps[0] == -steps[2] == pytest.approx(256 * 9.155, abs=1)
    assert steps[4] == steps[5] == 0
    # Residuals put exactly on the boundary of the number of a word: undecided in float64.
    with mpmath.workdps(50):
        number = mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * mpmath.mpf(2 * 2**61 + 1) / 2**65)
        offset = float(mpmath.floor(256 * number) + mpmath.mpf("0.5") - 256 * number)
    at = np.array([offset, offset + 1e-12, offset - 1e-12])
    cells = np.full(3, 2**29, np.int32)
    again = exact_steps(cells, at, 256.0, lambda places: np.zeros(len(places), np.uint32))
    assert again.tolist() == [nearest(2**61, float(r), 256.0) for r in at]
    assert again[1] == again[2] + 1


def _cell_probabilities(residual: float, scale: float, steps: np.ndarray) -> np.ndarray:
    """P(floor(residual + scale Z + 1/2) = j), from logarithms of tails."""
    edges = (np.append(steps, steps[-1] + 1) - 0.5 - residual) / scale
    below = np.exp(log_ndtr(edges))
    above = np.exp(log_ndtr(-edges))
    return np.where(edges[:-1] > 0, above[:-1] - above[1:], below[1:] - below[:-1])


def _distance_of(law_steps, residual: float, scale: float, bits: int) -> float:
    """Total variation between the exact law and the law of words of so many bits, enumerated."""
    cells = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1))
    drawn = law_steps(cells, residual, scale)
    steps = np.arange(drawn.min(), drawn.max() + 1).astype(np.float64)
    shares = np.bincount((drawn - drawn.min()).astype(int), minlength=len(steps)) / 2.0**bits
    exact = _cell_probabilities(residual, scale, steps)
    return float((np.abs(shares - exact).sum() + 1 - exact.sum()) / 2)


def _steps_of(cells, residual, scale, bits):
    middle = (cells + 0.5) / 2.0**bits
    return np.floor(residual - scale * ndtri(np.abs(middle)) * np.sign(middle) + 0.5)


@pytest.mark.parametrize("residual", [0.0, 0.3, -0.5])
@pytest.mark.parametrize("bits", [8, 12, 16, 20])
def test_distance_is_at_most_what_eta_says(residual, bits):
    """Words of b bits are small enough to enumerate: eta's count of boundaries, with 2^-b for
    2^-64, is at least the distance. Scale 256 / 64: boundaries fewer than words."""
    scale = 4.0
    found = _distance_of(lambda c, r, s: _steps_of(c, r, s, bits), residual, scale, bits)
    outermost = -ndtri(2.0**-bits) + 0.2
    allowed = (math.ceil(2 * outermost * scale) + 3) * 2.0**-bits
    assert found <= allowed
    assert found > allowed / 500  # and no wild overstatement


def test_eta_by_hand_and_rounded_up():
    noise = cs.Gaussian(0.25)
    assert noise.grid == 2.0**-10
    exact = Fraction(3 * 360 * 480) * (math.ceil(18.4 * 256) + 3) / 2**64
    assert Fraction(noise.eta((3, 360, 480))) > exact
    assert noise.eta((3, 360, 480)) == pytest.approx(1.325e-10, rel=1e-3)
    assert cs.Gaussian(0.25, channels=1).eta((3, 5)) * 3 == pytest.approx(noise.eta((3, 5)))
    with mpmath.workdps(40):
        assert mpmath.ncdf(-9.2) < mpmath.mpf(2) ** -64
    for sigma in (1e-5, 0.125, 0.2499999, 0.5, 1e5):
        assert 256 <= sigma / cs.Gaussian(sigma).grid < 512
    with pytest.raises(cs.InputError, match=r"eta < 0.0001.*in parts"):
        noise.check_shape((3, 10**6, 10**6))


def test_law_of_the_drawn_values():
    """Chi-square over the cells of the grid, 2 million values, residual of 1/255: false alarm 1e-6
    (fixed address). It sees a shift of 4 steps, .016 sigma."""
    x = torch.full((2_000_000,), 1 / 255)
    noise = cs.Gaussian(0.25)
    out = np.empty(len(x), np.float32)
    sampler_at(noise, x).fill(out, ADDRESS)
    scale = noise.sigma / noise.grid
    steps = np.round(out.astype(np.float64) / noise.grid).astype(int)
    assert np.array_equal(steps * noise.grid, out)
    where = np.arange(-900, 901)
    exact = _cell_probabilities(float(x[0]) / noise.grid, scale, where.astype(float)) * len(x)
    seen = np.bincount(np.clip(steps + 900, 0, 1800), minlength=1801)
    inside = slice(1, -1)

    def pvalue(expected: np.ndarray) -> float:
        statistic = ((seen[inside] - expected[inside]) ** 2 / expected[inside]).sum()
        return float(chi2.sf(statistic, len(where) - 3))

    assert pvalue(exact) > 1e-6
    shifted = _cell_probabilities(float(x[0]) / noise.grid + 4, scale, where.astype(float))
    assert pvalue(shifted * len(x)) < 1e-6  # negative control


def test_words_of_32_bits_are_caught():
    """Negative control: the exact distance of 32-bit words, from the boundaries alone, is beyond
    what eta claims by nine orders of magnitude, and would be refused for a street scene."""
    scale = 256.0
    edges = (np.arange(-1500, 1501) - 0.5 - 0.3) / scale
    tails = np.exp(log_ndtr(-np.abs(edges)))
    lost = {bits: np.abs(tails * 2.0**bits - np.round(tails * 2.0**bits)) for bits in (32,)}
    distance = lost[32].sum() / 2.0**32 / 2
    values = 3 * 1024 * 2048
    assert distance * values > 1e-1 > 1e-4 > cs.Gaussian(0.25).eta((3, 1024, 2048))


def _reads_the_bits(batch: torch.Tensor) -> torch.Tensor:
    """The model of theory T12: label 0 iff every value below 2^-7 is a multiple of 2^-25."""
    small = batch.abs() < 2.0**-7
    whole = torch.frac(batch * 2.0**25) == 0
    label = (small & ~whole).flatten(1).any(dim=1).long()
    return label[:, None, None].expand(-1, *batch.shape[2:]).contiguous()


class _SumInFloats(GaussianSampler):
    """How noise was added before: a float32 sum of float32 numbers."""

    def fill(self, out, address):
        cells = host_cells(address.generator(), out.size)
        noise = np.empty(out.size, np.float32)
        normals_into(noise, cells, chords(0.25))
        np.add(self.x.numpy(), np.nan_to_num(noise).reshape(out.shape), out=out)


@pytest.mark.parametrize("shift", [1 / 255, 1e-12])
def test_no_model_tells_apart_what_the_radius_holds_together(shift, monkeypatch):
    """A black picture and one at distance .1630 < R = .1686 (float64: 1e-12) were certified with
    different labels on all pixels; now the labels agree."""
    dtype = torch.float32 if shift > 1e-6 else torch.float64
    black = torch.zeros(3, 24, 24, dtype=dtype)
    other = black + shift
    smooth = cs.Smoothed(_reads_the_bits, cs.Gaussian(0.25), 2)
    assert float((other - black).norm()) < cs.Gaussian(0.25).radius(0.75)

    def labels(x: torch.Tensor) -> np.ndarray:
        return smooth.certify(x, 100, seed=1).labels

    assert np.all(labels(black) == labels(other))
    assert np.all(labels(black) == 0)
    if dtype == torch.float32:
        # Negative control: the law of before certifies both, with two labels.
        monkeypatch.setattr(noise_samplers, "GaussianSampler", _SumInFloats)
        assert np.all(labels(black) == 0)
        assert np.all(labels(other) == 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_models_see_multiples_of_the_grid_alone(dtype):
    noise = cs.Gaussian(0.3)
    x = torch.rand(3, 9, 7, dtype=dtype)
    for draw in range(5):
        seen = cs.Smoothed(lambda b: b, noise, value_range=None).noisy(x, seed=2, draw=draw)
        assert seen.dtype == dtype
        assert torch.all(torch.frac(seen.double() / noise.grid) == 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("place", ["host", "device"])
def test_zeros_have_one_sign(dtype, place):
    """A sum of no steps showed the sign of x: 1 / x or atan2 told -1e-12 from 1e-12 by it, and all
    pixels of both were certified, with two labels."""
    law = sampler_at(cs.Gaussian(0.25), torch.full((3, 64, 64), -1e-12, dtype=dtype))
    with (DeviceNoise if place == "device" else NoiseStream)(law, 1, "k") as stream:
        seen = stream.get(range(20))
    zeros = seen[seen == 0]
    assert len(zeros) > 100
    assert not zeros.signbit().any()


def test_values_too_large_for_exact_steps():
    noise = cs.Gaussian(1e-5)
    with pytest.raises(cs.InputError, match=r"expected values of at most .* pass it as float64"):
        sampler_at(noise, torch.ones(3))
    assert sampler_at(noise, torch.ones(3, dtype=torch.float64)).x.dtype == torch.float64


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
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("noise", [cs.Gaussian(0.25), cs.Gaussian(0.7, channels=1)], ids=str)
@pytest.mark.parametrize("shape", [(3, 65, 77), (3, 8)])
def test_both_places_give_the_same_batches(device, dtype, noise, shape):
    law = sampler_at(noise, torch.rand(shape, dtype=dtype).to(device))
    with NoiseStream(law, 5, "k") as host, DeviceNoise(law, 5, "k") as own:
        assert torch.equal(host.get(range(3, 9)), own.get(range(3, 9)))
        assert not torch.equal(host.get(range(3, 9)), own.get(range(4, 10)))


def test_host_and_device_agree_on_what_float64_leaves_open(monkeypatch):
    monkeypatch.setattr(rounded, "_TOLERANCE", 0.01)
    law = sampler_at(cs.Gaussian(0.25), torch.rand(3, 65, 77))
    with NoiseStream(law, 5, "k") as host, DeviceNoise(law, 5, "k") as own:
        wide = own.get(range(3))
        assert torch.equal(host.get(range(3)), wide)
    monkeypatch.undo()
    with DeviceNoise(law, 5, "k") as own:
        assert torch.equal(own.get(range(3)), wide)


def test_brackets_hold_the_number():
    rng = np.random.default_rng(3)
    cells = rng.integers(-HALF, HALF, 500)
    residual = rng.uniform(-0.5, 0.5, 500)
    low, high = brackets(cells.astype(float), 2.0**-32, residual, 300.0, ndtri, np.floor)
    for s, r, a, b in zip(cells, residual, low, high, strict=True):
        assert a <= nearest(int(s) << 32, r, 300.0) <= b
        assert a <= nearest((int(s) << 32) + 2**32 - 1, r, 300.0) <= b
    assert unsure(300.0) < 5e-3


def test_stream_is_the_one_certificates_are_made_with():
    """Golden: draw 3 under (7, "street"). Exact, so no library or device may change it."""
    out = np.empty((3, 20, 20), np.float32)
    sampler_at(cs.Gaussian(0.25), torch.full((3, 20, 20), 1 / 3)).fill(out, ADDRESS)
    digest = hashlib.sha256(out.astype("<f4").tobytes()).hexdigest()
    cells = hashlib.sha256(host_cells(ADDRESS.generator(), 1000).astype("<i4").tobytes())
    assert cells.hexdigest()[:16] == "98faaf9fe361a570"
    assert digest[:16] == "d3f7d303e6a30a5d"
