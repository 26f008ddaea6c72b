"""HRNetV2 with its segmentation head (Wang et al. 2019), as used in the paper.

The network ``seg_hrnet`` of github.com/HRNet/HRNet-Semantic-Segmentation (MIT): same layers, names
of weights and order of sums, so that its checkpoints load. Branches are resized bilinearly, also
between the stages; timm's HRNet for classification repeats pixels there, and computes something
else from the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STEM = 64
_MODULES = (1, 4, 3)
"""Number of exchange modules in the stages of 2, 3 and 4 branches."""
_BLOCKS = 4
"""Number of residual blocks on each branch before an exchange."""


class HRNetV2(nn.Module):
    """Logits (B, num_classes, ceil(H / 4), ceil(W / 4)) from normalised RGB (B, 3, H, W), any H, W.

    width: channels of the finest branch, 48 in the paper; each coarser branch has twice as many.
    align_corners: for all upsampling. False in the branch ``pytorch-v1.1`` and the paper; the
    branch ``HRNet-OCR`` trains with True. The weights do not show it.
    """

    def __init__(self, num_classes: int, width: int = 48, align_corners: bool = False) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.width = width
        self.align_corners = align_corners
        self.conv1 = _conv(3, _STEM, stride=2)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.conv2 = _conv(_STEM, _STEM, stride=2)
        self.bn2 = nn.BatchNorm2d(_STEM)
        deep = 4 * _STEM
        self.layer1 = nn.Sequential(
            _Bottleneck(_STEM, _STEM), *(_Bottleneck(deep, _STEM) for _ in range(3))
        )
        widths = [width << level for level in range(4)]
        self.transition1 = nn.ModuleList(
            [
                nn.Sequential(*_normalised(deep, widths[0]), nn.ReLU(inplace=True)),
                _halvings([deep, widths[1]], last_relu=True),
            ]
        )
        self.transition2 = _one_more(widths[:3])
        self.transition3 = _one_more(widths)
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(*(_Exchange(widths[:count], align_corners) for _ in range(modules)))
            for count, modules in zip((2, 3, 4), _MODULES, strict=True)
        )
        whole = sum(widths)
        self.last_layer = nn.Sequential(
            nn.Conv2d(whole, whole, 1),
            nn.BatchNorm2d(whole),
            nn.ReLU(inplace=True),
            nn.Conv2d(whole, num_classes, 1),
        )

    def extra_repr(self) -> str:
        return f"align_corners={self.align_corners}"

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        x = self.layer1(x)
        branches = self.stage2([transition(x) for transition in self.transition1])
        for transitions, stage in (
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            # The new branch comes from the coarsest one; the others are unchanged.
            branches = stage([*branches, transitions[-1](branches[-1])])
        size = branches[0].shape[-2:]
        whole = [branches[0], *(_resize(y, size, self.align_corners) for y in branches[1:])]
        logits: Tensor = self.last_layer(torch.cat(whole, 1))
        return logits


class _Exchange(nn.Module):
    """Residual blocks on each branch, then each branch becomes a sum over all branches."""

    def __init__(self, widths: Sequence[int], align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.branches = nn.ModuleList(
            nn.Sequential(*(_Basic(width) for _ in range(_BLOCKS))) for width in widths
        )
        levels = range(len(widths))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target) for source in levels) for target in levels
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        branches = [run(y) for run, y in zip(self.branches, branches, strict=True)]
        return [self._sum(branches, target) for target in range(len(branches))]

    def _sum(self, branches: list[Tensor], target: int) -> Tensor:
        paths = self.fuse_layers[target]
        assert isinstance(paths, nn.ModuleList)
        size = branches[target].shape[-2:]
        total = paths[0](branches[0])
        for source in range(1, len(branches)):
            y = paths[source](branches[source])
            if source > target:
                y = _resize(y, size, self.align_corners)
            total = total + y
        return F.relu(total, inplace=True)


class _Basic(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _normalised(width, width)
        self.conv2, self.bn2 = _normalised(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + x, inplace=True)


class _Bottleneck(nn.Module):
    def __init__(self, source: int, width: int) -> None:
        super().__init__()
        target = 4 * width
        self.conv1, self.bn1 = _normalised(source, width, kernel=1)
        self.conv2, self.bn2 = _normalised(width, width)
        self.conv3, self.bn3 = _normalised(width, target, kernel=1)
        self.downsample = (
            nn.Identity()
            if source == target
            else nn.Sequential(*_normalised(source, target, kernel=1))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x), inplace=True)


def _path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """From one branch to another: identity, fewer channels (then resized), or strided
    convolutions."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(*_normalised(widths[source], widths[target], kernel=1))
    steps = [widths[source]] * (target - source)
    return _halvings([*steps, widths[target]], last_relu=False)


def _one_more(widths: Sequence[int]) -> nn.ModuleList:
    """The transition to one more branch. Identities keep the published names of the weights."""
    kept = [nn.Identity() for _ in widths[:-1]]
    return nn.ModuleList([*kept, _halvings(widths[-2:], last_relu=True)])


def _halvings(widths: Sequence[int], last_relu: bool) -> nn.Sequential:
    """A convolution of stride 2 from each width to the next."""
    steps = []
    for step, (source, target) in enumerate(pairwise(widths)):
        layers: list[nn.Module] = [*_normalised(source, target, stride=2)]
        if last_relu or step < len(widths) - 2:
            layers.append(nn.ReLU(inplace=True))
        steps.append(nn.Sequential(*layers))
    return nn.Sequential(*steps)


def _normalised(
    source: int, target: int, kernel: int = 3, stride: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    return _conv(source, target, kernel, stride), nn.BatchNorm2d(target)


def _conv(source: int, target: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(source, target, kernel, stride, padding=kernel // 2, bias=False)


def _resize(x: Tensor, size: torch.Size, align_corners: bool) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
