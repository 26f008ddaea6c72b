"""Optional packages that read files, imported with the first such file."""

from __future__ import annotations

import importlib
from typing import Any

from certiseg.errors import InputError, first_line


def reader(module: str, extra: str, files: str) -> Any:
    """Import a module. files: the files that need it. Raises InputError with the command that
    installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"expected the package {module} to read {files}, got none that imports "
            f"({first_line(error)}); pip install 'certiseg[{extra}]'"
        ) from None
