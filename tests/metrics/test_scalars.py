"""One number a draw: by hand, and the same as pooled figures of that draw alone."""

from __future__ import annotations

import numpy as np
import pytest

import certiseg as cs
from certiseg.metrics.scalars import accuracy, class_area, mean_iou

TRUTH = np.array([[0, 0, 1], [1, 2, 255]])
DRAWS = np.array([[[0, 0, 1], [1, 2, 0]], [[0, 1, 1], [4, 4, 4]]])


def test_by_hand():
    """Draw 2: class 0 has 1 of 2, class 1 has 1 of 2 and one false, class 2 has none."""
    assert accuracy(DRAWS, TRUTH).tolist() == pytest.approx([1, 2 / 5])
    assert mean_iou(DRAWS, TRUTH).tolist() == pytest.approx([1, (1 / 2 + 1 / 3 + 0) / 3])
    assert class_area(DRAWS, 4).tolist() == pytest.approx([0, 3 / 6])
    assert class_area(DRAWS, 0).tolist() == pytest.approx([3 / 6, 1 / 6])


def test_a_draw_alone_is_what_confusion_counts():
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 3, 255], (9, 11)).astype(np.uint8)
    draws = rng.integers(0, 6, (8, 9, 11))
    for labels, share, iou in zip(
        draws, accuracy(draws, truth), mean_iou(draws, truth), strict=True
    ):
        pooled = cs.Confusion.count(truth, labels, 6)
        assert share == pytest.approx(pooled.accuracy)
        assert iou == pytest.approx(pooled.iou[[0, 1, 3]].mean())


def test_the_classes_are_those_of_the_truth():
    """Negative control: a class that only the draw has would change the mean between draws."""
    truth, draws = np.zeros(10, int), np.array([[0] * 9 + [1]])
    assert mean_iou(draws, truth).tolist() == [0.9]
    assert cs.Confusion.count(truth, draws[0], 2).miou == pytest.approx(0.45)


def test_one_component_and_one_draw():
    assert accuracy([[1]], [1]).tolist() == [1.0]
    assert mean_iou([[1]], [0]).tolist() == [0.0]


@pytest.mark.parametrize("figure", [accuracy, mean_iou])
@pytest.mark.parametrize(
    ("labels", "truth", "part"),
    [
        (DRAWS[:, :1], TRUTH, r"shape \(B, 2, 3\), got \(2, 1, 3\)"),
        (DRAWS[0], TRUTH, "same image"),
        (DRAWS - 1, TRUTH, "labels >= 0"),
        (DRAWS.astype(float), TRUTH, "label maps"),
        (DRAWS[:0], TRUTH, "label maps"),
        (DRAWS, np.full_like(TRUTH, 255), "labelled components"),
        (DRAWS, TRUTH - 1, "labels of the truth >= 0"),
    ],
)
def test_bad_input(figure, labels, truth, part):
    with pytest.raises(cs.InputError, match=part):
        figure(labels, truth)
