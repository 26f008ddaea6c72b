"""A tiny PointNet2 and clouds for it."""

from __future__ import annotations

import torch
from torch import Tensor

from certiseg.models.pointnet.network import Plan

TINY = Plan(
    channels=3,
    categories=3,
    num_classes=5,
    groups=(24, 8),
    radii=((0.2, 0.5), (0.5, 1.0)),
    neighbours=((4, 8), (4, 8)),
    local=(((6, 8), (6, 8)), ((12, 16), (12, 16))),
    whole=(16, 24),
    back=((24, 16), (16, 12), (12, 12)),
)


def some_clouds(count: int, points: int, channels: int = 3, seed: int = 0) -> Tensor:
    """Float32 (count, channels, points), on and inside the unit sphere."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, channels, points, generator=generator)
    radius = torch.rand(count, 1, points, generator=generator) ** 0.3
    x[:, :3] *= radius / x[:, :3].norm(dim=1, keepdim=True)
    return x
