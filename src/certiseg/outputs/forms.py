"""Checks of the form of a model's output; each error names the remedy."""

from __future__ import annotations

import torch
from torch import Tensor

from certiseg.errors import InputError
from certiseg.outputs.binary import maps_of
from certiseg.outputs.low_resolution import LowResolutionLogits
from certiseg.outputs.tensors import (
    DECLARE,
    INTEGERS,
    BinaryScores,
    check_axes,
    tensor_of,
    undeclared,
    values_in,
)

_SPATIAL = {4: "H, W", 5: "D, H, W"}
"""Axes of images and volumes, by number of dimensions of a batch."""


def checked_maps(
    output: BinaryScores, batch: Tensor, num_classes: int | None, own_grid: bool
) -> Tensor:
    """The maps (B, K, *out) of a declared binary output, with their size checked."""
    if num_classes not in (None, 2):
        raise InputError(
            f"expected 2 classes of a binary output, got num_classes={num_classes}; leave it out"
        )
    maps = maps_of(output, batch, own_grid)
    _check_batch(maps, batch)
    _check_size(maps.shape[2:], batch, own_grid)
    return maps


def checked_output(
    output: object, batch: Tensor, num_classes: int | None, own_grid: bool
) -> Tensor | LowResolutionLogits:
    """Logits (B, C, *out), possibly of low resolution, or labels or a mask (B, *out), with their
    size checked."""
    low = output if isinstance(output, LowResolutionLogits) else None
    tensor, upsample = tensor_of(output) if low is None else (low.logits, True)
    tensor = tensor.to(batch.device)
    promised = None if low is None else low.size
    _check_batch(tensor, batch)
    check_axes(tensor, batch.shape[2:])
    if tensor.dtype in (torch.bool, *INTEGERS):
        labels = _without_channel(tensor, batch)
        _check_size(labels.shape[1:], batch, own_grid)
        return labels
    if not tensor.is_floating_point() or tensor.ndim < 2:
        raise InputError(
            "expected logits (B, C, *out) or integer labels (B, *out), got "
            f"{tensor.dtype} of shape {tuple(tensor.shape)}; wrap the model in a function"
        )
    _check_channels(tensor, batch, num_classes)
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


def _check_batch(tensor: Tensor, batch: Tensor) -> None:
    if tensor.ndim < 1 or tensor.shape[0] != len(batch):
        raise InputError(
            f"expected one output for each of {len(batch)} inputs, got shape "
            f"{tuple(tensor.shape)}; {_batch_remedy(len(batch))}"
        )


def _batch_remedy(size: int) -> str:
    if size == 1:
        return "the model must keep the batch axis first, output[None] of a single output"
    return (
        "the model must keep the batch axis first; if it takes one input at a time, pass "
        "batch_size=1 (--batch-size 1)"
    )


def _check_channels(scores: Tensor, batch: Tensor, num_classes: int | None) -> None:
    """Raise InputError for floats that are not logits of classes: one channel or none, or labels as
    floats."""
    bare = scores.ndim == batch.ndim - 1 and (
        batch.ndim in _SPATIAL
        or (scores.shape[1:] == batch.shape[2:] and scores.shape[1] != num_classes)
    )
    if not bare and scores.shape[1] != 1:
        return
    whole = scores.numel() and bool((scores == scores.round()).all()) and bool((scores >= 0).all())
    if whole and (bare or bool((scores > 1).any())):
        raise InputError(
            f"expected logits of classes or integer labels, got whole numbers as {scores.dtype} of "
            f"shape {tuple(scores.shape)} with {values_in(scores)}; labels: return "
            "output.long(), and pass num_classes (--num-classes)"
        )
    if not bare:
        raise InputError(undeclared(scores))
    axes = _SPATIAL.get(batch.ndim, "N")
    raise InputError(
        f"expected logits (B, C, {axes}) or integer labels (B, {axes}), got {scores.dtype} of "
        f"shape {tuple(scores.shape)} with {values_in(scores)}; one value for each component of a "
        f"binary model: {DECLARE}"
    )


def _without_channel(labels: Tensor, batch: Tensor) -> Tensor:
    """Labels or a mask as (B, *out); an axis of length 1 for the channel is removed."""
    if labels.ndim != batch.ndim or batch.ndim < 3:
        return labels
    if labels.shape[1] == 1:
        return labels[:, 0]
    what = "boolean masks" if labels.dtype == torch.bool else "integer labels"
    other = (
        "overlapping masks are certiseg.Binary(model, 'probability', multi_label=True)"
        if labels.dtype == torch.bool
        else "logits as integers: return output.float(); one-hot labels: output.argmax(1)"
    )
    raise InputError(
        f"expected {what} (B, *out), one for each component, got shape {tuple(labels.shape)}; "
        f"{other}"
    )


def checked_mask(mask: Tensor, num_classes: int | None) -> int:
    if num_classes not in (None, 2):
        raise InputError(
            f"expected labels of {num_classes} classes, got a boolean mask of shape "
            f"{tuple(mask.shape)}, which has 2; leave num_classes out, or return integer labels"
        )
    return 2


def checked_classes(labels: Tensor, num_classes: int | None) -> int:
    if num_classes is None:
        raise InputError(
            "expected num_classes for a model that returns labels, got None; "
            "pass num_classes=... to Smoothed, or --num-classes on the command line"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        mask = num_classes == 2 and low == 0 and bool(((labels == 0) | (labels == high)).all())
        remedy = "return output > 0, a mask" if mask else "pass the model's own num_classes"
        raise InputError(
            f"expected labels in [0, {num_classes - 1}], got [{low}, {high}]; {remedy}"
        )
    return num_classes


def _check_size(size: torch.Size, batch: Tensor, own_grid: bool) -> None:
    """Raise InputError unless the labels of an image or volume have its size (or, with own_grid
    and for images, a coarser one). Outputs without or with one axis are classification and other
    tasks."""
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
            "Smoothed(..., output_grid=True); on the command line --grid labels cells of pixels"
        )
    if own_grid and not (len(size) == 2 and 1 <= size[0] <= image[0] and 1 <= size[1] <= image[1]):
        raise InputError(
            f"expected an output grid of at least (1, 1) and at most {tuple(image)}, the image's "
            f"size, got an output of size {tuple(size)}; the model must decide on cells of pixels"
        )
