"""The nn.Modules behind a callable, however it is wrapped."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

from torch import nn

_DEPTH = 4
_REGISTERED = ("_modules", "_parameters", "_buffers")
"""What a module's own methods list already."""


def modules_inside(model: object, depth: int = _DEPTH) -> Iterator[nn.Module]:
    """All nn.Modules that the callable is or refers to, in a fixed order.

    Looks into bound methods, partials, closures, defaults, globals that the code names, attributes
    of callable objects, functions held by modules, and functions of the same file they call.
    """
    if isinstance(model, nn.Module):
        yield model
        held: list[object] = [*modules_unregistered(model), *functions_held(model)]
    else:
        held = _references(model)
    if depth > 0:
        for value in held:
            yield from modules_inside(value, depth - 1)


def modules_unregistered(model: nn.Module) -> list[nn.Module]:
    """Modules that layers keep as plain attributes or in containers, out of sight of eval()."""
    attributes = (
        value
        for module in model.modules()
        for name, value in vars(module).items()
        if name not in _REGISTERED
    )
    return [inner for value in attributes for inner in _modules_in(value)]


def _modules_in(value: object, depth: int = _DEPTH) -> list[nn.Module]:
    if isinstance(value, nn.Module):
        return [value]
    if depth == 0 or not isinstance(value, (list, tuple, dict)):
        return []
    return [inner for part in _contents(value) for inner in _modules_in(part, depth - 1)]


def functions_held(model: nn.Module) -> list[Callable[..., Any]]:
    """What a module or its layers keep as attributes and may call: functions, bound methods,
    partials, callable objects, also in lists, tuples and dictionaries; no modules, no classes."""
    held: list[Callable[..., Any]] = []
    for module in model.modules():
        for name, value in vars(module).items():
            if name not in _REGISTERED:
                inside = _contents(value)
                held += [v for v in inside if callable(v) and not isinstance(v, (nn.Module, type))]
    return held


def _contents(value: object) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, dict):
        return list(value.values())
    return [value]


def _references(model: object) -> list[object]:
    if isinstance(model, MethodType):
        return [model.__self__, model.__func__]
    if isinstance(model, functools.partial):
        return [model.func, *model.args, *model.keywords.values()]
    if isinstance(model, FunctionType):
        try:
            names = inspect.getclosurevars(model)
        except ValueError:  # a closure variable that is not bound yet
            return []
        # Functions of other files are libraries; following them would lead through all of torch.
        near = [
            value
            for value in names.globals.values()
            if isinstance(value, nn.Module) or getattr(value, "__module__", "") == model.__module__
        ]
        defaults = [*(model.__defaults__ or ()), *(model.__kwdefaults__ or {}).values()]
        return [*names.nonlocals.values(), *near, *defaults]
    if isinstance(model, (list, tuple)):
        return list(model)
    if isinstance(model, dict):
        return list(model.values())
    if callable(model) and not isinstance(model, type):
        return list(getattr(model, "__dict__", {}).values())
    return []
