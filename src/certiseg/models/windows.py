"""A base model in which each label depends on a window around it alone (theory T17)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as hooks_of_all

from certiseg.certificates.windows import Tiling
from certiseg.errors import InputError
from certiseg.models.binary import Binary
from certiseg.models.loaded import name_of, take_over
from certiseg.outputs.tensors import BinaryScores, check_axes, tensor_of
from certiseg.rounding import exact

_SPATIAL = (4, 5)


class Windows(nn.Module):
    """A base model run window by window: the labels of each core come from its window.

    The input is tiled into cores of equal sides (up to one pixel). A window is a core with a
    margin around it, cut at the border of the input. Each pass of the base model gets one window
    of all draws of the batch. A label therefore depends on its window alone, and certificates
    state that each label holds under every perturbation whose norm *inside its window* is below
    the radius, with any change elsewhere (T17). ``Certificate.lost_at_most`` bounds the number of
    labels that larger perturbations change.

    Args:
        model: the base model, with its preprocessing inside; logits (B, classes, *size), or integer
            labels (B, *size), of images or volumes (B, C, *size).
        size: largest side of a core in pixels or voxels: one number, or one per axis.
        margin: width of the window beyond the core on each side, in pixels or voxels.

    Raises:
        InputError: sizes below 1 or a margin below 0; in a pass, an output of another size.

    Example:
        >>> import torch
        >>> model = Windows(torch.nn.Conv2d(3, 5, 3, padding=1).eval(), size=8, margin=1)
        >>> tuple(model(torch.zeros(2, 3, 20, 30)).shape)
        (2, 5, 20, 30)

    Reference:
        Theory T17; Schuchardt et al. 2021, Collective robustness certificates.
    """

    # Set on the copies of ``leaving_out`` alone.
    _left_out: Collection[int] = frozenset()

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        size: int | Sequence[int],
        margin: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.size = tuple(size) if isinstance(size, Sequence) else (size,)
        self.margin = margin
        self._check()
        self.model_name = f"{name_of(model)} {self.describe()}"
        take_over(self, model)

    def _check(self) -> None:
        """Raise InputError for sizes and margins out of range, which may have been set since."""
        size, margin = self.size, self.margin
        whole = isinstance(size, (tuple, list)) and size and all(is_whole(side, 1) for side in size)
        if not whole or not is_whole(margin, 0):
            raise InputError(
                f"expected cores of whole sizes from 1 and a margin from 0, below 2^31, got size "
                f"{size!r} and margin {margin!r}; for example Windows(model, size=128, margin=64)"
            )

    def describe(self) -> str:
        """A description such as "in windows of 128 with a margin of 64"."""
        return f"in windows of {' x '.join(map(exact, self.size))} with a margin of {self.margin}"

    def extra_repr(self) -> str:
        return f"size={self.size}, margin={self.margin}"

    def tiling(self, axes: int) -> Tiling:
        """The windows of inputs with this number of axes besides channels. Raises InputError."""
        self._check()
        if len(self.size) not in (1, axes):
            raise InputError(
                f"expected windows with {axes} sides, got {self.size}; pass one per axis"
            )
        return Tiling(tuple(self.size) * (axes if len(self.size) == 1 else 1), self.margin)

    def forward(self, x: Tensor) -> Tensor | BinaryScores:
        if x.ndim not in _SPATIAL:
            raise InputError(
                f"expected images (B, C, H, W) or volumes (B, C, D, H, W), got a batch of shape "
                f"{tuple(x.shape)}; only these have windows"
            )
        whole: Tensor | None = None
        declared = None
        every = [
            spans
            for number, spans in enumerate(self.tiling(x.ndim - 2).spans(x.shape[2:]))
            if number not in self._left_out
        ]
        # A draw alone, as passed by the probe, gets its windows in the opposite order, which
        # detects a model that carries something over from window to window.
        for spans in every if len(x) > 1 else reversed(every):
            # A copy: through a view the model could reach the rest of the input.
            seen: tuple[Any, ...] = (..., *(span.seen for span in spans))
            window = x[seen].clone()
            found: object = self.model(window)
            if isinstance(found, BinaryScores):
                declared = found.binary
                found = found.output
            output = tensor_of(found)[0]
            check_axes(output, window.shape[2:])
            if tuple(output.shape[-len(spans) :]) != tuple(window.shape[2:]):
                raise InputError(
                    f"expected one label for each of {tuple(window.shape[2:])} pixels of a window, "
                    f"got an output of shape {tuple(output.shape)}; resize the logits inside the "
                    "model, for instance with certiseg.models.Preprocess"
                )
            size = (*output.shape[: -len(spans)], *x.shape[2:])
            if whole is None:
                whole = output.new_zeros(size) if self._left_out else output.new_empty(size)
            if (whole.shape, whole.dtype) != (size, output.dtype):
                raise InputError(
                    f"expected one kind of output for all windows, got {tuple(output.shape)} of "
                    f"{output.dtype} in one and another before; correct the model"
                )
            core: tuple[Any, ...] = (..., *(span.core for span in spans))
            within: tuple[Any, ...] = (
                ...,
                *(
                    slice(span.core.start - span.seen.start, span.core.stop - span.seen.start)
                    for span in spans
                ),
            )
            whole[core] = output[within]
        assert whole is not None
        return whole if declared is None else BinaryScores(whole, declared)


def windows_of(model: object, shape: Sequence[int]) -> tuple[int, ...] | None:
    """``Source.windows`` of a model whose labels depend on windows of inputs (C, *size).

    None for every other model: locality follows from the construction and is never assumed. Of
    ``SlidingWindow`` it does with one window in a pass (sw_batch_size=1).
    """
    sliding = _is_sliding(model)
    known = sliding or type(model) in (Windows, Binary)
    if not known or len(shape) + 1 not in _SPATIAL:
        return None
    assert isinstance(model, nn.Module)
    everywhere = hooks_of_all._global_forward_hooks or hooks_of_all._global_forward_pre_hooks
    if everywhere or model._forward_hooks or model._forward_pre_hooks:
        return None
    if any(callable(put) and hasattr(type(model), name) for name, put in vars(model).items()):
        # Something in place of a method, such as forward.
        return None
    if isinstance(model, Binary):
        # Binary decides each value separately.
        return windows_of(model.model, shape)
    if sliding:
        # Windows that share a pass are told apart by the network alone.
        laid: Any = model
        laid.check()
        alone = laid.sw_batch_size == 1 and len(laid.roi_size) == len(shape) - 1
        return (*laid.roi_size, *laid.steps) if alone else None
    assert isinstance(model, Windows)
    tiling = model.tiling(len(shape) - 1)
    return (*tiling.size, tiling.margin)


def leaving_out(model: nn.Module, numbers: Collection[int]) -> nn.Module:
    """A model with windows, without the passes of some of them: their scores or labels are 0.

    model: of which ``windows_of`` is a ``Tiling``; its other windows are passed as before.
    """
    twin = copy.copy(model)
    if isinstance(twin, Binary):
        assert isinstance(twin.model, nn.Module)
        twin._modules = {**twin._modules, "model": leaving_out(twin.model, numbers)}
    else:
        assert isinstance(twin, Windows)
        twin._left_out = frozenset(numbers)
    return twin


def _is_sliding(model: object) -> bool:
    # Imported only for a model that comes from there.
    if type(model).__module__ != "certiseg.models.adapters.monai":
        return False
    from certiseg.models.adapters.monai import SlidingWindow

    return type(model) is SlidingWindow


def is_whole(value: object, least: int) -> bool:
    """True for an integer from ``least`` on that is no bool and small enough for a record."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31
