"""`certiseg selftest`: checks of the installation, the machine and a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import torch
from torch import Tensor

from certiseg.datasets.card import KINDS
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.noise import Gaussian
from certiseg.rounding import exact, percent_up, scientific_up, share_up
from certiseg.runs.device import usable_device
from certiseg.runs.model import channels_of
from certiseg.sampling.draw import DeviceNoise, NoiseStream
from certiseg.sampling.keys import Address
from certiseg.sampling.noise_samplers import GaussianSampler, lower_words
from certiseg.sampling.normals import host_cells
from certiseg.sampling.rounded import nearest
from certiseg.sampling.sampler import Smoothed
from certiseg.stats.binomial import upper_tail
from certiseg.studies.calibration import METHODS, calibrated

NOISE = Gaussian(0.25)
_DRAWS = 8


@dataclass(frozen=True)
class Check:
    """One line: name of the check, whether it passed, and what was observed."""

    name: str
    passed: bool
    seen: str


def selftest(
    loaded: LoadedModel | None = None,
    *,
    images: int = 300,
    alpha: float = 0.05,
    seed: int | None = None,
    size: tuple[int, int] = (96, 128),
    device: str = "cpu",
) -> Iterator[Check]:
    """Yield checks of the statistics, of every method at its null, of the noise, and of the model.

    images: simulated per method, independent and coupled. seed None: fresh entropy, so that every
    call is independent evidence. size: of the random image for the model. Raises InputError for a
    model of volumes or point clouds, and for a device that is not available.
    """
    if images < 1:
        raise InputError(f"expected --images of 1 or more, got {images}; 300 take some seconds")
    if loaded is not None and loaded.kind not in ("images", None):
        raise InputError(
            f"expected a model of images, got {loaded.name} of {KINDS[loaded.kind][0]}s; leave "
            "--model out"
        )
    place = usable_device(device)
    address = np.random.SeedSequence().entropy if seed is None else seed
    assert isinstance(address, int)
    yield _tails()
    yield from _calibration(images, alpha, address)
    x = torch.rand((3, *size), generator=torch.Generator().manual_seed(0))
    yield _exact_noise(x, address)
    yield _same_bits(x.to(place), address)
    if loaded is not None:
        if isinstance(loaded.model, torch.nn.Module):
            loaded.model.to(place)
        shape = (channels_of(loaded), *size)
        seen = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(place)
        yield from _model(loaded.model, seen, loaded.num_classes, address)


def _tails() -> Check:
    """Tails against exact rationals: never below them, and tight."""
    worst = 0.0
    for trials, p in ((20, Fraction(1, 2)), (100, Fraction(3, 4)), (333, Fraction(19, 20))):
        made = upper_tail(np.arange(trials + 1), trials, float(p))
        exact, sum_of = Fraction(p), Fraction(0)
        for k in range(trials, -1, -1):
            sum_of += comb(trials, k) * exact**k * (1 - exact) ** (trials - k)
            share = (Fraction(float(made[k])) - sum_of) / sum_of
            if share < 0:
                return Check("binomial tails", False, f"below the exact value at {k} of {trials}")
            worst = max(worst, float(share))
    return Check(
        "binomial tails",
        worst < 1e-9,
        f"above the exact values by at most {scientific_up(float(worst))}",
    )


def _calibration(images: int, alpha: float, seed: int) -> Iterator[Check]:
    rows: dict[str, list[Any]] = {name: [] for name in METHODS}
    for row in calibrated(images, alpha, seed):
        rows[row.method].append(row)
        if len(rows[row.method]) == 2:
            pair = rows[row.method]
            said = ", ".join(
                f"{share_up(r.rate)} {'coupled' if r.coupled else 'independent'}" for r in pair
            )
            yield Check(
                row.method,
                all(r.passed for r in pair),
                f"error {said}; alpha {exact(alpha)}, {images} images each",
            )


def _exact_noise(x: Tensor, seed: int) -> Check:
    """Noise values against 50-digit arithmetic."""
    sampler = GaussianSampler(NOISE, x)
    address = Address.of(seed, "selftest", 0)
    out = np.empty(tuple(x.shape), np.float32)
    sampler.fill(out, address)
    places = np.arange(0, x.numel(), max(1, x.numel() // 1000))
    upper = host_cells(address.generator(), x.numel())[places].astype(np.int64)
    words = (upper << 32) | lower_words(address, places).astype(np.int64)
    flat = x.numpy().reshape(-1).astype(np.float64)
    wrong = sum(
        float(out.reshape(-1)[place])
        != NOISE.grid * nearest(int(word), flat[place] / NOISE.grid, NOISE.sigma / NOISE.grid)
        for place, word in zip(places.tolist(), words, strict=True)
    )
    return Check(
        "noise, to 50 digits", wrong == 0, f"{wrong} of {len(places)} rounded sums are off"
    )


def _same_bits(x: Tensor, seed: int) -> Check:
    """The device's draws against the host's."""
    sampler = GaussianSampler(NOISE, x)
    with (
        NoiseStream(sampler, seed, "selftest") as host,
        DeviceNoise(sampler, seed, "selftest") as own,
    ):
        equal = torch.equal(host.get(range(3)), own.get(range(3)))
    said = "equal" if equal else "other bits"
    return Check(f"noise, host and {x.device.type}", equal, f"{said} in 3 draws of {x.numel()}")


def _model(
    model: Callable[[Tensor], Any], x: Tensor, num_classes: int | None, seed: int
) -> Iterator[Check]:
    """The independence probe, and replayed draws: in one call and in two, in batches and singly."""
    try:
        smooth = Smoothed(model, NOISE, num_classes, device=x.device)
        votes = smooth.vote(x, _DRAWS, seed=seed, batch_size=4)
    except InputError as error:
        yield Check("each draw alone", False, str(error))
        return
    source = votes.source
    assert source is not None
    yield Check("each draw alone", True, "passed alone and in batches, the output is the same")
    if source.own_randomness:
        yield Check("replay", True, "not possible: the model has randomness of its own")
        return
    again = smooth.vote(x, _DRAWS, seed=seed, batch_size=4)
    changed = float(np.mean(np.any(votes.counts != again.counts, axis=-1)))
    half = smooth.vote(x, 3, seed=seed, batch_size=1)
    parts = half + smooth.vote(x, _DRAWS - 3, seed=seed, first_draw=3, batch_size=2)
    moved = float(np.mean(np.any(votes.counts != parts.counts, axis=-1)))
    yield Check(
        "replay",
        changed <= 1e-3,
        f"{_DRAWS} draws again: {percent_up(changed, 2)} of the components got other votes",
    )
    yield Check(
        "draws divided otherwise",
        moved <= 1e-2,
        f"in batches of 1 and 2: {percent_up(moved, 2)} of the components got other votes (last "
        "bits)",
    )
