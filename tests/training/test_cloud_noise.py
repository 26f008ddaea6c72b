"""Noise of batches of clouds: its laws, what it leaves alone, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from certiseg.errors import InputError
from certiseg.training.cloud_noise import CloudNoise, rotations
from tiny_pointnet import some_clouds


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _angles(matrices: Tensor) -> Tensor:
    trace = matrices.diagonal(dim1=1, dim2=2).sum(1)
    return ((trace - 1) / 2).clamp(-1, 1).acos()


def test_rotations_are_rotations_by_the_length_around_the_vector() -> None:
    vectors = torch.randn(50, 3, generator=_generator()).double()
    vectors *= 3 * torch.rand(50, 1, generator=_generator()) / vectors.norm(dim=1, keepdim=True)
    matrices = rotations(vectors)
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).double().expand(50, 3, 3))
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(50).double())
    torch.testing.assert_close((matrices @ vectors[:, :, None])[..., 0], vectors)
    torch.testing.assert_close(_angles(matrices), vectors.norm(dim=1))
    # Right-handed: a quarter turn around z takes x to y.
    quarter = rotations(torch.tensor([[0.0, 0.0, math.pi / 2]]))
    torch.testing.assert_close(quarter[0, :, 0], torch.tensor([0.0, 1.0, 0.0]))


def test_no_noise_is_the_cloud_itself() -> None:
    x = some_clouds(2, 30)
    assert CloudNoise().applied(x, _generator()) is x


def test_gaussian_noise_moves_coordinates_alone() -> None:
    x = some_clouds(40, 500, channels=6)
    difference = CloudNoise("coordinates", 0.25).applied(x, _generator()) - x
    assert (difference[:, 3:] == 0).all()
    # 60 000 values; a false alarm has probability 1e-6 under the law.
    assert stats.kstest(difference[:, :3].flatten() / 0.25, "norm").pvalue > 1e-6
    # Negative control: a sigma 5 % off is seen.
    assert stats.kstest(difference[:, :3].flatten() / 0.2375, "norm").pvalue < 1e-6


@pytest.mark.parametrize("axis", [None, "x", "y", "z"])
def test_rotations_turn_about_the_mean_and_normals_along(axis: str | None) -> None:
    x = some_clouds(20, 60, channels=6)
    noise = CloudNoise("rotation", 0.5, axis)
    turned = noise.applied(x, _generator())
    again = noise._rotations(20, _generator())
    middle = x[:, :3].mean(2, keepdim=True)
    torch.testing.assert_close(turned[:, :3].mean(2, keepdim=True), middle, rtol=0, atol=1e-6)
    torch.testing.assert_close(turned[:, :3] - middle, again @ (x[:, :3] - middle))
    torch.testing.assert_close(turned[:, 3:], again @ x[:, 3:])
    # Each cloud has a rotation of its own.
    assert len(set(_angles(again).tolist())) == 20


@pytest.mark.parametrize(
    ("axis", "sigma"), [(None, 0.25), (None, 2.0), ("y", 0.25)], ids=["narrow", "wide", "axis"]
)
def test_angles_have_the_stated_law(axis: str | None, sigma: float) -> None:
    matrices = CloudNoise("rotation", sigma, axis)._rotations(20_000, _generator())
    angles = _angles(matrices.double())
    law = stats.chi(3 if axis is None else 1, scale=sigma)
    # False alarm 1e-6; angles beyond pi are drawn again, so the law is cut off there.
    shares = law.cdf(angles) / law.cdf(math.pi)
    assert stats.kstest(shares, "uniform").pvalue > 1e-6
    other = stats.chi(2, scale=sigma)
    assert stats.kstest(other.cdf(angles) / other.cdf(math.pi), "uniform").pvalue < 1e-6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("impulse", 0.1), "none, coordinates, rotation, got 'impulse'"),
        (("coordinates", -1.0), "sigma >= 0"),
        (("rotation", math.inf), "finite sigma"),
        (("coordinates", 0.0), "sigma > 0 with noise"),
        (("none", 0.1), "0 without"),
        (("coordinates", 0.1, "x"), "for rotations alone"),
        (("rotation", 0.1, "w"), "axis among x, y, z"),
    ],
)
def test_what_does_not_fit_together(arguments: tuple, words: str) -> None:
    with pytest.raises(InputError, match=words):
        CloudNoise(*arguments)


def test_words() -> None:
    assert CloudNoise().words() == "no noise"
    assert CloudNoise("rotation", 0.25).words() == "rotations around any axis, sigma 0.25 rad"
    assert "the y axis" in CloudNoise("rotation", 0.25, "y").words()
