"""Fingerprints: which model, which input."""

from __future__ import annotations

import functools
import hashlib
import inspect
import secrets
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from certiseg.sampling.inside import modules_inside

_PROCESS = secrets.token_hex(16)


def input_fingerprint(x: Tensor) -> str:
    """SHA-256 of type, shape and values of one input, on any device."""
    return hashlib.sha256(_tensor_bytes(x)).hexdigest()


def model_fingerprint(model: Callable[..., Any]) -> tuple[str, str]:
    """(SHA-256, readable name) of a base model.

    An nn.Module: its layers as printed, and name, type, shape and bytes of all parameters and
    buffers, saved or not. A function: its source and all modules it refers to. A closure, partial,
    method or callable object may hold more than that, so its identity in this process enters too:
    votes of two such models are never taken for votes of one.
    Computed anew at each call, since weights can change unseen by any counter.
    """
    sha = hashlib.sha256()
    for module in modules_inside(model):
        _add_module(sha, module)
    if isinstance(model, nn.Module):
        return sha.hexdigest(), str(getattr(model, "model_name", type(model).__name__))
    function = model.func if isinstance(model, functools.partial) else model
    name = getattr(function, "__qualname__", type(function).__qualname__)
    sha.update(f"{name}\0{_source(function)}".encode())
    plain = isinstance(model, FunctionType) and not model.__closure__ and not model.__defaults__
    if not plain:
        owner = model.__self__ if isinstance(model, MethodType) else model
        sha.update(f"{_PROCESS} {id(owner)}".encode())
    return sha.hexdigest(), f"function {getattr(function, '__module__', '?')}.{name}"


def _add_module(sha: Any, module: nn.Module) -> None:
    sha.update(repr(module).encode())
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        sha.update(name.encode())
        sha.update(_tensor_bytes(tensor))


def _tensor_bytes(tensor: Tensor) -> bytes:
    value = tensor.detach().cpu().contiguous()
    head = f"{value.dtype} {tuple(value.shape)}".encode()
    return head + value.flatten().view(torch.uint8).numpy().tobytes()


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function if inspect.isroutine(function) else type(function))
    except (OSError, TypeError):
        return ""
