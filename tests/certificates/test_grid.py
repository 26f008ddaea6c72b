"""Cells to pixels by nearest neighbour: in whole numbers, as PyTorch does it."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
import torch

import certiseg as cs
from certiseg.certificates.grid import cell_pixels, upsample_nearest

SIZES = [(1, 1), (1, 7), (2, 3), (3, 7), (5, 13), (60, 240), (97, 385), (128, 511)]


@pytest.mark.parametrize(("rows", "height"), SIZES)
@pytest.mark.parametrize(("columns", "width"), [(1, 4), (45, 180), (4, 9)])
def test_equals_nearest_neighbour_of_torch(rows, height, columns, width):
    labels = np.arange(rows * columns).reshape(rows, columns).astype(np.int32) - 1
    full = upsample_nearest(labels, (height, width))
    near = torch.nn.functional.interpolate(
        torch.from_numpy(labels)[None, None].double(), size=(height, width), mode="nearest"
    )
    assert full.dtype == labels.dtype
    assert np.array_equal(full, near[0, 0].numpy())


def test_cells_are_exact_where_floats_are_not():
    """Pixel i belongs to the cell that holds i * h / H in rational arithmetic."""
    for rows, height in product(range(1, 40), range(1, 120)):
        if rows > height:
            continue
        cells = upsample_nearest(np.arange(rows)[:, None], (height, 1))[:, 0]
        assert cells.tolist() == [floor(Fraction(i * rows, height)) for i in range(height)]


def test_largest_cell_is_tight():
    """Every cell has pixels, none more than cell_pixels, and one has just as many."""
    for (rows, height), (columns, width) in product(SIZES, repeat=2):
        cells = np.arange(rows * columns).reshape(rows, columns)
        pixels = np.bincount(upsample_nearest(cells, (height, width)).ravel())
        assert len(pixels) == rows * columns
        assert pixels.min() >= 1
        assert pixels.max() == cell_pixels((rows, columns), (height, width))


def test_rounding_down_would_be_too_few():
    """Negative control: floor(H / h) pixels a cell is seen to be too small a bound."""
    pixels = np.bincount(upsample_nearest(np.arange(3)[:, None], (7, 1)).ravel())
    assert pixels.max() == cell_pixels((3, 1), (7, 1)) > 7 // 3


def test_radii_and_stacks_are_upsampled_too():
    radii = np.array([[0.0, 0.25]])
    full = upsample_nearest(radii, (2, 4))
    assert full.tolist() == [[0.0, 0.0, 0.25, 0.25]] * 2
    stacked = upsample_nearest(np.stack([radii, radii + 1]), (2, 4))
    assert np.array_equal(stacked, np.stack([full, full + 1]))


@pytest.mark.parametrize(
    ("grid", "size"),
    [((4, 4), (3, 8)), ((4, 4), (8, 3)), ((4,), (8, 8)), ((4, 4), (8, 8, 8)), ((0, 4), (8, 8))],
)
def test_grids_that_do_not_fit(grid, size):
    for call in (lambda: upsample_nearest(np.zeros(grid), size), lambda: cell_pixels(grid, size)):
        with pytest.raises(cs.InputError, match="expected a grid"):
            call()
