"""The modules of PointNet++: perceptrons shared by all points, on rows (..., channels).

Names and shapes of the weights are those of the published checkpoints, where a shared perceptron is
a 1 x 1 convolution; here it is computed as a matrix product over rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.models.pointnet.geometry import balls, interpolated, take


class Pointwise(nn.Module):
    """A convolution with kernel size 1 over `axes` axes, with its weight shape (out, in, 1,
    ...)."""

    def __init__(self, source: int, target: int, axes: int) -> None:
        super().__init__()
        convolution = (nn.Conv1d if axes == 1 else nn.Conv2d)(source, target, 1)
        self.weight, self.bias = convolution.weight, convolution.bias

    def extra_repr(self) -> str:
        target, source = self.weight.shape[:2]
        return f"{source}, {target}"

    def forward(self, rows: Tensor) -> Tensor:
        return F.linear(rows, self.weight.flatten(1), self.bias)


def perceptron(
    source: int, widths: Sequence[int], axes: int
) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Layers and norms of a shared perceptron, in two lists as in the checkpoints."""
    sources = (source, *widths[:-1])
    layers = [Pointwise(s, t, axes) for s, t in zip(sources, widths, strict=True)]
    return nn.ModuleList(layers), nn.ModuleList(nn.BatchNorm1d(width) for width in widths)


def run(layers: Iterable[nn.Module], norms: Iterable[nn.Module], points: Tensor) -> Tensor:
    """Apply layer, norm and ReLU in turn to points (..., channels)."""
    rows = points.flatten(0, -2)
    for layer, norm in zip(layers, norms, strict=True):
        rows = F.relu(norm(layer(rows)), inplace=True)
    return rows.view(*points.shape[:-1], -1)


class LocalFeatures(nn.Module):
    """Set abstraction with multi-scale grouping: features of centres from balls of several
    radii."""

    def __init__(
        self,
        source: int,
        radii: Sequence[float],
        neighbours: Sequence[int],
        widths: Sequence[Sequence[int]],
    ) -> None:
        super().__init__()
        self.radii, self.neighbours = tuple(radii), tuple(neighbours)
        pairs = [perceptron(source + 3, scale, axes=2) for scale in widths]
        self.conv_blocks = nn.ModuleList(layers for layers, _ in pairs)
        self.bn_blocks = nn.ModuleList(norms for _, norms in pairs)

    def extra_repr(self) -> str:
        return f"radii={self.radii}, neighbours={self.neighbours}"

    def forward(self, xyz: Tensor, features: Tensor, centres: Tensor, squared: Tensor) -> Tensor:
        """xyz (B, N, 3), features (B, N, C), centres (B, S, 3), squared distances (B, S, N)
        -> (B, S, sum of last widths)."""
        points = torch.cat([features, xyz], dim=-1)
        # Coordinates are relative to the centre; features are not.
        middle = F.pad(centres, (features.shape[-1], 0))[:, :, None]
        found = []
        scales = zip(self.radii, self.neighbours, self.conv_blocks, self.bn_blocks, strict=True)
        for radius, count, layers, norms in scales:
            group = take(points, balls(squared, radius, count)) - middle
            found.append(run(layers, norms, group).amax(dim=2))  # type: ignore[arg-type]
        return torch.cat(found, dim=-1)


class WholeFeatures(nn.Module):
    """Set abstraction of all points: one vector."""

    def __init__(self, source: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.mlp_convs, self.mlp_bns = perceptron(source + 3, widths, axes=2)

    def forward(self, xyz: Tensor, features: Tensor) -> Tensor:
        """xyz (B, N, 3), features (B, N, C) -> (B, 1, last width)."""
        points = torch.cat([xyz, features], dim=-1)
        return run(self.mlp_convs, self.mlp_bns, points).amax(dim=1, keepdim=True)


class Propagation(nn.Module):
    """Feature propagation: features of centres interpolated at the points."""

    def __init__(self, source: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.mlp_convs, self.mlp_bns = perceptron(source, widths, axes=1)

    def forward(self, fine: Tensor, coarse: Tensor, squared: Tensor | None) -> Tensor:
        """Features fine (B, N, C) and interpolated features coarse (B, S, D) -> (B, N, last width).

        squared: squared distances (B, S, N); None if coarse is one vector (S = 1).
        """
        if squared is None:
            interpolated_coarse = coarse.expand(-1, fine.shape[1], -1)
        else:
            interpolated_coarse = interpolated(coarse, squared)
        return run(self.mlp_convs, self.mlp_bns, torch.cat([fine, interpolated_coarse], dim=-1))
