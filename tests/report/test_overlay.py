"""Overlay pictures: exact colours, white exactly where the certificate abstains."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from certiseg.errors import InputError
from certiseg.report.overlay import OPACITY, as_rgb, overlay
from certiseg.report.panel import Tile, legend, panel

PALETTE = ((128, 0, 0), (0, 64, 200), (10, 250, 30))


def picture(channels: int = 3, height: int = 6, width: int = 9) -> np.ndarray:
    return np.random.default_rng(1).random((channels, height, width)).astype(np.float32)


def test_colours_are_exact() -> None:
    image = picture()
    labels = np.random.default_rng(2).integers(-1, 3, (6, 9))
    painted = np.asarray(overlay(image, labels, PALETTE))
    shown = np.rint(image.astype(np.float64) * 255).transpose(1, 2, 0)
    for row, column in np.ndindex(6, 9):
        label = labels[row, column]
        if label == -1:
            expected = np.array([255, 255, 255])
        else:
            colour = np.array(PALETTE[label])
            expected = np.rint(shown[row, column] * (1 - OPACITY) + OPACITY * colour)
        np.testing.assert_array_equal(painted[row, column], expected)


def test_white_exactly_where_it_abstains() -> None:
    labels = np.zeros((6, 9), dtype=np.int16)
    labels[2:4, 3:] = -1
    painted = np.asarray(overlay(picture(1), labels, PALETTE))
    np.testing.assert_array_equal((painted == 255).all(axis=-1), labels == -1)


def test_unlabelled_truth_shows_the_image() -> None:
    image = picture()
    labels = np.full((6, 9), 255, dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(overlay(image, labels, PALETTE)), as_rgb(image))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channel_counts_become_grey(channels: int) -> None:
    shown = as_rgb(picture(channels))
    assert shown.shape == (6, 9, 3)
    assert (shown == shown[..., :1]).all()


@pytest.mark.parametrize("label", [3, -2, 254])
def test_a_label_without_colour_is_refused(label: int) -> None:
    with pytest.raises(InputError, match=r"expected labels 0\.\.2, -1 or 255, got"):
        overlay(picture(), np.full((6, 9), label), PALETTE)


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match=r"expected labels of shape \(6, 9\), got \(9, 6\)"):
        overlay(picture(), np.zeros((9, 6), dtype=int), PALETTE)
    with pytest.raises(InputError, match=r"\(C, H, W\)"):
        as_rgb(np.zeros((6, 9)))


def test_panel_holds_each_picture_enlarged_by_a_whole_factor() -> None:
    pictures = [overlay(picture(), np.full((6, 9), label), PALETTE) for label in (0, 1, -1)]
    tiles = [Tile(picture, f"tile {i}", "a note") for i, picture in enumerate(pictures)]
    figure = np.asarray(panel(tiles, ("a", "b", "c"), PALETTE, "a heading"))
    factor = 440 // 9
    for small in pictures:
        large = np.asarray(small).repeat(factor, axis=0).repeat(factor, axis=1)
        assert contains(figure, large)


def test_panel_thins_large_pictures_without_mixing_colours() -> None:
    labels = np.indices((300, 2000)).sum(axis=0) % 2 - 1
    large = overlay(np.zeros((3, 300, 2000), dtype=np.float32), labels, PALETTE)
    figure = panel([Tile(large, "wide")], ("a", "b", "c"), PALETTE)
    assert figure.width < 600
    colours = {colour for _, colour in large.getcolors()}
    left, top = np.argwhere(np.asarray(figure)[..., 1] == 0)[0][::-1]
    shown = figure.crop((left, top, left + 300, top + 50)).getcolors()
    assert {colour for _, colour in shown} <= colours


def test_legend_names_every_class_and_abstention() -> None:
    strip = legend(("a", "b", "c"), PALETTE, size=16)
    shown = {colour for _, colour in strip.getcolors(strip.width * strip.height)}
    assert {*PALETTE, (255, 255, 255)} <= shown
    wrapped = legend(("a", "b", "c"), PALETTE, width=90, size=16)
    assert wrapped.height > strip.height
    assert (255, 255, 255) not in {
        colour
        for _, colour in legend(("a",), PALETTE[:1], size=16, abstain=False).getcolors(100_000)
    }


def contains(figure: np.ndarray, part: np.ndarray) -> bool:
    corners = np.argwhere((figure == part[0, 0]).all(axis=-1))
    height, width = part.shape[:2]
    return any(
        np.array_equal(figure[row : row + height, column : column + width], part)
        for row, column in corners
    )


def test_contains_finds_only_what_is_there() -> None:
    """Negative control of the helper above."""
    figure = np.asarray(Image.new("RGB", (8, 8), (1, 2, 3))).copy()
    figure[2, 2] = 9
    assert contains(figure, figure[2:4, 2:4])
    assert not contains(figure, np.full((2, 2, 3), 9, dtype=np.uint8))
