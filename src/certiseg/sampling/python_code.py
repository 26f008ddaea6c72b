"""Python code: whose it is, what the interpreter runs of it, and what it names."""

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
"""Flag of types that class statements make."""
_STATED = ("torch", "certiseg")
"""Libraries whose version stands in every certificate."""


class Code(NamedTuple):
    """What is known of one code object. own: kept, so that its id stays its own."""

    own: CodeType
    digest: str
    """Of what runs: instructions, constants and names, code within among them; no lines, no file"""
    globals: frozenset[str]
    """That it looks up, builtins among them."""
    imports: frozenset[str]
    """Packages that it imports when it runs; "" of a relative import."""
    names: frozenset[str]
    """All names in it: of attributes, too."""


_CODES: dict[int, Code] = {}


def library_of(made: object) -> str | None:
    """Name and version of the library that a class, function or package is of; None of code that is
    of none: it lies in a folder of the user's, or was typed in."""
    file: str | None
    if isinstance(made, FunctionType):
        name, file = str(made.__globals__.get("__name__")), made.__code__.co_filename
    elif isinstance(made, ModuleType):
        name, file = made.__name__, getattr(made, "__file__", None)
    else:
        name = str(getattr(made, "__module__", None) or "builtins")
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(made, type) and name == "builtins" and made.__flags__ & _HEAP:
            return None  # executed in no module
    top = name.partition(".")[0]
    if top == "certiseg" or (file is not None and is_installed(file)):
        return _version(top)
    return _version(top) if file is None and top in sys.stdlib_module_names else None


@functools.cache
def _version(top: str) -> str:
    """Builds for other devices (2.1+cu128) are one version."""
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
    """What the code is, read once."""
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
    """The type too: 1, 1.0 and True are not one constant. Sets have no fixed order."""
    if isinstance(value, (tuple, frozenset)):
        inside = [_constant(part) for part in value]
        inside = sorted(inside) if isinstance(value, frozenset) else inside
        return f"\0{type(value).__name__} {len(inside)}{''.join(inside)}"
    return f"\0{type(value).__name__} {value!r}"


def imported(name: str, function: FunctionType) -> ModuleType | None:
    """The package of that name that the function may import, as a pass would; None: there is none.

    It is imported here, so that the first pass changes nothing.
    """
    home = function.__globals__.get("__package__") or ""
    for full in (name, f"{home}.{name}".strip(".")):
        with suppress(Exception):  # code of others may fail in any way
            return importlib.import_module(full)
    return None
