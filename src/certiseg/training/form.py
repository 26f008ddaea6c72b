"""Whether what is to be restored has the form of what it is restored into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def check_form(own: Any, found: Any, name: str) -> None:
    """Raise ValueError, a few words on what was found, unless it has the keys, lengths and types of
    own, and its tensors their shapes. name: what errors call both."""
    if isinstance(own, Mapping):
        if not isinstance(found, Mapping) or set(found) != set(own):
            raise ValueError(f"other entries of {name}")
        for key, value in own.items():
            check_form(value, found[key], f"{name}.{key}")
    elif isinstance(own, list):
        if not isinstance(found, list) or len(found) != len(own):
            raise ValueError(f"another number of {name}")
        for number, value in enumerate(own):
            check_form(value, found[number], f"{name}.{number}")
    elif isinstance(own, Tensor) and isinstance(found, Tensor):
        if (found.dtype, found.shape) != (own.dtype, own.shape):
            raise ValueError(
                f"{name} {found.dtype} {tuple(found.shape)} instead of {own.dtype} "
                f"{tuple(own.shape)}"
            )
    elif type(found) is not type(own):
        raise ValueError(f"{type(found).__name__} as {name}")
