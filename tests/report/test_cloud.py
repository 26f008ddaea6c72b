"""Pictures of clouds: colours where they belong, abstentions seen, nearer points in front."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from certiseg.datasets.solids import solids
from certiseg.errors import InputError
from certiseg.report.cloud import GREY, cloud_picture
from certiseg.report.panel import INK, PAPER, Tile, panel

PALETTE = ((0, 114, 178), (230, 159, 0), (0, 158, 115))
WHITE = (255, 255, 255)
FRONT = {"azimuth": 0, "elevation": 0, "extent": 1.0, "size": 100}


def shown(picture: Image.Image, colour: tuple[int, ...], within: int = 60) -> np.ndarray:
    """Where the picture has about that colour, (H, W)."""
    return np.abs(np.asarray(picture).astype(int) - colour).max(axis=-1) <= within


def dots(*places: tuple[float, float, float]) -> np.ndarray:
    return np.array(places, dtype=np.float32).T


def test_each_part_in_its_colour_at_its_place():
    places = ((-0.5, 0.5), (0.5, 0.5), (0, -0.5), (-0.5, -0.5))
    points = dots(*((x, y, 0) for x, y in places))
    picture = cloud_picture(points, [0, 1, 2, 255], PALETTE, radius=6, **FRONT)
    assert picture.size == (100, 100)
    for (x, y), colour in zip(places, (*PALETTE, GREY), strict=True):
        column, row = round(49.5 + 46.5 * x), round(49.5 - 46.5 * y)
        assert shown(picture, colour, 45)[row - 2 : row + 3, column - 2 : column + 3].all()
    covered = (np.asarray(picture) != PAPER).any(axis=-1).sum()
    assert covered == pytest.approx(4 * np.pi * 6**2, rel=0.2)


def test_an_abstention_is_a_white_disc_with_a_dark_outline():
    picture = np.asarray(cloud_picture(dots((0, 0, 0)), [-1], PALETTE, radius=8, **FRONT))
    assert (picture[49:51, 49:51] == WHITE).all()
    row = picture[50, 50:].astype(int).sum(axis=-1)
    ring = int(row.argmin())
    assert 6 < ring < 12
    assert row[ring] < sum(INK) + 60
    assert (picture[50, 65:] == PAPER).all()


def test_abstentions_are_seen_among_many_points():
    sample = solids("val")[0]
    parts = solids("val").card.parts[sample.category]
    labels = sample.labels.astype(int) - parts[0]
    some = np.where(np.arange(len(labels)) % 10 == 0, -1, labels)
    palette = solids("val").card.palette[: len(parts)]
    plain, marked = (cloud_picture(sample.x, which, palette) for which in (labels, some))
    assert not shown(plain, WHITE, 0).any()
    assert not shown(plain, INK, 30).any()
    # Some 200 discs of about 10 pixels each, part of them behind others.
    assert shown(marked, WHITE, 0).sum() > 400
    assert shown(marked, INK, 60).sum() > 200
    for part in np.unique(labels):
        assert shown(plain, palette[part]).sum() > 50


def test_the_nearer_point_is_seen():
    for near, far in ((0, 1), (1, 0)):
        points = dots((0, 0, 0.5 - near), (0, 0, 0.5 - far))
        picture = cloud_picture(points, [0, 1], PALETTE, radius=6, **FRONT)
        assert shown(picture, PALETTE[far]).sum() < 10 < shown(picture, PALETTE[near]).sum()


def test_eye_goes_round_and_up():
    """From the right the x axis points at the eye; from above the y axis does."""
    points = dots((0.9, 0, 0), (0, 0.9, 0), (0, 0, 0.9), (-0.9, 0, 0), (0, -0.9, 0), (0, 0, -0.9))
    for view, front in (((0, 0), 2), ((90, 0), 0), ((0, 90), 1), ((180, 0), 5), ((-90, 0), 3)):
        labels = np.where(np.arange(6) == front, 0, 1)
        options = {**FRONT, "azimuth": view[0], "elevation": view[1]}
        picture = cloud_picture(points, labels, PALETTE, radius=5, **options)
        rows, columns = np.nonzero(shown(picture, PALETTE[0], 50))
        assert (rows.mean(), columns.mean()) == pytest.approx((49.5, 49.5), abs=2)


def test_deterministic_and_filling_its_frame():
    sample = solids("val", points=512)[1]
    palette = solids("val").card.palette
    one, other = (cloud_picture(sample.x, sample.labels, palette, size=200) for _ in range(2))
    assert one.tobytes() == other.tobytes()
    rows, columns = np.nonzero((np.asarray(one) != PAPER).any(axis=-1))
    low, high = min(rows.min(), columns.min()), max(rows.max(), columns.max())
    assert 0 < low < 20
    assert 180 < high < 199
    moved = sample.x.copy()
    moved[:3] = 7 * moved[:3] + 3
    difference = np.abs(
        np.asarray(cloud_picture(moved, sample.labels, palette, size=200)).astype(int)
        - np.asarray(one)
    )
    assert (difference > 8).mean() < 0.01


@pytest.mark.slow
def test_one_figure_of_several():
    sample = solids("val", points=256)[0]
    card = solids("val").card
    pictures = [
        cloud_picture(sample.x, labels, card.palette)
        for labels in (sample.labels, np.full(256, -1))
    ]
    figure = panel([Tile(p, "a title") for p in pictures], card.classes, card.palette)
    assert figure.width > 2 * pictures[0].width


@pytest.mark.parametrize(
    ("points", "labels", "words"),
    [
        (np.zeros((10, 3)), np.zeros(10, int), "transpose"),
        (np.zeros((2, 3)), np.zeros(3, int), "x, y, z first"),
        (np.zeros((3, 0)), np.zeros(0, int), "x, y, z first"),
        (np.full((3, 1), np.nan), [0], "finite coordinates"),
        (np.zeros((3, 1)), [3], r"expected labels 0\.\.2, -1 or 255, got 3"),
        (np.zeros((3, 1)), [-2], r"got -2"),
    ],
)
def test_bad_clouds(points, labels, words):
    with pytest.raises(InputError, match=words):
        cloud_picture(points, labels, PALETTE)


def test_a_single_point_and_points_in_one_place():
    for count in (1, 5):
        picture = cloud_picture(np.ones((3, count)), np.zeros(count, int), PALETTE, size=50)
        assert shown(picture, PALETTE[0]).any()
