"""EfficientNet-Lite as an encoder, with a decoder light enough for hundreds of passes per image.

Source: Tan & Le 2019, EfficientNet; the "lite" variants (no squeeze-and-excitation, ReLU6, stem of
fixed width) run well on CPUs. Layers carry the names of the published PyTorch port, so that its
ImageNet weights fit.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.outputs.low_resolution import LowResolutionLogits

MEAN, STD = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)
"""Normalisation of each channel in the training of the published weights: (255 x - 127) / 128."""

DECODER_WIDTH = 96

SCALES = {
    "lite0": (1.0, 1.0, 7),
    "lite1": (1.0, 1.1, 7),
    "lite2": (1.1, 1.2, 7),
    "lite0-short": (1.0, 1.0, 5),
}
"""Width, depth and number of stages of each variant. The short one ends at 1/16 of the input: a
quarter of the weights."""

_STAGES = (  # expansion, kernel, stride, channels, repeats
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_ENDS = (0, 1, 2, 4, 6)
"""Stages whose output is the last at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input."""


class EfficientLite(nn.Module):
    """(B, in_channels, H, W) -> features at 1/2, 1/4, 1/8, 1/16 and, unless short, 1/32. widths:
    their channels."""

    def __init__(self, variant: str, in_channels: int = 3) -> None:
        super().__init__()
        width, depth, stages = SCALES[variant]
        self._conv_stem = Same(in_channels, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks: list[Block] = []
        self._ends: list[int] = []
        widths = []
        source = 32
        for stage, (expansion, kernel, stride, channels, repeats) in enumerate(_STAGES[:stages]):
            target = _rounded(channels * width)
            # The lite variants do not scale the depth of the first and last stages.
            count = repeats if stage in (0, 6) else math.ceil(repeats * depth)
            for number in range(count):
                blocks.append(
                    Block(source, target, expansion, kernel, stride if number == 0 else 1)
                )
                source = target
            if stage in _ENDS:
                self._ends.append(len(blocks) - 1)
                widths.append(target)
        self._blocks = nn.ModuleList(blocks)
        self.widths = tuple(widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        y = F.relu6(self._bn0(self._conv_stem(x)), inplace=True)
        features = []
        for number, block in enumerate(self._blocks):
            y = block(y)
            if number in self._ends:
                features.append(y)
        return features


class Block(nn.Module):
    """Expand, convolve each channel, project; the input is added where shapes agree."""

    def __init__(self, source: int, target: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = source * expansion
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = nn.Conv2d(source, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
        self._depthwise_conv = Same(inner, inner, kernel, stride, groups=inner)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv = nn.Conv2d(inner, target, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(target, eps=1e-3)
        self.adds = stride == 1 and source == target

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x
        if self.expands:
            y = F.relu6(self._bn0(self._expand_conv(y)), inplace=True)
        y = F.relu6(self._bn1(self._depthwise_conv(y)), inplace=True)
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow does: the odd pixel goes to the right and the bottom."""

    def __init__(self, source: int, target: int, kernel: int, stride: int, groups: int = 1) -> None:
        # Padded here only where both sides are alike: one copy less.
        super().__init__(
            source,
            target,
            kernel,
            stride,
            padding=kernel // 2 if stride == 1 else 0,
            groups=groups,
            bias=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            height, width = (
                max(0, (math.ceil(n / stride) - 1) * stride + kernel - n) for n in x.shape[-2:]
            )
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(x)


class EfficientSegmenter(nn.Module):
    """EfficientNet-Lite and a pyramid decoder. (B, C, H, W) -> logits (B, classes, H, W), any size.

    width: channels of the decoder, which goes down to 1/4 of the input; a mean over the whole image
    is added at the last level, since under heavy noise a pixel says less than its surroundings.
    """

    def __init__(
        self, variant: str, in_channels: int, num_classes: int, width: int = DECODER_WIDTH
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = EfficientLite(variant, in_channels)
        widths = self.encoder.widths
        self.context = nn.ModuleList(_conv(widths[-1], width, 1) for _ in range(3))
        self.lateral = nn.ModuleList(nn.Conv2d(w, width, 1, bias=False) for w in widths[1:-1])
        self.smooth = nn.ModuleList(_separable(width) for _ in widths[1:-1])
        self.deep = _separable(width)
        self.head = nn.Sequential(_conv(width, width, 3), nn.Conv2d(width, num_classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.low_resolution(x).full()

    def low_resolution(self, x: Tensor) -> LowResolutionLogits:
        """Logits at a quarter of the input's size, to be upsampled to it."""
        features = self.encoder(x)
        top = features[-1]
        near, pooled, whole = self.context
        y = near(top)
        size = y.shape[-2:]
        region = pooled(F.adaptive_avg_pool2d(top, (4, 6)))
        y = y + _resize(region, size) + whole(F.adaptive_avg_pool2d(top, 1))
        y = self.deep(y)
        for level in reversed(range(len(self.lateral))):
            skip = self.lateral[level](features[level + 1])
            y = self.smooth[level](_resize(y, skip.shape[-2:]) + skip)
        return LowResolutionLogits(self.head(y), (x.shape[2], x.shape[3]))


def _conv(source: int, target: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(source, target, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(target),
        nn.ReLU(inplace=True),
    )


def _separable(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _rounded(channels: float) -> int:
    """The multiple of 8 that is near and not below 90 %."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near
