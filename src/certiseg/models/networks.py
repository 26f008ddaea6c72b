"""The segmentation networks that can be trained and stored, by name and by their card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from certiseg.models.efficientnet import SCALES, EfficientSegmenter
from certiseg.models.unet import SmallUNet

NETWORKS = ("unet", *(f"efficientnet-{variant}" for variant in SCALES))

UNET = "certiseg.models.unet.SmallUNet"
EFFICIENT = "certiseg.models.efficientnet.EfficientSegmenter"


def built(plan: Mapping[str, Any]) -> nn.Module:
    """The network of a card's architecture, with fresh weights. KeyError for a foreign one."""
    shape = plan["in_channels"], plan["num_classes"]
    makers: dict[str, Callable[[], nn.Module]] = {
        UNET: lambda: SmallUNet(*shape, plan["widths"], plan["blocks"]),
        EFFICIENT: lambda: EfficientSegmenter(plan["variant"], *shape, plan["width"]),
    }
    return makers[plan.get("class", UNET)]()
