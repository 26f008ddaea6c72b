"""Confusion counts with abstentions: by hand, and pooled by addition."""

from __future__ import annotations

import numpy as np
import pytest

import certiseg as cs

TRUTH = np.array([[0, 0, 1, 1], [2, 2, 255, 255]])
GIVEN = np.array([[0, -1, 1, 0], [2, -1, -1, 1]])


def test_by_hand():
    """Class 0: 1 right of 2, one false from class 1: 1/3. Class 1: 1/2. Class 2: 1/2."""
    c = cs.Confusion.count(TRUTH, GIVEN, 3)
    assert c.accuracy == pytest.approx(3 / 6)
    assert c.iou.tolist() == pytest.approx([1 / 3, 1 / 2, 1 / 2])
    assert c.miou == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    assert c.abstention == pytest.approx(2 / 6)
    assert c.abstention_all == pytest.approx(3 / 8)
    assert c.labelled == 6


def test_parts_add_up():
    whole = cs.Confusion.count(TRUTH, GIVEN, 3)
    parts = cs.Confusion.count(TRUTH[:1], GIVEN[:1], 3) + cs.Confusion.count(
        TRUTH[1:], GIVEN[1:], 3
    )
    assert np.array_equal(whole.counts, parts.counts)
    assert whole.abstention_all == parts.abstention_all


def test_absent_class_is_not_a_zero():
    c = cs.Confusion.count(np.zeros((2, 2), int), np.zeros((2, 2), int), 5)
    assert np.isnan(c.iou[1:]).all()
    assert c.miou == 1.0


def test_mean_of_pooled_counts_is_not_the_mean_of_images():
    """Negative control: two images of different size."""
    a = cs.Confusion.count(np.zeros(10, int), np.zeros(10, int), 2)
    b = cs.Confusion.count(np.zeros(2, int), np.ones(2, int), 2)
    assert (a + b).accuracy == pytest.approx(10 / 12)
    assert (a + b).accuracy != pytest.approx((a.accuracy + b.accuracy) / 2)


def test_nothing_labelled():
    c = cs.Confusion.count(np.full(4, 255), np.zeros(4, int), 2)
    assert np.isnan(c.accuracy)
    assert np.isnan(c.miou)
    assert c.abstention_all == 0.0


@pytest.mark.parametrize(
    ("truth", "given", "part"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), "shape"),
        (np.array([7]), np.array([0]), r"truth in \[0, 2\], got \[7, 7\]"),
        (np.array([0]), np.array([-2]), r"prediction in \[-1, 2\]"),
        (np.array([0]), np.array([3]), "prediction"),
    ],
)
def test_bad_labels(truth, given, part):
    with pytest.raises(cs.InputError, match=part):
        cs.Confusion.count(truth, given, 3)
