"""The precision of a training's passes: weights and losses stay in float32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from certiseg.errors import InputError

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def check_precision(precision: str, device: str) -> None:
    """Raise InputError for a name that is none of these, and for float16 where it never pays."""
    if precision not in PRECISIONS:
        raise InputError(
            f"expected a precision among {', '.join(PRECISIONS)}, got {precision!r}; float32 is "
            "the default"
        )
    if precision == "float16" and not device.startswith("cuda"):
        raise InputError(
            f"expected --precision float16 on a CUDA device, got {device}; use bfloat16 there"
        )


def in_precision(model: nn.Module, precision: str, device: str) -> Callable[..., Tensor]:
    """The model as a function whose passes are of that precision and whose output is float32."""
    if precision == "float32":
        return model

    def forward(*inputs: Tensor) -> Tensor:
        with torch.autocast(device, dtype=PRECISIONS[precision]):
            output = model(*inputs)
        return output.float()

    return forward
