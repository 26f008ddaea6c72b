"""SmallUNet: a segmentation network for noisy images, fast enough for 100 passes on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.outputs.low_resolution import LowResolutionLogits


class SmallUNet(nn.Module):
    """U-Net on a strided stem. (B, in_channels, H, W) -> logits (B, num_classes, H, W), any H, W.

    widths: channels at 1/2, 1/4, 1/8, ... of the input. blocks: residual convolutions at each.
    There are no features at full resolution: under noise of sigma 0.25 single pixels carry little
    information, and such a stage would cost more than all others together.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        widths: Sequence[int] = (24, 32, 64, 96, 120),
        blocks: Sequence[int] = (0, 2, 2, 2, 1),
    ) -> None:
        super().__init__()
        assert len(widths) == len(blocks) >= 2
        self.num_classes = num_classes
        self.stem = _conv(in_channels, widths[0], kernel=5, stride=2)
        self.encoder = nn.ModuleList()
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            down = [_conv(widths[level - 1], width, stride=2)] if level else []
            # Dilation doubles the receptive field of the coarsest level.
            dilation = 2 if level == len(widths) - 1 else 1
            residuals = [_Residual(width, dilation) for _ in range(count)]
            self.encoder.append(nn.Sequential(*down, *residuals))
        finer = list(reversed(widths[:-1]))
        coarser = list(reversed(widths[1:]))
        self.narrow = nn.ModuleList(
            nn.Conv2d(c, f, 1, bias=False) for c, f in zip(coarser, finer, strict=True)
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(f), nn.ReLU(inplace=True), _conv(f, f)) for f in finer
        )
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.low_resolution(x).full()

    def low_resolution(self, x: Tensor) -> LowResolutionLogits:
        """Logits at half the input's size, to be upsampled to it."""
        y = self.stem(x)
        skips = []
        for level in self.encoder:
            y = level(y)
            skips.append(y)
        skips.pop()
        for narrow, decode in zip(self.narrow, self.decoder, strict=True):
            skip = skips.pop()
            # The 1 x 1 convolution commutes with bilinear upsampling, and costs 1/4 before it.
            y = decode(_resize(narrow(y), skip.shape[-2:]) + skip)
        return LowResolutionLogits(self.head(y), (x.shape[2], x.shape[3]))


class _Residual(nn.Module):
    """x + conv(x), normalised, rectified."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.conv(x)))


def _conv(source: int, target: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(source, target, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(target),
        nn.ReLU(inplace=True),
    )


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
