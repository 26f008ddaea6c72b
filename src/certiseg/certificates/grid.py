"""Nearest-neighbour upsampling from a model's output grid to the input's pixels (theory T14)."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError

_Value = TypeVar("_Value", bound=np.generic)


def upsample_nearest(values: NDArray[_Value], size: tuple[int, int]) -> NDArray[_Value]:
    """Upsample labels or radii of grid cells (..., h, w) to pixels (..., H, W).

    Pixel (i, j) gets the value of cell ``(i * h // H, j * w // W)`` in integer arithmetic, so that
    a guarantee for a cell is one for each of its pixels, and every cell has pixels. (PyTorch
    computes the cell in float32 and is one pixel off for some sizes, such as 26 to 44 rows.)
    size: (H, W). Raises InputError unless it is at least (h, w).
    """
    cells = np.asarray(values)
    (height, width), (rows, columns) = _checked(cells.shape[-2:], size)
    row = np.arange(height, dtype=np.int64) * rows // height
    column = np.arange(width, dtype=np.int64) * columns // width
    return cells.take(row, axis=-2).take(column, axis=-1)


def cells_of(mask: NDArray[np.bool_], grid: tuple[int, ...]) -> NDArray[np.bool_]:
    """Cells (h, w) of ``upsample_nearest`` that hold a pixel of the mask (H, W)."""
    (height, width), (rows, columns) = _checked(grid, mask.shape)
    row, column = np.nonzero(mask)
    cells = np.zeros((rows, columns), dtype=np.bool_)
    cells[row * rows // height, column * columns // width] = True
    return cells


def cell_pixels(grid: tuple[int, ...], size: tuple[int, int]) -> int:
    """Largest number of pixels of a cell of ``upsample_nearest``: ceil(H / h) * ceil(W / w).

    Raises InputError as upsample_nearest does.
    """
    (height, width), (rows, columns) = _checked(grid, size)
    return -(-height // rows) * -(-width // columns)


def _checked(
    grid: tuple[int, ...], size: tuple[int, ...]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """((H, W), (h, w)); InputError unless (1, 1) <= (h, w) <= (H, W)."""
    full = tuple(size)
    images = len(grid) == len(full) == 2
    if not images or not all(1 <= g <= s for g, s in zip(grid, full, strict=True)):
        raise InputError(
            f"expected a grid (h, w) of at least (1, 1) and at most the size {full}, got "
            f"{tuple(grid)}; pass the labels of the grid and the input's height and width"
        )
    return (full[0], full[1]), (grid[0], grid[1])
