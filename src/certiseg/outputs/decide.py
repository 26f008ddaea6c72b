"""The labels, or the softmax, that a model's output stands for, whatever form it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from certiseg.errors import InputError
from certiseg.outputs.decision import Decision
from certiseg.outputs.low_resolution import LowResolutionLogits

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_SPATIAL = {4: "H, W", 5: "D, H, W"}
"""By the axes of a batch: of pictures, and of volumes."""


def decide(
    output: object, batch: Tensor, num_classes: int | None, own_grid: bool = False
) -> Decision:
    """The labels of one batch of outputs. On equal logits the first label wins.

    Args:
        output: logits (B, C, *out), a mapping with "out" (torchvision), an object with ``.logits``
            (Hugging Face; logits smaller than the image are upsampled bilinearly to it, as those
            libraries do themselves), ``LowResolutionLogits``, or integer labels (B, *out).
        batch: the input (B, *shape).
        num_classes: None: found from logits.
        own_grid: an image's labels may lie on a grid (h, w) of the model's own, 1 <= h <= H and
            1 <= w <= W, and nothing is upsampled (theory T14).

    Raises:
        InputError: any other output, a shape or class count that does not fit, labels outside the
            classes; NaN logits once the decision is used.
    """
    scores = _checked_output(output, batch, num_classes, own_grid)
    if isinstance(scores, Tensor) and scores.dtype in _INTEGERS:
        return Decision(_checked_classes(scores, num_classes), given=scores.long())
    return Decision(scores.shape[1], scores, context=_autocast_of(batch.device.type))


@dataclass(frozen=True)
class Posterior:
    """Softmax probabilities float32 (B, C, *out) of each draw of a batch."""

    values: Tensor

    @property
    def num_classes(self) -> int:
        return self.values.shape[1]

    @property
    def size(self) -> torch.Size:
        """Shape of the components."""
        return self.values.shape[2:]

    @property
    def draws(self) -> int:
        return len(self.values)

    def rows(self, places: list[int]) -> Posterior:
        """That of the draws at these places of the batch, in their order."""
        return Posterior(self.values[places])


def posterior(
    output: object, batch: Tensor, num_classes: int | None, own_grid: bool = False
) -> Posterior:
    """The softmax of one batch of logits. Arguments and errors as ``decide``; labels have none."""
    return Posterior(logits(output, batch, num_classes, own_grid).softmax(dim=1))


def logits(
    output: object, batch: Tensor, num_classes: int | None, own_grid: bool = False
) -> Tensor:
    """The logits of one batch, as float32 (B, C, *out), with their gradient where they have
    one. Arguments and errors as ``decide``; labels have no logits."""
    scores = _checked_output(output, batch, num_classes, own_grid)
    tensor = scores.full() if isinstance(scores, LowResolutionLogits) else scores
    if tensor.dtype in _INTEGERS:
        raise InputError(
            "expected a model that returns logits, got integer labels; labels have no softmax and "
            "no gradient, return the logits"
        )
    return tensor.float()


def _autocast_of(kind: str) -> torch.autocast:
    """The autocast that is on or off now, to be entered again."""
    enabled = torch.is_autocast_enabled(kind)
    return torch.autocast(kind, dtype=torch.get_autocast_dtype(kind), enabled=enabled)


def _checked_output(
    output: object, batch: Tensor, num_classes: int | None, own_grid: bool
) -> Tensor | LowResolutionLogits:
    """Logits (B, C, *out), perhaps of low resolution, or integer labels (B, *out), of the right
    size."""
    low = output if isinstance(output, LowResolutionLogits) else None
    tensor, upsample = tensor_of(output) if low is None else (low.logits, True)
    promised = None if low is None else low.size
    if tensor.ndim < 1 or tensor.shape[0] != len(batch):
        raise InputError(
            f"expected one output for each of {len(batch)} inputs, got shape "
            f"{tuple(tensor.shape)}; the model must keep the batch axis first"
        )
    if tensor.dtype in _INTEGERS:
        _check_size(tensor.shape[1:], batch, own_grid)
        return tensor
    if not tensor.is_floating_point() or tensor.ndim < 2:
        raise InputError(
            "expected logits (B, C, *out) or integer labels (B, *out), got "
            f"{tensor.dtype} of shape {tuple(tensor.shape)}; wrap the model in a function"
        )
    if batch.ndim in _SPATIAL and tensor.ndim == batch.ndim - 1:
        axes = _SPATIAL[batch.ndim]
        raise InputError(
            f"expected logits (B, C, {axes}) or integer labels (B, {axes}), got "
            f"{tensor.dtype} of shape {tuple(tensor.shape)}; return labels as integers"
        )
    if num_classes is not None and tensor.shape[1] != num_classes:
        raise InputError(
            f"expected logits of {num_classes} classes on axis 1, got shape "
            f"{tuple(tensor.shape)}; pass num_classes={tensor.shape[1]} or another model"
        )
    images = batch.ndim == 4 and tensor.ndim == 4
    if images and promised is None and upsample and not own_grid:
        promised = (batch.shape[2], batch.shape[3])
    size = tensor.shape[2:] if promised is None else torch.Size(promised)
    _check_size(size, batch, own_grid)
    return (
        tensor
        if promised is None or size == tensor.shape[2:]
        else LowResolutionLogits(tensor, promised)
    )


def _checked_classes(labels: Tensor, num_classes: int | None) -> int:
    if num_classes is None:
        raise InputError(
            "expected num_classes for a model that returns labels, got None; "
            "pass num_classes=... to Smoothed, or --num-classes on the command line"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise InputError(
            f"expected labels in [0, {num_classes - 1}], got [{low}, {high}]; "
            "pass the model's own num_classes"
        )
    return num_classes


def tensor_of(output: object) -> tuple[Tensor, bool]:
    """The tensor of scores or labels, and whether a smaller one may be upsampled unasked.

    Raises InputError where there is none.
    """
    if isinstance(output, Tensor):
        return output, False
    if isinstance(output, LowResolutionLogits):
        return output.full(), False
    logits = getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return logits, True
    if isinstance(output, Mapping):
        for name in ("out", "logits"):
            if isinstance(output.get(name), Tensor):
                return output[name], name == "logits"
    raise InputError(
        'expected a tensor, a mapping with "out" or an object with .logits, got '
        f"{type(output).__name__}; wrap the model in a function that returns logits"
    )


def _check_size(size: torch.Size, batch: Tensor, own_grid: bool) -> None:
    """The mask of an image or volume has its size, or with own_grid, of images alone, a grid's that
    is no finer; outputs of no or one axis are other tasks."""
    if batch.ndim not in _SPATIAL or len(size) < 2:
        return
    image = batch.shape[2:]
    if batch.ndim == 5 and size != image:
        raise InputError(
            f"expected one label per voxel of {tuple(image)}, got an output of size "
            f"{tuple(size)}; resize the logits inside the model"
        )
    if not own_grid and size != image:
        raise InputError(
            f"expected one label per pixel of {tuple(image)}, got an output of size "
            f"{tuple(size)}; resize the logits inside the model, for instance with "
            "certiseg.models.Preprocess, or vote on its own grid with "
            "Smoothed(..., output_grid=True)"
        )
    if own_grid and not (len(size) == 2 and 1 <= size[0] <= image[0] and 1 <= size[1] <= image[1]):
        raise InputError(
            f"expected an output grid of at least (1, 1) and at most {tuple(image)}, the image's "
            f"size, got an output of size {tuple(size)}; the model must decide on cells of pixels"
        )
