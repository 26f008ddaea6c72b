"""Models returned by a function of the user: python:MODULE:FUNCTION."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel, Origin, made_by_others
from certiseg.models.output import Output
from certiseg.models.python_source import digests, imported, loaded_from


def load_python(rest: str) -> LoadedModel:
    """Call MODULE:FUNCTION or FILE.py:FUNCTION, the user's code, which returns the model.

    The current folder, or that of the file, is importable. An nn.Module of that name is used as it
    is. A further :OUTPUT selects one of several outputs (``certiseg.Output``). Modules are put into
    evaluation mode. A model of clouds takes clouds, or has ``.of(category)``. Raises InputError.
    """
    spec, (named, function, *output) = f"python:{rest}", _parts(rest)
    module = imported(named)
    build = getattr(module, function, None)
    if not callable(build):
        got = type(build).__name__ if hasattr(module, function) else "no such name"
        raise InputError(
            f"expected a function {function!r} in module {named!r}, got {got}; it takes nothing "
            "and returns the model"
        )
    _check_signature(build, function, spec)
    make = (lambda: build) if isinstance(build, nn.Module) else build
    made = made_by_others(make, spec, "correct the function")
    loaded = made if isinstance(made, LoadedModel) else LoadedModel.of_model(spec, made)
    if output:
        loaded = replace(loaded, model=Output(loaded.model, output[0]))
    return replace(loaded, name=spec, origin=origin_of(spec))


def origin_of(spec: str) -> Origin | None:
    """Origin of a loaded model that is named by a spec and made by the user's code; else None."""
    scheme, _, rest = spec.partition(":")
    if scheme != "python":
        return None
    module = loaded_from(_parts(rest)[0])
    return Origin(spec, {} if module is None else digests(module))


def _parts(rest: str) -> list[str]:
    """Module or file, function, and output or None."""
    parts = rest.split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise InputError(
            f"expected python:MODULE:FUNCTION, got {f'python:{rest}'!r}; for example "
            "python:mymodels:build or python:path/to/file.py:build, and with :OUTPUT behind it one "
            "output of several"
        )
    return parts


def _check_signature(build: Callable[..., Any], name: str, spec: str) -> None:
    """Raise InputError for a function that cannot be called without arguments."""
    try:
        signature = inspect.signature(build)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    if isinstance(build, nn.Module):
        return
    try:
        signature.bind()
    except TypeError:
        raise InputError(
            f"expected {spec} to take no arguments, got {name}{signature}; name a function that "
            f"returns the model: def build(): return {name}(...), or return {name} itself if it "
            "takes a batch"
        ) from None
