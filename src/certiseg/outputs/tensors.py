"""A model's output as one tensor, and checks for outputs on which argmax would be wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.outputs.low_resolution import LowResolutionLogits

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
DECLARE = (
    "declare what it is: binary='probability' after a sigmoid, binary='logit' before one "
    "(certiseg.Smoothed, certiseg.Binary; --binary on the command line)"
)


@dataclass(frozen=True)
class BinaryScores:
    """Output of a declared binary model, in any form that ``tensor_of`` reads."""

    output: object
    binary: BinaryOutput

    def changed(self, change: Callable[[object], Tensor | LowResolutionLogits]) -> BinaryScores:
        """Apply `change` to the output, with the same declaration."""
        return BinaryScores(change(self.output), self.binary)


def tensor_of(output: object) -> tuple[Tensor, bool]:
    """The tensor of scores or labels, and True if logits of lower resolution may be upsampled
    without being asked.

    Raises InputError if there is none.
    """
    if isinstance(output, LowResolutionLogits):
        return output.full(), False
    if isinstance(output, BinaryScores):
        raise InputError(
            "expected logits or labels, got a declared binary output, which this wrapper cannot "
            "read; wrap the model in certiseg.Binary last, around everything else"
        )
    if (found := _tensor(output)) is not None:
        return found, False
    if (found := _tensor(getattr(output, "logits", None))) is not None:
        return found, True
    if isinstance(output, Mapping):
        for name in ("out", "logits"):
            if (found := _tensor(output.get(name))) is not None:
                return found, name == "logits"
    got, remedy = type(output).__name__, "wrap the model in a function that returns logits"
    if isinstance(output, (tuple, list, Mapping)):
        keys = ", ".join(map(repr, output if isinstance(output, Mapping) else range(len(output))))
        got = f"{got} of {keys}" if keys else f"an empty {got}"
        remedy = "choose one: certiseg.Output(model, KEY), or python:MODULE:FUNCTION:KEY"
    raise InputError(
        'expected a tensor, an array, a mapping with "out" or an object with .logits, got '
        f"{got}; {remedy}"
    )


def scores_of(output: object, size: tuple[int, ...] | torch.Size, remedy: str) -> Tensor:
    """Logits (B, C, *out) or labels of a model of inputs (B, channels, *size).

    Raises InputError for floats with a single channel, which have no argmax (remedy: text for the
    error), and for classes on the last axis.
    """
    scores = tensor_of(output)[0]
    check_axes(scores, size)
    single = scores.ndim == len(size) + 1 or (scores.ndim > 1 and scores.shape[1] == 1)
    if single and scores.is_floating_point():
        raise InputError(undeclared(scores, remedy))
    return scores


def undeclared(scores: Tensor, remedy: str = DECLARE) -> str:
    """The error for floats with a single channel."""
    return (
        "expected logits of at least 2 classes or a declared binary output, got one channel of "
        f"shape {tuple(scores.shape)} with {values_in(scores)}; {remedy}"
    )


def values_in(scores: Tensor) -> str:
    """A text such as "values in [0.25, 0.75]", with enough digits to distinguish 1 from the next
    float."""
    if scores.numel() == 0:
        return "no values"
    if bool(scores.isnan().any()):
        return "NaN"
    given = scores if scores.dtype == torch.float64 else scores.float()
    low, high = (str(end.cpu().numpy()) for end in given.aminmax())
    return f"values in [{low}, {high}]"


def check_axes(scores: Tensor, size: tuple[int, ...] | torch.Size) -> None:
    """Raise InputError for an output (B, H, W, C) of images or (B, D, H, W, C) of volumes of this
    size, at any resolution: it would be misread as (B, C, ...)."""
    if torch.compiler.is_compiling():
        return  # under torch.compile, comparing sizes would add guards
    sides = len(size)
    if sides not in (2, 3) or scores.ndim != sides + 2 or 0 in scores.shape:
        return
    first, last = scores.shape[1:-1], scores.shape[2:]
    if _in_proportion(first, size) and not _in_proportion(last, size):
        axes = (0, sides + 1, *range(1, sides + 1))
        raise InputError(
            f"expected outputs with the classes on axis 1, got shape {tuple(scores.shape)} for "
            f"inputs of size {tuple(size)}, with the classes last; return "
            f"output.permute{axes} (of NumPy output.transpose{axes})"
        )


def _in_proportion(sides: tuple[int, ...], size: tuple[int, ...]) -> bool:
    return all(side * size[0] == whole * sides[0] for side, whole in zip(sides, size, strict=True))


def _tensor(value: object) -> Tensor | None:
    if isinstance(value, np.ndarray):
        return _of_array(value)
    return value if isinstance(value, Tensor) else None


def _of_array(array: NDArray[Any]) -> Tensor:
    """A tensor copied from an array of any byte order, strides and precision."""
    kind, narrow = array.dtype.kind, array.dtype.itemsize <= 4
    if kind == "f":
        dtype: Any = np.float32 if narrow else np.float64
    elif kind in "iu":
        dtype = np.int64
    elif kind == "b":
        dtype = np.bool_
    else:
        raise InputError(
            f"expected an array of numbers, got {array.dtype} of shape {array.shape}; return "
            "logits as floats or labels as integers"
        )
    return torch.from_numpy(np.array(array, dtype=dtype, order="C"))
