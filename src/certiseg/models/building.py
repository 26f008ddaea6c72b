"""Building a network described by a file, with a limit on memory: a few bytes can ask for all of
it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from certiseg.errors import InputError

_STEPS = 20_000
"""Largest number of torch operations for building a network."""
_SPARE = 2**26
"""Number of values that a network may need in addition to a multiple of its weights."""


class Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context that limits the tensors made inside to what a network with `weights` bytes of
    weights needs.

    The size of each operation's result is computed beforehand on the meta device. Raises
    InputError, which names the file `name`, before the operation that exceeds the limit.
    """

    def __init__(self, name: str, weights: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = name
        self._values, self._steps = float(4 * weights + _SPARE), _STEPS

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing is compiled inside; the default would import torch's compiler, which takes two
        # seconds.
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        self._steps -= 1
        self._values -= _made(func, args, given)
        if self._steps < 0 or self._values < 0:
            raise InputError(
                f"{self._name}: expected a network as large as the weights beside it, got sizes "
                "that ask for far more; check its numbers of channels, classes and blocks"
            )
        return func(*args, **given)


def _made(func: Any, args: Sequence[Any], given: dict[str, Any]) -> float:
    """Number of values in an operator's new tensors; 0 if it makes none."""
    if any(result.alias_info is not None for result in func._schema.returns):
        return 0
    if any(argument.name == "device" for argument in func._schema.arguments):
        given = {**given, "device": "meta"}
    try:
        made = func(*tree_map(_on_meta, list(args)), **tree_map(_on_meta, given))
    except NotImplementedError:
        return 0
    except RuntimeError as error:
        # A size in bytes beyond 64 bits; other errors are raised again by the operator itself.
        return float("inf") if "overflow" in str(error) else 0
    return sum(value.numel() for value in tree_leaves(made) if isinstance(value, Tensor))


def _on_meta(value: Any) -> Any:
    return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value
