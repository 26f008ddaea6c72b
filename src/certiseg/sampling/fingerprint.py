"""Fingerprints: which model, which input."""

from __future__ import annotations

import functools
import hashlib
import inspect
import itertools
import secrets
import weakref
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn

from certiseg.sampling.inside import functions_held, modules_inside

T = TypeVar("T")

_PROCESS = secrets.token_hex(16)
_NUMBERS = itertools.count()
_NUMBERED: dict[int, tuple[Callable[[], object], int]] = {}
"""By id: the object, and its number. Of an object that is gone until its id is used again."""
_ORIGINS: dict[int, tuple[Callable[[], object], str]] = {}
"""By id: the object, and what makes it."""
_BODIES: weakref.WeakKeyDictionary[FunctionType, bytes] = weakref.WeakKeyDictionary()


def input_fingerprint(x: Tensor) -> str:
    """SHA-256 of type, shape and values of one input, on any device."""
    return hashlib.sha256(_tensor_bytes(x)).hexdigest()


def model_fingerprint(model: Callable[..., Any]) -> tuple[str, str]:
    """(SHA-256, readable name) of a base model.

    An nn.Module: its layers as printed, the methods of their classes, the source of programs among
    them (torch.fx, TorchScript), name, type, shape and bytes of all parameters and buffers, saved
    or not, and the functions its layers hold. Classes of torch and of this library are known by
    their version. What a layer keeps as a plain attribute, or a method in its closure, counts only
    where it is printed. A function: its source and all modules it refers to. A closure, partial,
    method or callable object may hold more than that, so its identity in this process enters too:
    votes of two such models are never taken for votes of one. An adapter that prints the version
    of a library names it in ``states_libraries``: functions and classes of that library, such as
    hooks of transformers, are then told by the version. Where ``made_by`` was told what makes a
    model, that enters instead of identities.
    Computed anew at each call, since weights can change unseen by any counter.
    """
    sha, origin = hashlib.sha256(), _known(_ORIGINS, model)
    for module in modules_inside(model):
        _add_module(sha, module)
        _add_methods(sha, module)
    if isinstance(model, nn.Module):
        told = _libraries(model)
        for function in functions_held(model):
            if (getattr(function, "__module__", None) or "").partition(".")[0] not in told:
                _add_function(sha, function, origin)
        return sha.hexdigest(), str(getattr(model, "model_name", type(model).__name__))
    name = _add_function(sha, model, origin)
    return sha.hexdigest(), f"function {getattr(_bare(model), '__module__', '?')}.{name}"


def made_by(model: Callable[..., Any], origin: str) -> None:
    """Say what makes the model, so that processes which make it alike know it by one fingerprint.

    Functions, and what they hold that has no fingerprint of its own, are then taken for what the
    origin makes: it must make them alike each time.
    """
    _ORIGINS[id(model)] = (_reference(model), origin)


def _libraries(model: nn.Module) -> set[str]:
    """Libraries of which some module inside says that its printed form tells their version."""
    stated = (getattr(type(module), "states_libraries", ()) for module in model.modules())
    return {name for names in stated for name in names}


def _add_function(sha: Any, given: Callable[..., Any], origin: str | None) -> str:
    """Add the function's source, and its identity unless that is all there is; returns its name."""
    function = _bare(given)
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    _add_body(sha, name, function)
    held = ("__closure__", "__defaults__", "__kwdefaults__")
    if origin is not None:
        sha.update(origin.encode())
    elif not isinstance(given, FunctionType) or any(getattr(given, name) for name in held):
        owner = given.__self__ if isinstance(given, MethodType) else given
        sha.update(f"{_PROCESS} {_number(owner)}".encode())
    return name


def _add_body(sha: Any, name: str, function: Callable[..., Any]) -> None:
    source = _source(function)
    sha.update(f"{name}\0{source}".encode())
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType) and (not source or function.__name__ == "<lambda>"):
        # Without a file there is no source, and two lambdas may share a line of it.
        _add_code(sha, code)


def _add_code(sha: Any, code: CodeType) -> None:
    """Add what the interpreter runs: instructions, names and constants, code within among them."""
    sha.update(code.co_code)
    sha.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    for value in code.co_consts:
        if isinstance(value, CodeType):
            _add_code(sha, value)
        else:
            # The type too: 1, 1.0 and True are not one constant. Sets have no fixed order.
            plain = sorted(map(repr, value)) if isinstance(value, frozenset) else value
            sha.update(f"\0{type(value).__name__} {plain!r}".encode())


def _number(owner: object) -> int:
    """A number of this object alone: its id goes to another object once this one is gone."""
    number = _known(_NUMBERED, owner)
    if number is None:
        number = next(_NUMBERS)
        _NUMBERED[id(owner)] = (_reference(owner), number)
    return number


def _known(table: Mapping[int, tuple[Callable[[], object], T]], owner: object) -> T | None:
    """What the table says of this very object."""
    found = table.get(id(owner))
    return found[1] if found is not None and found[0]() is owner else None


def _reference(owner: object) -> Callable[[], object]:
    try:
        return weakref.ref(owner)
    except TypeError:  # kept, so that its id stays its own
        return functools.partial(_same, owner)


def _same(owner: object) -> object:
    return owner


def _bare(given: Callable[..., Any]) -> Callable[..., Any]:
    return given.func if isinstance(given, functools.partial) else given


def _add_module(sha: Any, module: nn.Module) -> None:
    sha.update(repr(module).encode())
    for inner in module.modules():
        _add_program(sha, inner)
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        sha.update(name.encode())
        sha.update(_tensor_bytes(tensor))


def _add_methods(sha: Any, model: nn.Module) -> None:
    """Add what the layers' classes do, which may differ where names and weights are equal."""
    known = {"torch", "certiseg", *_libraries(model)}
    classes = dict.fromkeys(base for m in model.modules() for base in type(m).__mro__)
    for kind in classes:
        if not issubclass(kind, nn.Module) or kind.__module__.partition(".")[0] in known:
            continue
        for name, value in sorted(vars(kind).items()):
            held = (getattr(value, part, None) for part in ("__func__", "fget"))
            function = inspect.unwrap(next((h for h in held if h is not None), value))
            if isinstance(function, FunctionType):
                sha.update(f"\0{kind.__qualname__}.{name}\0".encode())
                sha.update(_body(function))


def _body(function: FunctionType) -> bytes:
    """Digest of what it does: read from its file once, as fingerprints are made at every call."""
    if function not in _BODIES:
        sha = hashlib.sha256()
        _add_body(sha, function.__qualname__, function)
        _BODIES[function] = sha.digest()
    return _BODIES[function]


def _add_program(sha: Any, module: nn.Module) -> None:
    """Add what a program does, which it does not print: the source of torch.fx, of TorchScript."""
    if isinstance(module, fx.GraphModule):
        sha.update(module.code.encode())
    elif isinstance(module, torch.jit.ScriptModule):
        code, constants = module.code_with_constants
        sha.update(code.encode())
        for name, value in sorted(constants.const_mapping.items()):
            sha.update(name.encode())
            sha.update(_tensor_bytes(value) if isinstance(value, Tensor) else repr(value).encode())


def _tensor_bytes(tensor: Tensor) -> bytes:
    value = tensor.detach().cpu().contiguous()
    head = f"{value.dtype} {tuple(value.shape)}".encode()
    return head + value.flatten().view(torch.uint8).numpy().tobytes()


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function if inspect.isroutine(function) else type(function))
    except (OSError, TypeError):
        return ""
