"""A PointNet2 with named categories, and the labels that the parts of each category may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.loaded import HasCard
from certiseg.models.pointnet.network import Plan, PointNet2


class PartSegmenter(nn.Module):
    """Logits (B, classes, N) from clouds (B, channels, N) and the index of each one's category.

    categories: names in the order of the network's one-hot vector. parts: the labels of each
    category; logits of all other labels are -inf. ``of(category)`` is the model for clouds of one
    category. Raises InputError if network, categories and parts do not fit together.
    """

    kind = "clouds"

    def __init__(
        self, network: PointNet2, categories: Sequence[str], parts: Mapping[str, Sequence[int]]
    ) -> None:
        super().__init__()
        self.network = network
        self.training = network.training
        self.categories = tuple(categories)
        self.num_classes = network.num_classes
        if len(set(self.categories)) != network.plan.categories or set(parts) != set(categories):
            raise InputError(
                f"expected names and parts of {network.plan.categories} categories, got "
                f"{len(self.categories)} names and parts of {len(parts)}; name each once"
            )
        self.parts = {name: tuple(parts[name]) for name in self.categories}
        for name, labels in self.parts.items():
            if not labels or min(labels) < 0 or max(labels) >= network.num_classes:
                raise InputError(
                    f"expected labels in [0, {network.num_classes - 1}] for the parts of {name}, "
                    f"got {labels}; correct the parts"
                )

    @property
    def channels(self) -> int:
        return self.network.plan.channels

    def extra_repr(self) -> str:
        return f"parts={self.parts}"

    def forward(self, x: Tensor, category: Tensor) -> Tensor:
        """x: floats (B, channels, N). category: int64 (B,), indices into `categories`."""
        allowed = torch.zeros(len(self.parts), self.num_classes, dtype=torch.bool)
        for place, labels in enumerate(self.parts.values()):
            allowed[place, list(labels)] = True
        logits: Tensor = self.network(x, category)
        return logits.masked_fill(~allowed.to(x.device)[category][:, :, None], -torch.inf)

    def of(self, category: str) -> CloudModel:
        """The model for clouds of one category, with shared weights. Raises InputError for an
        unknown name."""
        if category not in self.parts:
            raise InputError(
                f"expected a category among {', '.join(self.categories)}, got {category!r}; "
                "choose one that the model knows"
            )
        return CloudModel(self, category)


class TrainedClouds(HasCard, PartSegmenter):
    """A PointNet2 with the categories and parts of its card."""

    def __init__(self, card: dict[str, Any]) -> None:
        plan = {name: value for name, value in card["architecture"].items() if name != "class"}
        super().__init__(PointNet2(Plan.of_record(plan)), card["categories"], card["parts"])
        self.card = card
        # Name in statements, unless a command sets the name that the user gave.
        self.model_name = str(card.get("name", "PointNet2"))


class CloudModel(nn.Module):
    """Logits (B, classes, N) from clouds (B, channels, N) of one category of a segmenter."""

    kind = "clouds"

    def __init__(self, base: PartSegmenter, category: str) -> None:
        super().__init__()
        self.base = base
        self.training = base.network.training
        self.category = category
        self.num_classes = base.num_classes
        self._place = base.categories.index(category)
        name = getattr(base, "model_name", None) or type(base.network).__name__
        self.model_name = f"{name}, category {category}"

    def extra_repr(self) -> str:
        return f"category={self.category!r}, place={self._place}"

    def forward(self, x: Tensor) -> Tensor:
        category = torch.full((len(x),), self._place, dtype=torch.int64, device=x.device)
        logits: Tensor = self.base(x, category)
        return logits
