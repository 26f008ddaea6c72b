"""Draws on point clouds: rotations about the centroid, and noise on coordinates alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi, kstest

import certiseg as cs
from certiseg.sampling.keys import generator
from certiseg.sampling.noise_samplers import drawn_rotation, sampler_at

ANY = cs.Rotation(0.4)


def _cloud(channels: int = 6, points: int = 40, dtype=torch.float64) -> torch.Tensor:
    cloud = torch.from_numpy(np.random.default_rng(0).normal(size=(channels, points)))
    cloud[:3] = 3 * cloud[:3] + torch.tensor([[5.0], [-2.0], [40.0]])
    return cloud.to(dtype)


def _sides(batch: torch.Tensor) -> torch.Tensor:
    """Labels (B, N): the side of each point's plane through the centroid, and of its normal."""
    height = batch[:, 2] - batch[:, 2].mean(dim=1, keepdim=True)
    return (height > 0).long() + 2 * (batch[:, -1] > 0).long()


def _smoothed(noise, model=_sides) -> cs.Smoothed:
    return cs.Smoothed(model, noise, 4, value_range=None)


def _matrix(before: torch.Tensor, after: torch.Tensor) -> np.ndarray:
    """The linear map that takes one set of points (3, N) to the other."""
    return np.linalg.lstsq(before.numpy().T, after.numpy().T, rcond=None)[0].T


@pytest.mark.parametrize("noise", [ANY, cs.Rotation(2.0), cs.Rotation(0.4, "x")], ids=str)
def test_draws_are_rotations_about_the_centroid(noise):
    x = _cloud()
    middle = x[:3].mean(dim=1, keepdim=True)
    for draw in range(20):
        y = _smoothed(noise).noisy(x, seed=1, draw=draw)
        assert y.dtype == x.dtype
        assert torch.allclose(y[:3].mean(dim=1, keepdim=True), middle, rtol=0, atol=1e-12)
        turn = _matrix(x[:3] - middle, y[:3] - middle)
        assert np.abs(turn @ turn.T - np.eye(3)).max() < 1e-12
        assert abs(np.linalg.det(turn) - 1) < 1e-12
        far = (x[:3] - middle).norm(dim=0)
        assert torch.allclose((y[:3] - middle).norm(dim=0), far, rtol=1e-13, atol=0)
        # Normals turn by the same matrix, and are not moved.
        assert np.abs(turn @ x[3:].numpy() - y[3:].numpy()).max() < 1e-12
        if noise.axis == "x":
            assert torch.allclose(y[[0, 3]], x[[0, 3]], rtol=0, atol=1e-12)


def test_normals_moved_as_points_are_caught():
    """Negative control: turning all six channels about their own means."""
    x = _cloud()
    y = _smoothed(ANY).noisy(x, seed=1)
    turn = _matrix(x[:3] - x[:3].mean(1, keepdim=True), y[:3] - y[:3].mean(1, keepdim=True))
    normals, middle = x[3:].numpy(), x[3:].mean(1, keepdim=True).numpy()
    assert np.abs(turn @ (normals - middle) + middle - y[3:].numpy()).max() > 1e-3


def _drawn(noise, draws: int) -> np.ndarray:
    return np.stack([drawn_rotation(noise, generator(3, "k", j)) for j in range(draws)])


def _vectors(turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles (n,) and axes (n, 3)."""
    skew = (turns - turns.transpose(0, 2, 1)) / 2
    sine = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
    size = np.linalg.norm(sine, axis=1)
    cosine = (np.trace(turns, axis1=1, axis2=2) - 1) / 2
    return np.arctan2(size, cosine), sine / size[:, None]


@pytest.mark.parametrize("sigma", [0.1, 1.5])
def test_law_of_the_angle_and_the_axis(sigma):
    """Kolmogorov-Smirnov on 10 000 draws, false alarm 1e-6 each; sees a distance of 0.028."""
    angles, axes = _vectors(_drawn(cs.Rotation(sigma), 10_000))
    inside = chi.cdf(math.pi / sigma, 3)
    assert kstest(angles, lambda t: chi.cdf(t / sigma, 3) / inside).pvalue > 1e-6
    for place in range(3):  # uniform on the sphere: each coordinate is uniform on [-1, 1]
        assert kstest(axes[:, place], "uniform", (-1, 2)).pvalue > 1e-6
    if sigma > 1:
        # Negative control: without the restriction to |v| <= pi.
        assert kstest(angles, lambda t: chi.cdf(t / sigma, 3)).pvalue < 1e-6


def test_law_of_the_angle_around_one_axis():
    """As above; an angle beyond pi counts on from -pi."""
    turns = _drawn(cs.Rotation(0.5, "z"), 10_000)
    angles = np.arctan2(turns[:, 1, 0], turns[:, 0, 0])
    assert kstest(angles / 0.5, "norm").pvalue > 1e-6
    assert np.all(turns[:, 2] == [0, 0, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "noise", [ANY, cs.Rotation(0.4, "y"), cs.Gaussian(0.5, channels=3)], ids=str
)
def test_votes_do_not_depend_on_the_batch_size(noise, dtype):
    seen: dict[int | None, set[bytes]] = {}
    votes = []
    batches: list[torch.Tensor] = []

    def model(batch):
        batches.append(batch.clone())
        return _sides(batch)

    model.not_fingerprinted = ("batches",)
    for size in (1, 3, 64, None):
        batches.clear()
        votes.append(_smoothed(noise, model).vote(_cloud(dtype=dtype), 30, seed=2, batch_size=size))
        *draws, probed = batches
        assert probed.dtype == dtype
        seen[size] = {row.numpy().tobytes() for row in torch.cat(draws)}
    assert all(part == seen[1] for part in seen.values())
    assert all(np.array_equal(part.counts, votes[0].counts) for part in votes)
    assert len(seen[1]) == 30  # all draws are distinct


@pytest.mark.parametrize("noise", [ANY, cs.Gaussian(0.5, channels=3)], ids=str)
def test_one_draw_is_what_the_votes_saw(noise):
    x = _cloud(dtype=torch.float32)
    smooth = _smoothed(noise)
    assert np.array_equal(
        smooth.predict_once(x, seed=1, draw=7),
        _sides(smooth.noisy(x, seed=1, draw=7)[None])[0].numpy(),
    )
    assert np.array_equal(smooth.predict_clean(x), _sides(x[None])[0].numpy())
    source = smooth.source(x, seed=1)
    assert source.sizes() == (40, 4)
    assert np.array_equal(source.more(20).counts, smooth.vote(x, 20, seed=1).counts)


def test_noise_on_coordinates_leaves_the_normals():
    x = _cloud(dtype=torch.float32)
    y = _smoothed(cs.Gaussian(0.5, channels=3)).noisy(x, seed=1)
    assert torch.equal(y[3:], x[3:])
    whole = _smoothed(cs.Gaussian(0.5)).noisy(x, seed=1)
    assert torch.equal(y[:3], whole[:3])  # the first values of the same stream
    assert not torch.any(whole[3:] == x[3:])


def test_the_input_is_untouched_and_models_may_write():
    x = _cloud(dtype=torch.float32)
    before = x.clone()

    def model(batch):
        labels = _sides(batch)
        batch.zero_()
        return labels

    smooth = _smoothed(ANY, model)
    assert np.array_equal(
        smooth.vote(x, 9, seed=0).counts, _smoothed(ANY).vote(x, 9, seed=0).counts
    )
    assert torch.equal(x, before)


def test_engine_says_how_rotations_were_drawn():
    votes = _smoothed(ANY).vote(_cloud(), 5, seed=0)
    assert "float64" in votes.source.engine["generator"]
    assert votes.source.noise == ANY


@pytest.mark.parametrize("shape", [(40, 3), (4, 40), (3, 8, 8)])
def test_what_is_no_cloud(shape):
    with pytest.raises(cs.InputError, match="point cloud"):
        _smoothed(ANY).vote(torch.rand(shape), 5)
    with pytest.raises(cs.InputError, match="at least 5 channels"):
        sampler_at(cs.Gaussian(0.1, channels=5), torch.rand(shape[-2:]).T[:3])


def test_a_cloud_of_one_point_stays():
    x = torch.tensor([[1.0], [2.0], [3.0]])
    assert torch.equal(cs.Smoothed(_sides, ANY, 4, value_range=None).noisy(x), x)
