"""A model that a function of the user's returns: python:MODULE:FUNCTION."""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel, Origin, made_by_others, reason

_LIBRARIES = {"site-packages", "dist-packages"}
"""Folders whose files are told by the versions of what is installed."""


def load_python(rest: str) -> LoadedModel:
    """Run MODULE:FUNCTION, code of the user's: FUNCTION() returns the model.

    The current folder is importable. A module comes back in eval mode; for clouds the model takes
    them as they are, or has ``.of(category)``. Raises InputError.
    """
    spec, parts = f"python:{rest}", rest.split(":")
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
    model = made_by_others(build, spec, "correct the function")
    return replace(LoadedModel.of_model(spec, model), origin=origin_of(spec))


def origin_of(spec: str) -> Origin | None:
    """What made the model that a spec names, once it is loaded, where that is the user's code."""
    scheme, _, rest = spec.partition(":")
    if scheme != "python":
        return None
    module = sys.modules.get(rest.partition(":")[0])
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return Origin(spec)
    return Origin(spec, _digests(Path(file), module.__name__))


def _digests(file: Path, module: str) -> dict[str, str]:
    """SHA-256 of the module's file, and of those beside it and below that it imports, by name."""
    is_package = file.stem == "__init__"
    root = file.parents[module.count(".") + is_package]
    found: dict[Path, str] = {}
    left = [(file, module if is_package else module.rpartition(".")[0])]
    while left:
        path, package = left.pop()
        content = path.read_bytes()
        found[path] = hashlib.sha256(content).hexdigest()
        if _LIBRARIES & set(path.parts):
            continue
        for name in _imports(content, package):
            inside = root.joinpath(*name.split("."))
            for path, home in (
                (inside.with_name(f"{inside.name}.py"), name.rpartition(".")[0]),
                (inside / "__init__.py", name),
            ):
                if path.is_file() and path not in found:
                    left.append((path, home))
    return {path.relative_to(root).as_posix(): digest for path, digest in sorted(found.items())}


def _imports(content: bytes, package: str) -> Iterator[str]:
    """Dotted names of the modules that a file of this package may import."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # compiled
        return
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(filter(None, [*(above if node.level else ()), node.module]))
            names = [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
        for name in filter(None, names):
            parts = name.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
