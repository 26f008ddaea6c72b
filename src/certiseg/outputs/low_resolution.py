"""Low-resolution logits of models whose output is their bilinear upsampling.

Votes are then counted band by band, without holding full-size logits of many classes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as hooks_of_all

# PyTorch uses another kernel for outputs with height + width <= 128; its last bits may differ.
_WIDEST_OF_SMALL = 128
_MOST_EXACT = 2**20
"""Positions between rows, or columns, are exact in float32 up to this number of them."""
_METHOD = "low_resolution"


@dataclass(frozen=True)
class LowResolutionLogits:
    """Logits that represent their bilinear upsampling.

    A model may return it. A module may also have, beside ``forward``, a method
    ``low_resolution(x) -> LowResolutionLogits`` whose result's ``full()`` is what ``forward``
    returns (see ``low_resolution_form``).

    Args:
        logits: (B, C, h, w).
        size: (H, W), to which they are upsampled.

    Example:
        >>> import torch
        >>> low = LowResolutionLogits(torch.zeros(1, 2, 4, 4), (16, 16))
        >>> tuple(low.full().shape), low.step
        ((1, 2, 16, 16), None)
    """

    logits: Tensor
    size: tuple[int, int]

    def full(self) -> Tensor:
        """The upsampled logits (B, C, H, W)."""
        if tuple(self.logits.shape[2:]) == self.size:
            return self.logits
        return F.interpolate(self.logits, size=self.size, mode="bilinear", align_corners=False)

    def __getitem__(self, draws: slice | list[int]) -> LowResolutionLogits:
        """The logits of these draws of the batch."""
        return LowResolutionLogits(self.logits[draws], self.size)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of ``full()``."""
        batch, classes = self.logits.shape[:2]
        return batch, classes, *self.size

    @property
    def step(self) -> int | None:
        """Bands must start and stop at multiples of this number of rows; None if bands may differ
        from the whole.

        Where the height grows by a power of two, the interpolation weights are exact floats and the
        same in a band as in the whole; elsewhere their last bits depend on the row's index.
        """
        factor, rest = divmod(self.size[0], self.logits.shape[2])
        exact = rest == 0 and math.frexp(factor)[0] == 0.5
        return factor if exact and self.size[1] >= _WIDEST_OF_SMALL else None

    @property
    def weights_are_exact(self) -> bool:
        """Whether the interpolation weights of all pixels are exact floats: height and width grow
        by powers of two."""
        factor, rest = divmod(self.size[1], self.logits.shape[3])
        exact = rest == 0 and math.frexp(factor)[0] == 0.5
        return exact and self.step is not None and max(self.size) <= _MOST_EXACT

    def band(self, start: int, stop: int) -> Tensor:
        """Rows start .. stop - 1 (B, C, stop - start, W), bitwise equal to those of ``full()``.
        start, stop: multiples of ``step``."""
        assert self.step is not None
        # One extra low-resolution row on either side, since the band's border is not the image's.
        first = max(start // self.step - 1, 0)
        last = min(stop // self.step + 1, self.logits.shape[2])
        size = ((last - first) * self.step, self.size[1])
        piece = self.logits[:, :, first:last]
        wide = F.interpolate(piece, size=size, mode="bilinear", align_corners=False)
        return wide[:, :, start - first * self.step :][:, :, : stop - start]


def low_resolution_form(model: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """``model.low_resolution`` if it computes the same function as the model, else the model
    itself.

    It does only if one class defines both and the method is annotated to return
    ``LowResolutionLogits``. Otherwise it would bypass a subclass that overrides ``forward`` or
    ``__call__`` alone, a hook, or a replaced ``forward``, and a method may have that name by
    chance.
    """
    if not isinstance(model, nn.Module) or not callable(getattr(model, _METHOD, None)):
        return model
    home, of_forward = (
        next((kind for kind in type(model).__mro__ if name in vars(kind)), None)
        for name in (_METHOD, "forward")
    )
    if home is None or home is not of_forward or not _returns_low_resolution(vars(home)[_METHOD]):
        return model
    replaced = any(name in vars(model) for name in ("forward", _METHOD))
    # Whatever a call does beside forward.
    called = type(model).__call__ is not nn.Module.__call__ or model._compiled_call_impl is not None
    hooked = bool(model._forward_hooks or model._forward_pre_hooks)
    everywhere = bool(hooks_of_all._global_forward_hooks or hooks_of_all._global_forward_pre_hooks)
    return model if replaced or called or hooked or everywhere else getattr(model, _METHOD)


def _returns_low_resolution(method: object) -> bool:
    annotation = getattr(method, "__annotations__", {}).get("return")
    text = annotation if isinstance(annotation, str) else repr(annotation)
    return re.search(rf"\b{LowResolutionLogits.__name__}\b", text) is not None
