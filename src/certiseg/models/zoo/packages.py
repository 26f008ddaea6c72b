"""Optional packages, imported when they are needed."""

from __future__ import annotations

import hashlib
import importlib
import json
from importlib.metadata import version
from pathlib import Path
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


def check_local(name: object, where: Path) -> None:
    """Raise InputError for a model's name in a file that timm would look up elsewhere, such as
    "hf-hub:ORG/NAME" or "local-dir:FOLDER"."""
    if ":" in str(name):
        raise InputError(
            f"{where}: expected a name of timm's own, got {str(name)[:60]!r}, which leads to "
            "another place; build the model in a function of yours (python:MODULE:FUNCTION)"
        )


def made_by(configuration: object, *packages: str) -> str:
    """Versions of the packages (and torch), and a digest of the configuration as JSON.

    For fingerprints: the code is the library's.
    """
    digest = hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()
    versions = [f"{name}={version(name)}" for name in (*packages, "torch")]
    return f"config_sha256={digest}, {', '.join(versions)}"
