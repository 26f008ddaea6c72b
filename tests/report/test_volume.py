"""Cuts of a volume: which plane, which way up, one scale of colours."""

from __future__ import annotations

import numpy as np
import pytest

from certiseg.report.volume import Slices, volume_heat, volume_overlay

PALETTE = ((10, 20, 30), (200, 100, 0))


def test_cuts_go_through_the_middle_with_the_last_axis_up() -> None:
    labels = np.zeros((4, 6, 8), np.int64)
    labels[2, 0, 7] = 1  # top left of the first cut, outside the other two
    picture = np.asarray(volume_overlay(np.zeros((1, 4, 6, 8)), labels, PALETTE))
    factor = 320 // 8
    assert picture.shape == (8 * factor, (6 + 4 + 4) * factor + 12, 3)
    marked = (picture == (120, 60, 0)).all(-1)
    assert marked[:factor, :factor].all()
    assert marked.sum() == factor**2


def test_abstentions_are_white_in_all_cuts() -> None:
    labels = np.full((4, 6, 8), -1)
    picture = np.asarray(volume_overlay(np.zeros((2, 4, 6, 8)), labels, PALETTE))
    assert (picture[:160, :240] == 255).all()


def test_a_map_of_radii_has_one_scale() -> None:
    radius = np.zeros((4, 6, 8))
    radius[2], radius[:, 3], radius[:, :, 4] = 0.1, 0.1, 0.1
    picture = np.asarray(volume_heat(radius, 0.1))
    # All three cuts lie in the planes of the largest radius; the bar has a little of it too.
    brightest = (picture == (253, 231, 37)).all(-1).sum()
    assert 0 <= brightest - (6 * 8 + 4 * 8 + 4 * 6) * 40**2 < 500
    white = volume_heat(np.zeros((4, 6, 8)), 0.1)
    assert not (np.asarray(white) == (253, 231, 37)).all(-1)[: 8 * 8].any()


@pytest.mark.parametrize(
    ("depth", "places", "lines", "across"),
    [
        (1, (0,), 1, 1),
        (3, (0, 1, 2), 1, 3),
        (4, (0, 1, 2, 3), 2, 2),
        (5, (0, 1, 2, 3, 4), 2, 3),
        (20, (1, 5, 8, 11, 15, 18), 2, 3),
    ],
)
def test_slices_lie_in_rows_with_gaps(depth, places, lines, across) -> None:
    volume = np.arange(4 * 3 * depth).reshape(4, 3, depth)
    slices = Slices.of(volume.shape)
    assert (slices.places, slices.across, slices.gap) == (places, across, 1)
    image = slices.image(volume, -1)
    assert image.shape == (lines * 4 - 1, across * 5 - 1)
    for number, place in enumerate(places):
        top, left = number // across * 4, number % across * 5
        # The second axis points up, the first to the right.
        assert np.array_equal(image[top : top + 3, left : left + 4], volume[:, ::-1, place].T)
        image[top : top + 3, left : left + 4] = -1
    assert (image == -1).all()
    coloured = np.stack([volume, volume], axis=0)
    assert slices.image(coloured, 0).shape == (2, *image.shape)
