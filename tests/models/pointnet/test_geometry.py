"""Order, sampling, balls and interpolation against plain loops."""

from __future__ import annotations

import pytest
import torch

from certiseg.models.pointnet.geometry import (
    balls,
    canonical_order,
    farthest_points,
    interpolated,
    take,
)
from plain_pointnet import plain_ball, plain_farthest, plain_three, squares
from tiny_pointnet import some_clouds


def _ordered(x: torch.Tensor) -> torch.Tensor:
    return take(x.transpose(1, 2), canonical_order(x)).transpose(1, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_the_order_follows_the_points_alone(dtype: torch.dtype) -> None:
    x = some_clouds(3, 200, channels=6).to(dtype)
    shuffle = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(x, x[..., shuffle])
    assert torch.equal(_ordered(x), _ordered(x[..., shuffle]))
    assert torch.equal(canonical_order(x)[1:2], canonical_order(x[1:2]))
    assert not torch.equal(canonical_order(x[:1]), canonical_order(x[1:2]))


def test_every_channel_decides_and_equal_points_keep_their_order() -> None:
    x = torch.zeros(1, 4, 6)
    assert canonical_order(x).tolist() == [[0, 1, 2, 3, 4, 5]]
    assert canonical_order(-x).tolist() == [[0, 1, 2, 3, 4, 5]]
    x[0, 3] = torch.arange(6)  # points that differ in the last channel alone
    shuffle = torch.tensor([4, 2, 0, 5, 1, 3])
    assert torch.equal(_ordered(x), _ordered(x[..., shuffle]))


def test_minus_zero_is_zero() -> None:
    x = some_clouds(1, 50)
    x[0, 1, ::2] = 0.0
    y = x.clone()
    y[0, 1, ::2] = -0.0
    assert torch.equal(canonical_order(x), canonical_order(y))


def test_the_order_is_spread_evenly() -> None:
    """Which of 8 points comes first, over 8000 clouds: 1000 each, within 6 standard errors."""
    x = some_clouds(8000, 8)
    first = canonical_order(x)[:, 0].bincount(minlength=8)
    assert (first - 1000).abs().max() < 6 * (8000 * 1 / 8 * 7 / 8) ** 0.5


def test_farthest_points_are_those_of_the_plain_loop_and_nested() -> None:
    xyz = some_clouds(3, 120).transpose(1, 2)
    picks, squared = farthest_points(xyz, 40)
    assert picks.tolist() == [plain_farthest(cloud, 40) for cloud in xyz]
    plain = [squares(cloud[chosen], cloud) for cloud, chosen in zip(xyz, picks, strict=True)]
    torch.testing.assert_close(squared, torch.stack(plain), rtol=1e-6, atol=0)
    nested = farthest_points(take(xyz, picks), 15)[0]
    assert torch.equal(nested, torch.arange(15).expand(3, 15))
    assert farthest_points(xyz, 120)[0].sort(dim=1)[0].tolist() == [list(range(120))] * 3


@pytest.mark.parametrize(("radius", "count"), [(0.05, 4), (0.3, 16), (0.7, 8), (3.0, 150)])
def test_balls_are_those_of_the_plain_loop(radius: float, count: int) -> None:
    xyz = some_clouds(3, 120).transpose(1, 2)
    picks, squared = farthest_points(xyz, 20)
    centres = take(xyz, picks)
    found = balls(squared, radius, count)
    plain = [
        [plain_ball(cloud, centre, radius, count) for centre in middle]
        for cloud, middle in zip(xyz, centres, strict=True)
    ]
    assert found.tolist() == plain


def test_interpolation_is_that_of_the_plain_loop() -> None:
    xyz = some_clouds(2, 90).transpose(1, 2)
    picks, squared = farthest_points(xyz, 12)
    centres = take(xyz, picks)
    features = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0))
    found = interpolated(features, squared)
    plain = [plain_three(*cloud) for cloud in zip(xyz, centres, features, strict=True)]
    torch.testing.assert_close(found, torch.stack(plain))
    # At the centres themselves: their own features.
    torch.testing.assert_close(take(found, picks), features, rtol=0, atol=1e-5)


def test_distances_of_equal_points_are_zero() -> None:
    """Far from the origin too, where expanded squares would be off by far more than a radius."""
    xyz = some_clouds(1, 30).transpose(1, 2) + 1000
    picks, squared = farthest_points(xyz, 30)
    assert (squared.gather(2, picks[..., None]) == 0).all()
    expanded = (xyz**2).sum(-1)[:, :, None] + (xyz**2).sum(-1)[:, None] - 2 * xyz @ xyz.mT
    assert expanded.diagonal(dim1=1, dim2=2).abs().max() > 0.01
