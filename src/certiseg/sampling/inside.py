"""The nn.Modules behind a callable, however it is wrapped."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

from torch import nn

_DEPTH = 4


def modules_inside(model: object, depth: int = _DEPTH) -> Iterator[nn.Module]:
    """All nn.Modules that the callable is or refers to, in a fixed order.

    Looks into bound methods, partials, closures, defaults, globals that the code names, attributes
    of callable objects, functions held by modules, and functions of the same file they call.
    """
    if isinstance(model, nn.Module):
        yield model
        held: list[object] = list(functions_held(model))
    else:
        held = _references(model)
    if depth > 0:
        for value in held:
            yield from modules_inside(value, depth - 1)


def functions_held(model: nn.Module) -> list[Callable[..., Any]]:
    """Functions, bound methods and partials that a module or its layers keep as attributes."""
    kinds = (FunctionType, MethodType, functools.partial)
    attributes = (value for module in model.modules() for value in vars(module).values())
    return [value for value in attributes if isinstance(value, kinds)]


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
