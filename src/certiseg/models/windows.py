"""A base model that labels each part of its input from a window around it alone (theory T17)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """A base model run window by window: each core takes its labels from its own window.

    The input is tiled into cores of equal sides (to a pixel); a window is a core with a margin
    around it, as far as the input goes. Each pass of the base model sees one window of all draws
    of the batch. So a label depends on its window alone, and certificates made with it say:
    each label holds under every perturbation whose norm *inside its window* is below the radius,
    whatever happens elsewhere (T17). ``Certificate.lost_at_most`` bounds what larger ones change.

    Args:
        model: the base model, with its preprocessing inside; logits (B, classes, *size), or integer
            labels (B, *size), of images or volumes (B, C, *size).
        size: largest sides of a core in pixels or voxels: one number, or one for each axis.
        margin: pixels or voxels seen beyond the core on every side.

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

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        size: int | Sequence[int],
        margin: int = 0,
    ) -> None:
        super().__init__()
        sides = tuple(size) if isinstance(size, Sequence) else (size,)
        if not sides or not all(_whole(side, 1) for side in sides) or not _whole(margin, 0):
            raise InputError(
                f"expected cores of whole sizes of at least 1 and a margin of at least 0, got size "
                f"{size!r} and margin {margin!r}; for example size=128, margin=64"
            )
        self.model = model
        self.size, self.margin = sides, margin
        self.model_name = f"{name_of(model)} {self.describe()}"
        take_over(self, model)

    def describe(self) -> str:
        """Such as "in windows of 128 with a margin of 64"."""
        return f"in windows of {' x '.join(map(exact, self.size))} with a margin of {self.margin}"

    def extra_repr(self) -> str:
        return f"size={self.size}, margin={self.margin}"

    def tiling(self, axes: int) -> Tiling:
        """The windows of inputs with so many axes beside channels. Raises InputError."""
        if len(self.size) not in (1, axes):
            raise InputError(
                f"expected windows with {axes} sides, got {self.size}; pass one for each axis"
            )
        return Tiling(self.size * (axes if len(self.size) == 1 else 1), self.margin)

    def forward(self, x: Tensor) -> Tensor | BinaryScores:
        if x.ndim not in _SPATIAL:
            raise InputError(
                f"expected images (B, C, H, W) or volumes (B, C, D, H, W), got a batch of shape "
                f"{tuple(x.shape)}; only these have windows"
            )
        whole: Tensor | None = None
        declared = None
        every = self.tiling(x.ndim - 2).spans(x.shape[2:])
        # A draw alone, as the probe passes it, sees its windows in the opposite order, so that a
        # model which carries something over from window to window is found out.
        for spans in every if len(x) > 1 else reversed(every):
            # A copy: a view would leave the rest of the input within the model's reach.
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
                whole = output.new_empty(size)
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
    """Sides of the cores and the margin, of a model that sees inputs (C, *size) by windows alone.

    None for every other model: locality is taken from the construction, never assumed.
    """
    if type(model) not in (Windows, Binary) or len(shape) + 1 not in _SPATIAL:
        return None
    assert isinstance(model, nn.Module)
    everywhere = hooks_of_all._global_forward_hooks or hooks_of_all._global_forward_pre_hooks
    if everywhere or model._forward_hooks or model._forward_pre_hooks:
        return None
    if any(callable(put) and hasattr(type(model), name) for name, put in vars(model).items()):
        # Something in place of a method, such as forward.
        return None
    if isinstance(model, Binary):
        # It reads each value on its own.
        return windows_of(model.model, shape)
    assert isinstance(model, Windows)
    tiling = model.tiling(len(shape) - 1)
    return (*tiling.size, tiling.margin)


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
