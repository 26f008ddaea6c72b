"""A model that a function of the user's returns: python:MODULE:FUNCTION."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from pathlib import Path

from torch import nn

from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel, reason


def load_own(spec: str, rest: str) -> LoadedModel:
    """Run MODULE:FUNCTION, code of the user's: FUNCTION() returns the model.

    The current folder is importable. A module comes back in eval mode; for clouds the model takes
    them as they are, or has ``.of(category)``. Raises InputError.
    """
    parts = rest.split(":")
    if len(parts) != 2 or not all(parts):
        raise InputError(
            f"expected python:MODULE:FUNCTION, got {spec!r}; for example python:mymodels:build"
        )
    module_name, function_name = parts
    here = str(Path.cwd())
    # An installed command, unlike `python script.py`, does not see the current folder.
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    # The user's own code may fail in any way; one line says which.
    except Exception as error:
        raise InputError(
            f"expected an importable module {module_name!r}, got {reason(error)}; "
            "run in its folder, install or correct it"
        ) from None
    build = getattr(module, function_name, None)
    if not callable(build):
        raise InputError(
            f"expected a function {function_name!r} in module {module_name!r}, got "
            f"{type(build).__name__}; it takes nothing and returns the model"
        )
    try:
        model = build()
    except Exception as error:
        raise InputError(
            f"expected {spec} to return a model, got {reason(error)}; correct the function"
        ) from None
    if not callable(model):
        raise InputError(
            f"expected {spec} to return a callable model, got {type(model).__name__}; "
            "return an nn.Module or a function of a batch"
        )
    if isinstance(model, nn.Module):
        # Programs of torch.export have no mode to set; sampling checks what they do.
        with suppress(NotImplementedError):
            model.eval()
    known = getattr(model, "num_classes", None)
    return LoadedModel(
        spec,
        model,
        known if isinstance(known, int) else None,
        kind="clouds" if callable(getattr(model, "of", None)) else None,
        parts=getattr(model, "parts", None),
    )
