"""Analysis of Python code: its library, digest of its bytecode, and the names that it uses."""

from __future__ import annotations

import dis
import functools
import hashlib
import importlib
import sys
from contextlib import suppress
from importlib import metadata
from types import CodeType, FunctionType, ModuleType
from typing import NamedTuple

from certiseg.own_code import is_installed

_HEAP = 1 << 9
"""Flag of types that class statements create."""
_STATED = ("torch", "certiseg")
"""Libraries whose version every certificate records elsewhere."""


class Code(NamedTuple):
    """Properties of a code object, nested code included."""

    code: CodeType
    """The code object, kept alive so that its id is not reused."""
    digest: str
    """SHA-256 of instructions, constants and names, without line numbers and file."""
    globals: frozenset[str]
    """Global variables that it uses, builtins included."""
    imports: frozenset[str]
    """Packages that it imports; "" for a relative import."""
    names: frozenset[str]
    """All names in it, attributes included."""


_CODES: dict[int, Code] = {}


def library_of(made: object) -> str | None:
    """Name and version of the library of a class, function or package; None for the user's code."""
    file: str | None
    if isinstance(made, FunctionType):
        name, file = str(made.__globals__.get("__name__")), made.__code__.co_filename
    elif isinstance(made, ModuleType):
        name, file = made.__name__, getattr(made, "__file__", None)
    else:
        name = str(getattr(made, "__module__", None) or "builtins")
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(made, type) and name == "builtins" and made.__flags__ & _HEAP:
            return None  # defined by exec or in a prompt
    top = name.partition(".")[0]
    if top == "certiseg" or (file is not None and is_installed(file)):
        return _version(top)
    return _version(top) if file is None and top in sys.stdlib_module_names else None


@functools.cache
def _version(top: str) -> str:
    """Name and version of an installed library, without a build suffix such as +cu128."""
    if top in _STATED or top in sys.stdlib_module_names:
        return top
    version = getattr(sys.modules.get(top), "__version__", None)
    if not isinstance(version, str):
        try:
            version = metadata.version(top)
        except metadata.PackageNotFoundError:
            version = "?"
    return f"{top} {version.partition('+')[0]}"


def read(code: CodeType) -> Code:
    """Analyse a code object; results are cached."""
    known = _CODES.get(id(code))
    if known is not None:
        return known
    sha, names = hashlib.sha256(code.co_code), set(code.co_names)
    looked_up: set[str] = set()
    imports: set[str] = set()
    shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    variables = (code.co_varnames, code.co_freevars, code.co_cellvars)
    sha.update(repr((shape, code.co_names, variables, code.co_exceptiontable)).encode())
    for value in code.co_consts:
        if isinstance(value, CodeType):
            inner = read(value)
            sha.update(inner.digest.encode())
            names |= inner.names
            looked_up |= inner.globals
            imports |= inner.imports
        else:
            sha.update(_constant(value).encode("utf-8", "surrogatepass"))
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            looked_up.add(str(step.argval))
        elif step.opname == "IMPORT_NAME":
            imports.add(str(step.argval))
    parts = (frozenset(part) for part in (looked_up, imports, names))
    known = Code(code, sha.hexdigest(), *parts)
    _CODES[id(code)] = known
    return known


def _constant(value: object) -> str:
    """Text of a constant with its type (1, 1.0 and True differ), with sets in sorted order."""
    if isinstance(value, (tuple, frozenset)):
        inside = [_constant(part) for part in value]
        inside = sorted(inside) if isinstance(value, frozenset) else inside
        return f"\0{type(value).__name__} {len(inside)}{''.join(inside)}"
    return f"\0{type(value).__name__} {value!r}"


def imported(name: str, function: FunctionType) -> ModuleType | None:
    """Import the package that a function imports by this name; None if that fails.

    Imported now, so that the first pass does not change the set of loaded modules.
    """
    home = function.__globals__.get("__package__") or ""
    for full in (name, f"{home}.{name}".strip(".")):
        with suppress(Exception):  # importing can raise anything
            return importlib.import_module(full)
    return None
