"""Optional packages, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from certiseg.errors import InputError
from certiseg.models.loaded import reason


def package(module: str) -> Any:
    """The imported module. Raises InputError with the install command where that fails.

    Beside a torch of another build torchvision is there and still fails, with a RuntimeError.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"expected the package {module.partition('.')[0]}, got {reason(error)}; "
            "pip install 'certiseg[zoo]' in an environment whose torch it fits"
        ) from None
