"""Geometry of PointNet++: canonical order, farthest-point sampling, ball queries, interpolation.

All functions take whole batches, without a loop over clouds or points (farthest-point sampling
loops over its picks). Distances are sums of squared differences rather than expanded squares: exact
for equal points, and bitwise independent of the rest of the batch.

Source of the operations: Qi, Yi, Su, Guibas 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Odd 64-bit multipliers of splitmix64 (Steele, Lea, Flood 2014), as signed integers.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
_SAME = 1e-8
"""Added to squared distances before they are inverted, as in the published code."""


def farthest_points(xyz: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Farthest-point sampling: indices int64 (B, count) into points xyz (B, N, 3), count <= N.

    The first pick is the first point; each further one is the point farthest from all picks (the
    first on a tie). Also returns the squared distances (B, count, N) of all points to each pick,
    which are computed anyway; no gradient flows through them.

    The picks are nested: the first k are also what this function picks from them alone.
    """
    axes = xyz.detach().transpose(1, 2).contiguous()
    clouds, _, points = axes.shape
    picks = torch.zeros(clouds, count, dtype=torch.int64, device=xyz.device)
    squared = axes.new_empty((clouds, count, points))
    nearest = axes.new_full((clouds, points), torch.inf)
    # A reused buffer: 512 picks are bound by kernel launches, not by arithmetic.
    difference = torch.empty_like(axes)
    for pick, row in enumerate(squared.unbind(1)):
        place = picks[:, pick, None, None].expand(clouds, 3, 1)
        torch.sub(axes, axes.gather(2, place), out=difference)
        difference.mul_(difference)
        torch.add(difference[:, 0], difference[:, 1], out=row).add_(difference[:, 2])
        if pick + 1 < count:
            torch.minimum(nearest, row, out=nearest)
            picks[:, pick + 1] = nearest.argmax(dim=1)
    return picks, squared


def balls(squared: Tensor, radius: float, count: int) -> Tensor:
    """Ball query: indices int64 (B, S, count) of the first points within radius, in the order of
    the points.

    squared: squared distances (B, S, N) from centres that are among the points, so that no ball is
    empty. A ball with fewer points repeats its first one.
    """
    inside = squared <= radius**2
    points = inside.shape[-1]
    # Flat positions of the points inside, ball by ball: far fewer than distances, and in order.
    position = inside.view(-1).nonzero()[:, 0]
    balls_before = torch.arange(inside[..., 0].numel() + 1, device=squared.device) * points
    start = torch.searchsorted(position, balls_before)
    rank = torch.arange(count, device=squared.device)
    rank = torch.where(rank < start.diff()[:, None], rank, 0)
    return (position[start[:-1, None] + rank] % points).view(*inside.shape[:-1], count)


def take(rows: Tensor, indices: Tensor) -> Tensor:
    """Gather rows (B, ..., C) of rows (B, N, C) at indices (B, ...)."""
    clouds, points, width = rows.shape
    first = torch.arange(clouds, device=rows.device) * points
    flat = indices + first.view(-1, *(1,) * (indices.ndim - 1))
    return rows.reshape(-1, width).index_select(0, flat.view(-1)).view(*indices.shape, width)


def interpolated(features: Tensor, squared: Tensor) -> Tensor:
    """Features (B, N, C) at N points, interpolated from features (B, S, C) of S centres.

    squared: squared distances (B, S, N). The weights are the inverse squared distances to the three
    nearest centres.
    """
    near, indices = squared.transpose(1, 2).topk(min(3, squared.shape[1]), dim=-1, largest=False)
    weights = 1 / (near + _SAME)
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return (take(features, indices) * weights[..., None]).sum(dim=2)


def canonical_order(x: Tensor) -> Tensor:
    """A permutation int64 (B, N) that sorts the points of each cloud x, floats (B, C, N).

    Guarantee: the relative order of two different points depends only on their values, not on their
    positions in x, the other points or the batch; equal points keep their order. (Two different
    points have the same key with probability about 2^-64.) The order is pseudo-random in the
    values: a change in the last bit may move a point anywhere. It is computed in integers from the
    bits of the floats, so it is the same on every device.
    """
    # + 0.0 turns minus zero into zero: they are equal and need the same key.
    values = x.detach() + 0.0
    wide = torch.int64 if values.dtype == torch.float64 else torch.int32
    if wide == torch.int32:
        values = values.float()
    bits = values.contiguous().view(wide).to(torch.int64)
    key = torch.full_like(bits[:, 0], _STEP)
    for channel in range(bits.shape[1]):
        key = _mixed((key ^ bits[:, channel]) + _STEP)
    return key.argsort(dim=1, stable=True)


def _mixed(key: Tensor) -> Tensor:
    """The finaliser of splitmix64, a bijection of the 64-bit integers."""
    for shift, factor in zip((30, 27), _MIX, strict=True):
        key = (key ^ _shifted(key, shift)) * factor
    return key ^ _shifted(key, 31)


def _shifted(key: Tensor, by: int) -> Tensor:
    """Logical shift to the right (PyTorch's is arithmetic)."""
    return torch.bitwise_and(key >> by, 2 ** (64 - by) - 1)
