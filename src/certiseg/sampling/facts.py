"""What a model says about itself: its classes, where it lives, in which precision it computes."""

from __future__ import annotations

import torch
from torch import nn

from certiseg.sampling.engine import Engine


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


def stated_type(model: object) -> torch.dtype | None:
    """The type that a module without parameters says its arithmetic has, as ONNX sessions do."""
    if not isinstance(model, nn.Module) or first_parameter(model) is not None:
        return None
    stated = (getattr(module, "dtype", None) for module in model.modules())
    return next((given for given in stated if isinstance(given, torch.dtype)), None)


def precision(dtype: torch.dtype, device: torch.device, engine: Engine) -> str:
    """The precision of the model's arithmetic: its parameters', and what a pass lowers it to."""
    name = str(dtype).removeprefix("torch.")
    with engine.autocast(device):
        if torch.is_autocast_enabled(device.type):
            lower = str(torch.get_autocast_dtype(device.type)).removeprefix("torch.")
            return f"{name}, autocast {lower}"
    if dtype != torch.float32:
        return name
    lowered = []
    # PyTorch's default on recent GPUs: factors of float32 products keep 10 bits of 23.
    if device.type == "cuda" and torch.backends.cudnn.allow_tf32:
        lowered.append("convolutions in tf32")
    # Of any device: a backend may keep fewer bits where it is allowed to.
    allowed = torch.get_float32_matmul_precision()
    if allowed != "highest":
        lowered.append(f"matrix products of {allowed} precision")
    return ", ".join([name, *lowered])
