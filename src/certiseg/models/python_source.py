"""The user's code: modules imported by name or by file, and digests of their files."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from certiseg.errors import InputError
from certiseg.own_code import is_installed, reason

_FILE = ".py"


def imported(named: str) -> ModuleType:
    """Import a module by its dotted name or its file FILE.py, once per process.

    The current folder, or that of the file, is importable from then on. Raises InputError.
    """
    try:
        if named.endswith(_FILE):
            return _imported_file(Path(named).resolve())
        # An installed command, unlike `python script.py`, does not see the current folder.
        _see(Path.cwd())
        return importlib.import_module(named)
    except InputError:
        raise
    # The user's code may fail in any way; the error is one line.
    except Exception as error:
        remedy = "run in its folder, install or correct it"
        if named.endswith(_FILE):
            remedy = "correct it; a file of a package is named as python:PACKAGE.MODULE:FUNCTION"
        raise InputError(
            f"expected an importable module {named!r}, got {reason(error)}; {remedy}"
        ) from error


def loaded_from(named: str) -> ModuleType | None:
    """The module that ``imported`` returned for this name, or None."""
    return _of_file(Path(named).resolve()) if named.endswith(_FILE) else sys.modules.get(named)


def digests(module: ModuleType) -> dict[str, str]:
    """SHA-256 of the module's file and of the files in its folder that it imports, by name.

    Raises InputError if a module of the same name was imported from another folder before, which
    this code would use.
    """
    if getattr(module, "__file__", None) is None:
        return {}
    file = Path(str(module.__file__))
    name = module.__name__
    is_package = file.stem == "__init__"
    root = file.parents[name.count(".") + is_package]
    found: dict[Path, str] = {}
    left = [(file, name if is_package else name.rpartition(".")[0])]
    while left:
        path, package = left.pop()
        content = path.read_bytes()
        found[path] = hashlib.sha256(content).hexdigest()
        if is_installed(str(path)):
            continue
        for dotted in _imports(content, package):
            inside = root.joinpath(*dotted.split("."))
            for path, home in (
                (inside.with_name(f"{inside.name}{_FILE}"), dotted.rpartition(".")[0]),
                (inside / "__init__.py", dotted),
            ):
                if path.is_file() and path not in found and _is_what_runs(dotted, path):
                    left.append((path, home))
    return {path.relative_to(root).as_posix(): digest for path, digest in sorted(found.items())}


def _imported_file(file: Path) -> ModuleType:
    if not file.is_file() or file.stem == "__init__":
        got = "that of a package" if file.is_file() else "no such file"
        raise InputError(
            f"{file}: expected a file of Python, got {got}; check the path, or name a package as "
            "python:PACKAGE:FUNCTION"
        )
    known = _of_file(file)
    if known is not None:
        return known
    _see(file.parent)
    if _has_its_name(file):
        return importlib.import_module(file.stem)
    where = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    name = f"{file.stem.replace('.', '_')}-{where}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _has_its_name(file: Path) -> bool:
    """Whether importing the file's name finds this file, not a library or another folder's
    module."""
    if not file.stem.isidentifier() or file.stem in sys.stdlib_module_names:
        return False
    try:
        found = importlib.util.find_spec(file.stem)
    except ValueError:  # __main__
        return False
    return found is not None and found.origin is not None and Path(found.origin).resolve() == file


def _of_file(file: Path) -> ModuleType | None:
    """The module loaded from a file under any name, or None."""
    for module in list(sys.modules.values()):
        own = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if isinstance(own, str) and Path(own).name == file.name and Path(own).resolve() == file:
            return module
    return None


def _is_what_runs(dotted: str, path: Path) -> bool:
    """Whether the module of this name is, or would be, this file. Raises InputError if it is from

    another folder of the user.
    """
    module = sys.modules.get(dotted)
    if module is None:
        return True
    file = getattr(module, "__file__", None)
    if file is None or Path(file).resolve() == path.resolve():
        return file is not None
    if not is_installed(file) and path.parent.resolve() not in Path(file).resolve().parents:
        raise InputError(
            f"expected {dotted} of {path}, got that of {file}, which another model imported "
            "before; rename one of them, or load one model in a process"
        )
    return False


def _see(folder: Path) -> None:
    """Make the folder importable."""
    if str(folder) not in sys.path and not ("" in sys.path and folder == Path.cwd()):
        sys.path.insert(0, str(folder))


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
