"""Segmentation networks that can be trained and stored, by name and by card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from certiseg.models.efficientnet import SCALES, EfficientSegmenter
from certiseg.models.loaded import HasCard
from certiseg.models.preprocess import OfBase, Preprocess
from certiseg.models.unet import SmallUNet

NETWORKS = ("unet", *(f"efficientnet-{variant}" for variant in SCALES))

UNET = "certiseg.models.unet.SmallUNet"
EFFICIENT = "certiseg.models.efficientnet.EfficientSegmenter"


def built(plan: Mapping[str, Any]) -> nn.Module:
    """The network of a card's architecture, with fresh weights. Raises KeyError for an unknown
    one."""
    shape = plan["in_channels"], plan["num_classes"]
    makers: dict[str, Callable[[], nn.Module]] = {
        UNET: lambda: SmallUNet(*shape, plan["widths"], plan["blocks"]),
        EFFICIENT: lambda: EfficientSegmenter(plan["variant"], *shape, plan["width"]),
    }
    return makers[plan.get("class", UNET)]()


class TrainedModel(HasCard, OfBase, nn.Module):
    """One of these networks with its normalisation: (B, channels, H, W) in [0, 1] -> logits (B,
    classes, H, W).

    card: the record written by training.
    """

    kind = "images"

    def __init__(self, card: dict[str, Any]) -> None:
        super().__init__()
        plan = card["architecture"]
        network = built(plan)
        self.card = card
        self.num_classes: int = plan["num_classes"]
        self.base = Preprocess(network, mean=plan["mean"], std=plan["std"])

    @property
    def network(self) -> nn.Module:
        """The network inside the preprocessing, whose weights are stored."""
        assert isinstance(self.base.model, nn.Module)
        return self.base.model

    @property
    def channels(self) -> int:
        return int(self.card["channels"])
