"""What a base model around another takes over from it."""

from __future__ import annotations

from torch import nn


def name_of(model: object) -> str:
    """What statements call a model."""
    named = getattr(model, "model_name", None) or getattr(model, "__qualname__", None)
    return str(named or type(model).__qualname__)


def take_over(wrapper: nn.Module, model: object, *others: object) -> None:
    """The classes that the model states, and training mode where one of them still trains, so that
    it is noticed."""
    parts = (model, *others)
    wrapper.training = any(bool(getattr(part, "training", False)) for part in parts)
    for name in ("num_classes", "config"):
        if hasattr(model, name):
            setattr(wrapper, name, getattr(model, name))
