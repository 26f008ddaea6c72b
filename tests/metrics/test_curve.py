"""The curve of what holds at which radius: at each of its points, the confusion counts there."""

from __future__ import annotations

import json

import numpy as np
import pytest

import certiseg as cs
from certiseg.metrics.curve import RadiusCurve, radius_grid
from certiseg.metrics.records import counts_record

GRID = radius_grid(0.5, 6)
TRUTH = np.array([[0, 0, 1], [1, 2, 255]])
LABELS = np.array([[0, 1, 1], [-1, 2, 2]])
RADII = np.array([[0.5, 0.25, 0.1], [np.nan, 0.05, 0.5]])
COUNTS = ("labelled", "certified", "claimed", "correct")


def _random(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, labels and radii of 40 components of four classes; all classes are in the truth."""
    rng = np.random.default_rng(seed)
    truth = np.append(rng.choice([0, 1, 2, 3, 255], 36), range(4))
    labels = np.where(rng.random(40) < 0.6, truth % 255, rng.integers(-1, 4, 40))
    return truth, labels, rng.choice([0.0, 0.05, 0.1, 0.3, 0.7], 40)


def _curve(seed: int, **options) -> RadiusCurve:
    truth, labels, radius = _random(seed)
    return RadiusCurve.count(truth, labels, 4, radius=radius, grid=GRID, **options)


def test_by_hand():
    """Five labelled. Four hold at 0, three of them rightly; class 2 is gone at 0.1, and so on."""
    curve = RadiusCurve.count(TRUTH, LABELS, 3, radius=RADII, grid=GRID)
    assert GRID.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert curve.certified_share.tolist() == pytest.approx(
        [4 / 5, 3 / 5, 2 / 5, 1 / 5, 1 / 5, 1 / 5]
    )
    assert curve.certified_accuracy.tolist() == pytest.approx([3 / 5, 2 / 5] + 4 * [1 / 5])
    # Class 0: one of two; the abstained joins its union. Class 1: one of two, one false from 0.
    assert curve.certified_iou[0].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 2])


@pytest.mark.parametrize("allowed", [0, 3])
@pytest.mark.parametrize("seed", range(10))
def test_every_point_is_the_confusion_of_what_holds_there(seed, allowed):
    truth, labels, radius = _random(seed)
    curve = _curve(seed, allowed=allowed)
    for point, r in enumerate(GRID):
        there = cs.Confusion.count(
            truth, np.where(radius >= r, labels, cs.ABSTAIN), 4, allowed=allowed
        )
        assert curve.certified_share[point] == pytest.approx(1 - there.abstention)
        assert curve.certified_accuracy[point] == there.certified_accuracy
        assert np.array_equal(curve.certified_iou[point], there.certified_iou)
        assert curve.certified_miou[point] == pytest.approx(there.certified_miou)


@pytest.mark.parametrize("seed", range(10))
def test_never_rises(seed):
    curve = _curve(seed)
    for figures in (curve.certified_share, curve.certified_accuracy, curve.certified_miou):
        assert (np.diff(figures) <= 0).all()
    assert (np.diff(curve.certified_iou, axis=0) <= 0).all()


def test_classes_do_not_change_along_the_curve():
    """A class that is only predicted, and only at small radii, stays in the mean: without it the
    bound would rise with the radius."""
    curve = RadiusCurve.count([0] * 10, [0] * 9 + [1], 3, radius=[0.5] * 9 + [0.1], grid=GRID)
    assert curve.certified_miou.tolist() == pytest.approx([9 / 20] * 6)
    there = cs.Confusion.count([0] * 10, [0] * 9 + [cs.ABSTAIN], 3)
    assert there.certified_miou == pytest.approx(9 / 10)


def test_a_radius_counts_up_to_itself():
    """Negative control: the next smaller float does not reach it."""
    below = np.nextafter(GRID[3], 0)
    for radius, reached in ((GRID[3], 4), (below, 3)):
        curve = RadiusCurve.count([0], [0], 1, radius=radius, grid=GRID)
        assert curve.certified_share.tolist() == [1.0] * reached + [0.0] * (6 - reached)


def test_one_radius_for_all():
    truth, labels, _ = _random(0)
    one = RadiusCurve.count(truth, labels, 4, radius=0.2, grid=GRID)
    many = RadiusCurve.count(truth, labels, 4, radius=np.full(40, 0.2), grid=GRID)
    assert counts_record(one) == counts_record(many)


def test_parts_add_up():
    """Images of different sizes: counts add, shares do not."""
    truth, labels, radius = _random(1)
    parts = [
        RadiusCurve.count(truth[part], labels[part], 4, radius=radius[part], grid=GRID, allowed=1)
        for part in (slice(0, 30), slice(30, 40))
    ]
    assert counts_record(parts[0] + parts[1]) == counts_record(_curve(1, allowed=2))
    mean = (parts[0].certified_accuracy + parts[1].certified_accuracy) / 2
    assert not np.allclose(mean, _curve(1, allowed=2).certified_accuracy)


def test_record_is_json():
    record = json.loads(json.dumps(counts_record(_curve(2, allowed=4)), allow_nan=False))
    assert record["allowed"] == 4
    assert record["radii"] == GRID.tolist()
    assert [np.shape(record[name]) for name in COUNTS] == [(4,), (6, 4), (6, 4), (6, 4)]


def test_nothing_labelled():
    curve = RadiusCurve.count([255, 255], [0, 1], 2, radius=0.1, grid=GRID)
    for figures in (curve.certified_share, curve.certified_accuracy, curve.certified_miou):
        assert np.isnan(figures).all()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"radius": np.zeros(3)}, r"radii of shape \(2, 3\)"),
        ({"radius": -0.1}, "radii >= 0"),
        ({"radius": np.nan}, "radii >= 0"),
        ({"grid": [0.0, 0.2, 0.1]}, "rising"),
        ({"grid": [-0.1, 0.2]}, "rising from 0"),
        ({"grid": []}, "rising"),
        ({"grid": [0.0, np.inf]}, "rising"),
        ({"labels": LABELS[:1]}, "prediction of shape"),
        ({"labels": LABELS + 5}, "labels of the prediction"),
        ({"allowed": -1}, "false certificates >= 0"),
    ],
)
def test_bad_input(options, part):
    given = {"truth": TRUTH, "labels": LABELS, "num_classes": 3, "radius": 0.1, "grid": GRID}
    with pytest.raises(cs.InputError, match=part):
        RadiusCurve.count(**{**given, **options})


def test_curves_that_do_not_add():
    truth, labels, radius = _random(0)
    other_grid = RadiusCurve.count(truth, labels, 4, radius=radius, grid=radius_grid(0.6, 6))
    other_classes = RadiusCurve.count(truth, labels, 5, radius=radius, grid=GRID)
    with pytest.raises(cs.InputError, match="one grid"):
        _curve(0) + other_grid
    with pytest.raises(cs.InputError, match="same classes"):
        _curve(0) + other_classes


@pytest.mark.parametrize(("largest", "points"), [(0.0, 5), (-1.0, 5), (np.inf, 5), (1.0, 1)])
def test_bad_grids(largest, points):
    with pytest.raises(cs.InputError, match="largest radius > 0"):
        radius_grid(largest, points)
