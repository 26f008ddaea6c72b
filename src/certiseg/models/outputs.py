"""Labels from whatever a segmentation model returns."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from certiseg.errors import InputError

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def labels_of(
    output: object, batch: Tensor, num_classes: int | None
) -> tuple[Tensor, int | None, Tensor | None]:
    """Labels of one batch of outputs.

    output: logits (B, C, *out), a mapping with "out" (torchvision), an object with ``.logits``
    (Hugging Face; logits coarser than the image are upsampled bilinearly to it, as those
    libraries do themselves), or integer labels (B, *out).
    batch: the input (B, *shape). Returns the labels int64 (B, *out), the number of classes where
    the output tells it, and the highest logit per component (None for label outputs), in which a
    NaN anywhere among the logits shows.
    Raises InputError for anything else, and for a shape or class count that does not fit.
    """
    tensor, upsample = tensor_of(output)
    if tensor.ndim < 1 or tensor.shape[0] != len(batch):
        raise InputError(
            f"expected one output for each of {len(batch)} inputs, got shape "
            f"{tuple(tensor.shape)}; the model must keep the batch axis first"
        )
    if tensor.dtype in _INTEGERS:
        _check_size(tensor.shape[1:], batch)
        return tensor.long(), None, None
    if not tensor.is_floating_point() or tensor.ndim < 2:
        raise InputError(
            "expected logits (B, C, *out) or integer labels (B, *out), got "
            f"{tensor.dtype} of shape {tuple(tensor.shape)}; wrap the model in a function"
        )
    if num_classes is not None and tensor.shape[1] != num_classes:
        raise InputError(
            f"expected logits of {num_classes} classes on axis 1, got shape "
            f"{tuple(tensor.shape)}; pass num_classes={tensor.shape[1]} or another model"
        )
    if upsample and batch.ndim == 4 and tensor.ndim == 4 and tensor.shape[2:] != batch.shape[2:]:
        tensor = functional.interpolate(
            tensor, size=batch.shape[2:], mode="bilinear", align_corners=False
        )
    _check_size(tensor.shape[2:], batch)
    # max gives what argmax gives, several times faster on CPU, and carries NaN to the caller.
    top, labels = tensor.max(dim=1)
    return labels, tensor.shape[1], top


def tensor_of(output: object) -> tuple[Tensor, bool]:
    """The tensor of scores or labels, and whether a coarser one may be upsampled unasked.

    Raises InputError where there is none.
    """
    if isinstance(output, Tensor):
        return output, False
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


def _check_size(size: torch.Size, batch: Tensor) -> None:
    """An image's mask has the image's size; outputs of no or one axis are other tasks."""
    if batch.ndim == 4 and len(size) >= 2 and size != batch.shape[2:]:
        raise InputError(
            f"expected one label per pixel of {tuple(batch.shape[2:])}, got an output of size "
            f"{tuple(size)}; resize the logits inside the model, "
            "for instance with certiseg.models.Preprocess"
        )
