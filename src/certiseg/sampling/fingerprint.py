"""Fingerprints of models and inputs."""

from __future__ import annotations

import functools
import hashlib
import itertools
import secrets
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks_of_all

from certiseg.models.loaded import Origin
from certiseg.sampling.introspection import Walk, tensor_digest

T = TypeVar("T")

_PROCESS = secrets.token_hex(16)
_NUMBERS = itertools.count()
_NUMBERED: dict[int, tuple[Callable[[], object], int]] = {}
"""By id: a reference to the object, and its number. Entries of deleted objects are invalid."""
_ORIGINS: dict[int, tuple[Callable[[], object], Origin]] = {}
"""By id: a reference to the model, and its origin."""
_EVERYWHERE = ("_global_forward_pre_hooks", "_global_forward_hooks")


class Fingerprint(NamedTuple):
    """Identity of a model.

    not_covered: descriptions of parts that the digest does not include. code: SHA-256 by file of
    the user's code that made the model.
    """

    sha256: str
    name: str
    not_covered: tuple[str, ...] = ()
    code: Mapping[str, str] = MappingProxyType({})


def input_fingerprint(x: Tensor) -> str:
    """SHA-256 of dtype, shape and values of an input, independent of its device."""
    return tensor_digest(x).hex()


def model_fingerprint(model: Callable[..., Any]) -> Fingerprint:
    """Fingerprint of a base model.

    Equal for models that agree in everything ``introspection.Walk`` reads, in any process and on
    any device, and different for all others. Opaque objects (of C extensions, open files) enter by
    their identity in this process, so that votes of two such models are never pooled, or, after
    ``made_by``, by the model's origin. Recomputed at each call, since a model can change.
    """
    origin, sha = _known(_ORIGINS, model), hashlib.sha256()

    def identify(value: object) -> str:
        return f"{_PROCESS} {_number(value)}" if origin is None else origin.text

    walk = Walk(sha.update, identify)
    name = _name(model)
    walk.add(model, name)
    for hooks in _EVERYWHERE:
        walk.add(list(getattr(hooks_of_all, hooks).values()), "hook of all modules")
    unique = {id(tensor): tensor for tensor in walk.tensors}
    # Hashing and copying release the interpreter lock.
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        digests = dict(zip(unique, threads.map(tensor_digest, unique.values()), strict=True))
    for tensor in walk.tensors:
        sha.update(digests[id(tensor)])
    code = {} if origin is None else dict(origin.files)
    return Fingerprint(sha.hexdigest(), name, tuple(sorted(set(walk.not_covered))), code)


def made_by(model: Callable[..., Any], origin: Origin) -> None:
    """Register how the model is constructed, so that its fingerprint is equal in all processes.

    Opaque parts of the model are then identified by the origin, which must be deterministic.
    """
    _ORIGINS[id(model)] = (_reference(model), origin)


def _name(model: Callable[..., Any]) -> str:
    if isinstance(model, nn.Module):
        return str(getattr(model, "model_name", type(model).__name__))
    bare = model.func if isinstance(model, functools.partial) else model
    name = getattr(bare, "__qualname__", type(bare).__qualname__)
    return f"function {getattr(bare, '__module__', '?')}.{name}"


def _number(owner: object) -> int:
    """A number unique to this object, unlike its id, which can be reused after it is deleted."""
    number = _known(_NUMBERED, owner)
    if number is None:
        number = next(_NUMBERS)
        _NUMBERED[id(owner)] = (_reference(owner), number)
    return number


def _known(table: Mapping[int, tuple[Callable[[], object], T]], owner: object) -> T | None:
    """The table's value for this object, if its entry is not of a deleted one."""
    found = table.get(id(owner))
    return found[1] if found is not None and found[0]() is owner else None


def _reference(owner: object) -> Callable[[], object]:
    try:
        return weakref.ref(owner)
    except TypeError:  # keep the object alive, so that its id is not reused
        return lambda: owner
