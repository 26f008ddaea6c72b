"""Fingerprints: which model, which input."""

from __future__ import annotations

import hashlib
import inspect

import torch
from torch import Tensor, nn


def input_fingerprint(x: Tensor) -> str:
    """SHA-256 of type, shape and values of one input, on any device."""
    array = x.detach().cpu().contiguous().numpy()
    sha = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    sha.update(array.tobytes())
    return sha.hexdigest()


def model_fingerprint(model: object) -> tuple[str, str]:
    """(SHA-256, readable name) of a base model.

    An nn.Module: its layers as printed, and name, type, shape and bytes of all parameters and
    buffers. A function: its source, where Python can find it; what it closes over stays unknown,
    and the name says so.
    """
    if isinstance(model, nn.Module):
        sha = hashlib.sha256(repr(model).encode())
        for name, tensor in sorted(model_tensors(model).items()):
            value = tensor.detach().cpu().contiguous()
            sha.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            sha.update(value.flatten().view(torch.uint8).numpy().tobytes())
        return sha.hexdigest(), getattr(model, "model_name", type(model).__name__)
    name = f"{getattr(model, '__module__', '?')}.{_qualified(model)}"
    return hashlib.sha256(f"{name}\0{_code(model)}".encode()).hexdigest(), f"function {name}"


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by name, those that are not saved (means, say) too."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _qualified(model: object) -> str:
    return getattr(model, "__qualname__", type(model).__qualname__)


def _code(model: object) -> str:
    try:
        return inspect.getsource(model if inspect.isroutine(model) else type(model))
    except (OSError, TypeError):
        return ""
