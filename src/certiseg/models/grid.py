"""A base model that labels cells of pixels rather than pixels (theory T14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.loaded import name_of, take_over
from certiseg.outputs.tensors import BinaryScores, check_axes, tensor_of


class OnGrid(nn.Module):
    """A base model with one label for each cell of stride x stride pixels.

    Takes (B, C, H, W) and returns logits (B, classes, ceil(H / stride), ceil(W / stride)). Cell a
    of h covers the rows i with ``i * h // H == a``; where the stride does not divide the size,
    cells differ by a pixel. Logits and integer labels that the model returns on this grid are
    unchanged; logits at full size are averaged over each cell, where neighbouring cells overlap by
    one pixel if the stride does not divide the size. Borders become coarser, and fewer components
    are tested. Use it with ``Smoothed(..., output_grid=True)``.

    Args:
        model: the base model, a module or a function of a batch.
        stride: side of a cell in pixels.

    Raises:
        InputError: a stride that is not an integer >= 1; in a pass, an output of another size, or
            integer labels at full size, which have no average.

    Example:
        >>> import torch
        >>> on_cells = OnGrid(torch.nn.Conv2d(3, 5, 1).eval(), stride=4)
        >>> tuple(on_cells(torch.zeros(1, 3, 10, 16)).shape)
        (1, 5, 3, 4)

    Reference:
        Theory T14 (docs/theory.md).
    """

    def __init__(self, model: nn.Module | Callable[[Tensor], Any], stride: int) -> None:
        super().__init__()
        if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1:
            raise InputError(
                f"expected a whole stride of at least 1, got {stride!r}; the usual is 4"
            )
        self.model = model
        self.stride = stride
        # An identity layer, so that the memory of a pass is measured here too
        # (sampling/batching.py).
        self.whole = nn.Identity()
        self.model_name = f"{name_of(model)} on cells of {stride} x {stride}"
        take_over(self, model)

    def extra_repr(self) -> str:
        return f"stride={self.stride}"

    def forward(self, x: Tensor) -> Tensor | BinaryScores:
        if x.ndim != 4:
            raise InputError(
                f"expected images (B, C, H, W), got a batch of shape {tuple(x.shape)}; "
                "only images have cells of pixels"
            )
        found = self.model(x)
        if isinstance(found, BinaryScores):
            return found.changed(lambda output: self._on_cells(output, x))
        return self._on_cells(found, x)

    def _on_cells(self, found: object, x: Tensor) -> Tensor:
        output = tensor_of(found)[0]
        check_axes(output, x.shape[2:])
        full = height, width = (x.shape[2], x.shape[3])
        grid = (-(-height // self.stride), -(-width // self.stride))
        labels = not output.is_floating_point()
        given = tuple(output.shape[-2:] if output.ndim in (3, 4) else output.shape[2:])
        if given == grid:
            return output
        if given != full:
            raise InputError(
                f"expected logits at full size {full} or on the grid {grid} of stride "
                f"{self.stride}, got an output of size {given}; choose the model's own stride"
            )
        if labels:
            raise InputError(
                f"expected logits at full size {full}, got integer labels; labels have no "
                "average, return the logits"
            )
        output = self.whole(output)
        return F.adaptive_avg_pool2d(output[:, None] if output.ndim == 3 else output, grid)
