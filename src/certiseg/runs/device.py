"""The torch device named by the user, checked before any long work."""

from __future__ import annotations

import torch
from torch import nn

from certiseg.errors import InputError, first_line
from certiseg.runs.environment import low_precision


def usable_device(name: str) -> torch.device:
    """The device. Raises InputError unless this machine has it and it can compute."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()
    # A CPU build raises AssertionError, a missing driver RuntimeError.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = first_line(error).rstrip(".")
        raise InputError(
            f"expected a usable torch device, got {name!r} ({reason}); leave it out or use 'cpu'"
        ) from None
    return device


def faster_in_bfloat16(model: object, device: str) -> bool:
    """Whether ``Engine(precision="bfloat16")`` is likely to make passes faster: the device
    multiplies bfloat16 in hardware, and the model has weights that PyTorch multiplies (ONNX Runtime
    and functions of NumPy arrays do not heed the precision)."""
    hardware = device == "cuda" or any(name.endswith("bf16") for name in low_precision())
    weighted = isinstance(model, nn.Module) and next(nn.Module.parameters(model), None) is not None
    return hardware and weighted
