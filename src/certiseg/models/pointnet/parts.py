"""A PointNet2 with names: which category is which, and which labels its parts may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.pointnet.network import PointNet2


class PartSegmenter(nn.Module):
    """Labels the parts of shapes of known categories.

    categories: names in the order of the network's one-hot vector. parts: the labels of each.
    ``of(category)`` is a model of clouds. Raises InputError where these do not fit together.
    """

    def __init__(
        self,
        network: PointNet2,
        categories: Sequence[str],
        parts: Mapping[str, Sequence[int]],
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

    def extra_repr(self) -> str:
        """Neither has a tensor of its own; printed, they are part of the model's fingerprint."""
        return f"parts={self.parts}"

    def of(self, category: str) -> CloudModel:
        """The model of clouds of one category; it shares the weights. InputError: unknown name."""
        if category not in self.parts:
            raise InputError(
                f"expected a category among {', '.join(self.categories)}, got {category!r}; "
                "choose one that the model knows"
            )
        return CloudModel(self, category)


class CloudModel(nn.Module):
    """Logits (B, classes, N) from clouds (B, channels, N) of one category.

    The logits of labels that are no parts of it are -inf: they never win.
    """

    def __init__(self, base: PartSegmenter, category: str) -> None:
        super().__init__()
        self.network = base.network
        self.training = base.network.training
        self.category = category
        self.num_classes = base.num_classes
        self.parts = base.parts[category]
        self._index = base.categories.index(category)
        self._others = sorted(set(range(self.num_classes)) - set(self.parts))
        name = getattr(base, "model_name", None) or type(base.network).__name__
        self.model_name = f"{name}, category {category}"

    def extra_repr(self) -> str:
        """None has a tensor of its own; printed, they are part of the model's fingerprint."""
        return f"category={self.category!r}, index={self._index}, parts={self.parts}"

    def forward(self, x: Tensor) -> Tensor:
        category = torch.full((len(x),), self._index, dtype=torch.int64, device=x.device)
        logits = self.network(x, category)
        others = torch.tensor(self._others, dtype=torch.int64, device=x.device)
        return logits.index_fill(1, others, -torch.inf)
