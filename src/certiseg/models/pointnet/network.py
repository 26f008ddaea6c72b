"""PointNet++ with multi-scale grouping, for part segmentation.

The network of Qi, Yi, Su, Guibas 2017 as in `pointnet2_part_seg_msg` of
github.com/yanx27/Pointnet_Pointnet2_pytorch (MIT): same layers, names of weights and order of
channels, so that its checkpoints load. There are two differences. The published code groups points
in the order of the input and starts its sampling at a random one; here the points are first sorted
by their values (``canonical_order``), so that the network is a function of the set of points. And
distances are sums of squared differences, not expanded squares.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.pointnet.geometry import canonical_order, farthest_points, take
from certiseg.models.pointnet.layers import (
    LocalFeatures,
    Pointwise,
    Propagation,
    WholeFeatures,
    run,
)

Widths = tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Architecture of a PointNet2, as JSON values.

    channels: 3 coordinates, or 6 with normals. categories: length of the one-hot vector. groups:
    number of centres at each of two levels; radii, neighbours and local (widths of the perceptron):
    for each scale of each level. whole: widths of the perceptron over all centres. back: widths of
    the feature propagations, coarse to fine.
    """

    channels: int
    categories: int
    num_classes: int
    groups: tuple[int, int]
    radii: tuple[tuple[float, ...], tuple[float, ...]]
    neighbours: tuple[Widths, Widths]
    local: tuple[tuple[Widths, ...], tuple[Widths, ...]]
    whole: Widths
    back: tuple[Widths, Widths, Widths]
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.channels not in (3, 6):
            raise InputError(
                f"expected 3 channels (coordinates) or 6 (with normals), got {self.channels}; "
                "choose one of the two"
            )
        assert self.groups[0] >= self.groups[1] >= 3

    def record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Plan:
        """The plan from its record, which may come from JSON with lists instead of tuples."""
        return cls(**{name: _frozen(value) for name, value in record.items()})


def msg(channels: int, categories: int = 16, num_classes: int = 50) -> Plan:
    """The published architecture (defaults: ShapeNet-Part)."""
    return Plan(
        channels,
        categories,
        num_classes,
        groups=(512, 128),
        radii=((0.1, 0.2, 0.4), (0.4, 0.8)),
        neighbours=((32, 64, 128), (64, 128)),
        local=(((32, 32, 64), (64, 64, 128), (64, 96, 128)), ((128, 128, 256), (128, 196, 256))),
        whole=(256, 512, 1024),
        back=((256, 256), (256, 128), (128, 128)),
    )


def small(channels: int, categories: int, num_classes: int) -> Plan:
    """About 0.3 million parameters, and about 30 times fewer operations than ``msg``: for CPUs."""
    return Plan(
        channels,
        categories,
        num_classes,
        groups=(256, 64),
        radii=((0.2, 0.4), (0.4, 0.8)),
        neighbours=((16, 32), (16, 32)),
        local=(((16, 16, 32), (32, 32, 64)), ((64, 64, 128), (64, 64, 128))),
        whole=(128, 256, 256),
        back=((128, 128), (128, 64), (64, 64)),
    )


class PointNet2(nn.Module):
    """Logits (B, classes, N) from clouds (B, channels, N) and one category for each.

    In evaluation mode a deterministic function of each cloud alone: permuted points get permuted
    labels, and the rest of the batch affects at most the last bits of the sums. Gradients reach the
    points through features and relative positions, not through the choice of neighbours and their
    weights.

    Coordinates are the first channels and should lie about the unit sphere, since the radii are
    absolute. N is at least the number of centres of the first level.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan, self.num_classes = plan, plan.num_classes
        first, second = (sum(scale[-1] for scale in level) for level in plan.local)
        scales = zip(plan.radii, plan.neighbours, plan.local, strict=True)
        self.sa1, self.sa2 = (
            LocalFeatures(source, *scale)
            for source, scale in zip((plan.channels, first), scales, strict=True)
        )
        self.sa3 = WholeFeatures(second, plan.whole)
        fp3, fp2, fp1 = plan.back
        self.fp3 = Propagation(second + plan.whole[-1], fp3)
        self.fp2 = Propagation(first + fp3[-1], fp2)
        self.fp1 = Propagation(plan.categories + 3 + plan.channels + fp2[-1], fp1)
        self.conv1, self.bn1 = Pointwise(fp1[-1], fp1[-1], axes=1), nn.BatchNorm1d(fp1[-1])
        self.drop1 = nn.Dropout(plan.dropout)
        self.conv2 = Pointwise(fp1[-1], plan.num_classes, axes=1)

    def extra_repr(self) -> str:
        return f"groups={self.plan.groups}, categories={self.plan.categories}"

    def forward(self, x: Tensor, category: Tensor) -> Tensor:
        """x: floats (B, channels, N). category: int64 (B,). Returns logits (B, classes, N)."""
        self._check(x)
        order = canonical_order(x)
        points = take(x.transpose(1, 2), order)
        xyz = points[..., :3]
        first, second = self.plan.groups
        picks, near_squared = farthest_points(xyz, first)
        centres = take(xyz, picks)
        # Farthest points are nested: the centres of level two are the first ones of level one.
        far = centres[:, :second]
        far_squared = near_squared[:, :second].gather(2, picks[:, None].expand(-1, second, -1))

        local = self.sa1(xyz, points, centres, near_squared)
        wider = self.sa2(centres, local, far, far_squared)
        whole = self.sa3(far, wider)
        wider = self.fp3(wider, whole, None)
        local = self.fp2(local, wider, far_squared)
        kind = F.one_hot(category, self.plan.categories).to(x.dtype)
        local_input = torch.cat([kind[:, None].expand(-1, xyz.shape[1], -1), xyz, points], dim=-1)
        found = self.fp1(local_input, local, near_squared)
        logits = self.conv2(self.drop1(run([self.conv1], [self.bn1], found)))
        # Undo the canonical order.
        places = order[..., None].expand_as(logits)
        return torch.empty_like(logits).scatter(1, places, logits).transpose(1, 2)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[1] != self.plan.channels:
            raise InputError(
                f"expected clouds of shape (B, {self.plan.channels}, N), got {tuple(x.shape)}; "
                "this network has other channels, or the points do not lie on the last axis"
            )
        if x.shape[2] < self.plan.groups[0]:
            raise InputError(
                f"expected at least {self.plan.groups[0]} points, as many as the network forms "
                f"groups, got {x.shape[2]}; pass denser clouds or a model with fewer groups"
            )


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
