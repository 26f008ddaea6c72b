"""Generated clouds: labels and normals exact, deterministic, splits apart, categories even."""

from __future__ import annotations

import numpy as np
import pytest

from certiseg.datasets.solids import SIZES, build, category_of, solids
from certiseg.datasets.subset import subsample
from certiseg.datasets.synthetic.placement import box, exposed
from certiseg.errors import InputError

CARD = solids("val").card
CATEGORIES = tuple(CARD.parts)


def _owners_wrong(pieces, points, normals, owner):
    """Points below which there is not just their own piece, or above which there is any."""
    lift = 1e-8 * normals
    below = np.stack([piece.inside(points - lift) for piece in pieces])
    above = np.stack([piece.inside(points + lift) for piece in pieces])
    own = np.arange(len(pieces))[:, None] == owner
    return int(((below != own).any(axis=0) | above.any(axis=0)).sum())


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_point_lies_on_its_own_piece_and_inside_of_none(category):
    """So its label is exact, its normal points outward, and no two pieces share a face."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        pieces = build(category, rng)
        assert _owners_wrong(pieces, *exposed(pieces, 1000, rng)) == 0


def test_shared_faces_buried_points_and_wrong_labels_are_caught():
    """Negative controls."""
    rng = np.random.default_rng(0)
    flush = [box(0, (0, 0, 0), (1, 1, 1)), box(1, (0, 0.75, 0), (1, 1, 1))]
    assert _owners_wrong(flush, *exposed(flush, 1000, rng)) > 50
    pieces = [box(0, (0, 0, 0), (1, 1, 1)), box(1, (0, 0.75, 0), (0.5, 1, 0.5))]
    points, normals, owner = exposed(pieces, 1000, rng)
    assert _owners_wrong(pieces, points, normals, owner) == 0
    assert _owners_wrong(pieces, points, normals, 1 - owner) == 1000
    assert _owners_wrong(pieces, points, -normals, owner) > 900
    everywhere = np.concatenate([piece.sample(500, rng)[0] for piece in pieces])
    along = np.concatenate([piece.sample(500, rng)[1] for piece in pieces])
    assert _owners_wrong(pieces, everywhere, along, np.repeat((0, 1), 500)) > 50


def test_clouds_keep_their_card():
    for sample in (solids("test", points=512)[i] for i in range(25)):
        assert sample.x.shape == (6, 512)
        assert sample.x.dtype == np.float32
        assert sample.labels.shape == (512,)
        assert sample.labels.dtype == np.uint8
        assert set(np.unique(sample.labels)) <= set(CARD.parts[sample.category])
        points, normals = sample.x[:3].astype(float), sample.x[3:].astype(float)
        assert np.abs(points.mean(axis=1)).max() < 1e-6
        assert np.linalg.norm(points, axis=0).max() == pytest.approx(1, abs=1e-6)
        assert np.linalg.norm(normals, axis=0) == pytest.approx(np.ones(512), abs=1e-6)


def test_every_part_occurs():
    seen = np.concatenate([np.unique(solids("train")[i].labels) for i in range(50)])
    assert set(seen) == set(range(CARD.num_classes))
    flat = [label for labels in CARD.parts.values() for label in labels]
    assert flat == list(range(16)) == list(range(CARD.num_classes))
    for category, labels in CARD.parts.items():
        assert all(CARD.classes[label].startswith(category.lower()) for label in labels)
        assert len({CARD.palette[label] for label in labels}) == len(labels)


def test_a_cloud_is_a_function_of_split_index_and_seed():
    one, other = solids("train", points=100)[7], solids("train", points=100, count=8)[7]
    assert one.name == other.name == "solids-train-00007"
    assert np.array_equal(one.x, other.x)
    assert np.array_equal(one.labels, other.labels)
    without = solids("train", points=100, normals=False)[7]
    assert np.array_equal(without.x, one.x[:3])
    assert not np.array_equal(solids("train", points=100, seed=1)[7].x, one.x)


def test_no_two_clouds_are_equal_across_splits_and_seeds():
    clouds = [
        solids(split, points=64, seed=seed)[i].x.tobytes()
        for split in SIZES
        for seed in (0, 1, 2**32)
        for i in range(10)
    ]
    assert len(set(clouds)) == len(clouds)


def test_each_five_hold_all_categories():
    for start in range(0, 500, 5):
        assert {category_of(i) for i in range(start, start + 5)} == set(CATEGORIES)


def test_no_stride_favours_a_category():
    """For index % 5, a stride of 5, 10, ... would meet one category only."""
    for stride in range(1, 131):
        met = [category_of(i) for i in range(0, 200 * stride, stride)]
        assert max(abs(met.count(category) - 40) for category in CATEGORIES) < 25, stride
    thinned = subsample(solids("test"), 20)
    assert {category_of(i) for i in thinned.indices} == set(CATEGORIES)


def test_bad_requests():
    for wrong, words in (
        ({"split": "demo"}, "expected a split of solids among train, val, test, got 'demo'"),
        ({"split": "val", "points": 10}, "points of at least 64, got 10"),
        ({"split": "val", "count": 0}, "clouds of at least 1, got 0"),
        ({"split": "val", "seed": -1}, "seed of at least 0, got -1"),
    ):
        with pytest.raises(InputError, match=words):
            solids(**wrong)
    with pytest.raises(IndexError):
        solids("val", count=3)[3]
