"""What a model says about itself: its classes, where it lives, in which precision it computes."""

from __future__ import annotations

import torch
from torch import nn


def known_classes(model: object) -> int | None:
    """The number of classes a model states itself: num_classes, or Hugging Face's config."""
    for holder, name in ((model, "num_classes"), (getattr(model, "config", None), "num_labels")):
        value = getattr(holder, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def first_parameter(model: object) -> nn.Parameter | None:
    if not isinstance(model, nn.Module):
        return None
    return next((p for p in model.parameters() if p.is_floating_point()), None)


def precision(dtype: torch.dtype, device: torch.device) -> str:
    name = str(dtype).removeprefix("torch.")
    if torch.is_autocast_enabled(device.type):
        lower = str(torch.get_autocast_dtype(device.type)).removeprefix("torch.")
        return f"{name}, autocast {lower}"
    return name
