"""A noise of another package: uniform on a cube, with its own law, radius and proof.

Under x + U, U uniform on [-sigma, sigma]^d, moving x by d in l1 norm moves each event's probability
by at most the volume of the cube outside its shifted self, at most |d|_1 / (2 sigma). So a label
of probability > tau >= 1/2 keeps more than 1/2 under every |d|_1 < 2 sigma (tau - 1/2)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

import certiseg as cs
from certiseg.noise import Noise, noise, noise_from_record, noise_record, register
from certiseg.rounding import down, exact


@dataclass(frozen=True)
class Cube:
    sigma: float
    kind: ClassVar[str] = "cube"
    norm: ClassVar[str] = "l1"
    unit: ClassVar[str] = ""
    radius_name: ClassVar[str] = "l1 radius"
    largest: ClassVar[float] = math.inf
    measured: ClassVar[str] = "of l1 norm"

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise cs.InputError(f"expected sigma > 0, got {self.sigma}")

    def check_shape(self, shape: tuple[int, ...]) -> None:
        pass

    def eta(self, shape: tuple[int, ...]) -> float:
        return 0.0

    def radius(self, tau: float) -> float:
        if not 0.5 <= tau < 1:
            raise cs.InputError(f"expected tau in [1/2, 1), got {tau}")
        return math.nextafter(2.0 * self.sigma * (tau - 0.5), 0.0)

    def needed(self, radius: float) -> float:
        return min(math.nextafter(0.5 + radius / (2.0 * self.sigma), 2.0) + 1e-15, 1.0)

    def describe(self) -> str:
        return f"uniform noise on [-{exact(self.sigma)}, {exact(self.sigma)}]^d"

    def applied(self, given: str, channels: int | None = None) -> str:
        return f"{self.describe()} added to {given}"

    def drawn(self, shape: tuple[int, ...]) -> str:
        return "noise was drawn in float32"

    def moved(self, channels: int | None = None) -> str:
        return "perturbation of the input"

    def size(self, radius: float, decimals: int = 6) -> str:
        return down(radius, decimals)


class DrawnCube:
    engine = "NumPy uniform in float32"

    def __init__(self, noise: Cube, x: torch.Tensor) -> None:
        self.x, self._noise, self._given = x, noise, x.cpu().numpy()

    def fill(self, out: np.ndarray, address) -> None:
        steps = address.generator().random(self._given.shape, np.float32)
        out[...] = self._given + np.float32(self._noise.sigma) * (2 * steps - 1)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "_KNOWN", dict(noise._KNOWN))
    register(Cube, DrawnCube)


@pytest.fixture
def smoothed() -> cs.Smoothed:
    return cs.Smoothed(lambda x: torch.stack([x[:, 0], x[:, 1]], 1), Cube(0.5))


X = np.stack([np.linspace(0, 1, 12), np.full(12, 0.5)]).reshape(2, 2, 6).astype(np.float32)


def test_it_is_drawn_certified_stated_stored_and_verified(smoothed, tmp_path: Path) -> None:
    assert isinstance(Cube(0.5), Noise)
    made = smoothed.certify(X, 200, tau=0.6, seed=1)
    assert 0 < made.certified.sum() < made.labels.size
    assert made.radius == pytest.approx(0.1)
    assert np.all(made.labels[made.certified] == (X[1] > X[0])[made.certified])
    assert f"of l1 norm below {down(made.radius, 6)}" in made.statement()
    assert "under uniform noise on [-0.5, 0.5]^d added to the input" in made.statement()
    made.save(tmp_path / "cube.npz")
    again = cs.Certificate.load(tmp_path / "cube.npz")
    assert again.noise == Cube(0.5)
    cs.verify(again)
    assert cs.radius_map(made.votes, noise=Cube(0.5)).radius.max() < 0.5


def test_votes_of_another_noise_are_refused(smoothed) -> None:
    votes = smoothed.vote(X, 50, seed=1)
    with pytest.raises(cs.InputError, match="noise that was drawn"):
        cs.certify(votes, noise=cs.Gaussian(0.5))


def test_draws_depend_on_their_address_alone(smoothed) -> None:
    whole = smoothed.vote(X, 40, seed=1)
    parts = [smoothed.vote(X, 20, seed=1, first_draw=n, batch_size=7) for n in (0, 20)]
    assert np.array_equal((parts[0] + parts[1]).counts, whole.counts)


def test_records_come_back_and_others_are_refused() -> None:
    record = json.loads(json.dumps(noise_record(Cube(0.5))))
    assert noise_from_record(record) == Cube(0.5)
    for forged in ({**record, "axis": "z"}, {"kind": "cube"}, {**record, "sigma": -1.0}):
        with pytest.raises(cs.InputError):
            noise_from_record(forged)


def test_a_kind_is_taken_once_and_an_unregistered_noise_is_refused(monkeypatch) -> None:
    with pytest.raises(cs.InputError, match="taken"):
        register(type("Other", (Cube,), {}), DrawnCube)
    monkeypatch.delitem(noise._KNOWN, "cube")
    with pytest.raises(cs.InputError, match="register"):
        cs.Smoothed(lambda x: x, Cube(0.5)).vote(X, 10)
