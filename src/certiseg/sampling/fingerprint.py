"""Fingerprints: which model, which input."""

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
"""By id: the object, and its number. Of an object that is gone until its id is used again."""
_ORIGINS: dict[int, tuple[Callable[[], object], Origin]] = {}
"""By id: the object, and what makes it."""
_EVERYWHERE = ("_global_forward_pre_hooks", "_global_forward_hooks")


class Fingerprint(NamedTuple):
    """Which model it is. not_covered: what of it the digest does not see, in a few words each.
    code: of a model that the user's code made, SHA-256 of its files by name."""

    sha256: str
    name: str
    not_covered: tuple[str, ...] = ()
    code: Mapping[str, str] = MappingProxyType({})


def input_fingerprint(x: Tensor) -> str:
    """SHA-256 of type, shape and values of one input, on any device."""
    return tensor_digest(x).hex()


def model_fingerprint(model: Callable[..., Any]) -> Fingerprint:
    """The fingerprint of a base model: equal for models that are equal in all that ``inside.Walk``
    reads, in any process and on any device, and for no others.

    Of what shows nothing of itself (an object of an extension, an open file) the identity in this
    process enters, so that votes of two such models are never taken for votes of one; where
    ``made_by`` was told what makes the model, that enters instead.
    Recomputed at each call, since models can change unseen by any counter.
    """
    origin, sha = _known(_ORIGINS, model), hashlib.sha256()

    def identify(value: object) -> str:
        return f"{_PROCESS} {_number(value)}" if origin is None else origin.text

    walk = Walk(sha.update, identify)
    name = _name(model)
    walk.add(model, name)
    for hooks in _EVERYWHERE:
        walk.add(list(getattr(hooks_of_all, hooks).values()), "hook of all modules")
    own = {id(tensor): tensor for tensor in walk.tensors}
    # hashlib and copies leave the interpreter to others.
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        digests = dict(zip(own, threads.map(tensor_digest, own.values()), strict=True))
    for tensor in walk.tensors:
        sha.update(digests[id(tensor)])
    code = {} if origin is None else dict(origin.files)
    return Fingerprint(sha.hexdigest(), name, tuple(sorted(set(walk.not_covered))), code)


def made_by(model: Callable[..., Any], origin: Origin) -> None:
    """Say what makes the model, so that processes which make it alike know it by one fingerprint.

    What shows nothing of itself is then taken for what the origin makes: it must make it alike each
    time.
    """
    _ORIGINS[id(model)] = (_reference(model), origin)


def _name(model: Callable[..., Any]) -> str:
    if isinstance(model, nn.Module):
        return str(getattr(model, "model_name", type(model).__name__))
    bare = model.func if isinstance(model, functools.partial) else model
    own = getattr(bare, "__qualname__", type(bare).__qualname__)
    return f"function {getattr(bare, '__module__', '?')}.{own}"


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
