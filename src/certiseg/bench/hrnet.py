"""HRNetV2-W48 with random weights, for timing: timm's backbone under the segmentation head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from certiseg.errors import InputError
from certiseg.models.preprocess import Preprocess

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def hrnet_w48(num_classes: int, scale: float) -> nn.Module:
    """(B, 3, H, W) in [0, 1] -> logits (B, num_classes, H, W), computed at this scale.

    Raises InputError where timm is missing.
    """
    return Preprocess(_Segmenter(num_classes), _MEAN, _STD, scale=scale)


class _Segmenter(nn.Module):
    """The four resolutions brought to the finest, stacked, and decided on (Sun et al. 2019)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        try:
            from timm import create_model
        # A torchvision that does not fit torch raises RuntimeError.
        except (ImportError, RuntimeError):
            raise InputError(
                "expected timm for hrnet-w48, got none; pip install timm beside a torchvision that "
                "fits torch, or name another --model"
            ) from None
        self.backbone = create_model(
            "hrnet_w48", features_only=True, pretrained=False, feature_location="",
            out_indices=(1, 2, 3, 4),
        )  # fmt: skip
        width = sum(self.backbone.feature_info.channels())
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, num_classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        finest, *coarser = self.backbone(x)
        size = finest.shape[-2:]
        same = [
            functional.interpolate(y, size=size, mode="bilinear", align_corners=False)
            for y in coarser
        ]
        return self.head(torch.cat([finest, *same], dim=1))
