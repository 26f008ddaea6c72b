"""Networks with random weights to be timed, for `--model python:benchmarks.networks:NAME`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from certiseg.models.hrnet import HRNetV2
from certiseg.models.hrnet.published import MEAN, STD
from certiseg.models.preprocess import Preprocess
from certiseg.models.unet import SmallUNet


def hrnet_w48() -> nn.Module:
    """The paper's network for Cityscapes: noise and labels at full size, passes at scale 0.25."""
    return Preprocess(HRNetV2(19), MEAN, STD, scale=0.25)


def hrnet_w48_half() -> nn.Module:
    """The same at scale 0.5, for a GPU."""
    return Preprocess(HRNetV2(19), MEAN, STD, scale=0.5)


def coarse_150() -> nn.Module:
    """A few layers with 150 classes at 1/4 of the size."""
    return CoarseNet(150)


class CoarseNet(nn.Module):
    """Logits at 1/4 of the size, returned as Hugging Face's models do: under "logits", for the
    caller to upsample."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, num_classes, 1),
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.layers(x)}


def small_unet() -> nn.Module:
    """A U-Net of 3 scales and 3 classes, with random weights, for small images."""
    torch.manual_seed(0)
    return SmallUNet(3, 3, widths=(16, 24, 32), blocks=(0, 1, 1)).eval()
