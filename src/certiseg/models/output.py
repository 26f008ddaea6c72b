"""One output of a model that returns several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.loaded import take_over


class Output(nn.Module):
    """A model reduced to one of its outputs, such as the segmentation beside a depth map.

    On the command line: ``--model python:mymodels:build:seg``.

    Args:
        model: takes a batch and returns a mapping, a tuple, a list, or an object with attributes.
        key: key of a mapping, position in a tuple or list, or name of an attribute.

    Raises:
        InputError: In a pass, for an output without that key.

    Example:
        >>> import torch
        >>> model = Output(lambda x: {"seg": x[:, :2], "depth": x[:, 2:]}, "seg")
        >>> tuple(model(torch.zeros(1, 3, 8, 8)).shape)
        (1, 2, 8, 8)
    """

    def __init__(self, model: nn.Module | Callable[[Tensor], Any], key: str | int) -> None:
        super().__init__()
        self.model = model
        self.key = key
        take_over(self, model)

    def extra_repr(self) -> str:
        return f"key={self.key!r}"

    def forward(self, x: Tensor) -> Any:
        output, key = self.model(x), self.key
        if isinstance(output, Mapping):
            for known in output:
                if known == key or str(known) == key:
                    return output[known]
            raise self._missing(", ".join(repr(known) for known in output))
        if isinstance(output, (tuple, list)) and str(key).removeprefix("-").isdecimal():
            if -len(output) <= int(key) < len(output):
                return output[int(key)]
            raise self._missing(f"{len(output)} outputs, 0 to {len(output) - 1}")
        if isinstance(key, str) and not isinstance(output, Tensor) and hasattr(output, key):
            return getattr(output, key)
        raise self._missing(type(output).__name__)

    def _missing(self, got: str) -> InputError:
        return InputError(
            f"expected an output {self.key!r} of the model, got {got}; choose another"
        )
