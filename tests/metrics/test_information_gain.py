"""Certified information gain: by hand, against plain loops, pooled by addition."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import certiseg as cs
from certiseg.hierarchies import ROOT, Hierarchy
from certiseg.metrics.information_gain import InformationGain
from trees import SMALL, hierarchies

TRUTH = np.array([[0, 0, 0, 1], [2, 2, 255, 255]])
LABELS = np.array([[0, 4, 5, 0], [-1, 5, 2, -1]])
ABC = 1 - log(3) / log(4)


def test_by_hand():
    """Of a: 1, 1/2 for ab, and abc. b was called a. Of c one abstains. d is not there."""
    figures = InformationGain.count(TRUTH, LABELS, SMALL)
    assert figures.gain == pytest.approx([1.5 + ABC, 0, ABC, 0])
    assert figures.labelled.tolist() == [3, 1, 2, 0]
    assert figures.cig == pytest.approx((1.5 + 2 * ABC) / 6)
    assert figures.class_cig == pytest.approx(((1.5 + ABC) / 3 + 0 + ABC / 2) / 3)


def test_a_flat_certificate_gains_its_certified_accuracy():
    flat = np.where(LABELS < 4, LABELS, cs.ABSTAIN)
    figures = InformationGain.count(TRUTH, flat, SMALL)
    assert figures.cig == pytest.approx(cs.Confusion.count(TRUTH, flat, 4).accuracy)


@given(hierarchies(), st.integers(0, 10**6))
def test_equals_plain_loops(hierarchy, seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, hierarchy.num_classes, size=50)
    labels = rng.integers(-1, hierarchy.num_nodes, size=50)
    leaves, classes = hierarchy.leaves(), hierarchy.num_classes
    gains = [
        (log(classes) - log(leaves[v].sum())) / log(classes) if v >= 0 and leaves[v, t] else 0.0
        for t, v in zip(truth, labels, strict=True)
    ]
    figures = InformationGain.count(truth, labels, hierarchy)
    assert figures.cig == pytest.approx(np.mean(gains))
    by_class = [
        np.mean([g for g, t in zip(gains, truth, strict=True) if t == c])
        for c in set(truth.tolist())
    ]
    assert figures.class_cig == pytest.approx(np.mean(by_class))
    assert 0 <= figures.cig <= 1


def test_parts_add_up():
    """Negative control in the last line: the mean of images is another figure."""
    whole = InformationGain.count(TRUTH, LABELS, SMALL)
    top, bottom = (InformationGain.count(TRUTH[i], LABELS[i], SMALL) for i in range(2))
    assert (top + bottom).gain == pytest.approx(whole.gain)
    assert (top + bottom).labelled.tolist() == whole.labelled.tolist()
    assert (top.cig + bottom.cig) / 2 != pytest.approx(whole.cig)


def test_nothing_labelled():
    figures = InformationGain.count(np.full(4, 255), np.zeros(4, int), SMALL)
    assert np.isnan(figures.cig)
    assert np.isnan(figures.class_cig)


@pytest.mark.parametrize(
    ("truth", "labels", "part"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), r"shape \(2, 2\), got \(2, 3\)"),
        (np.array([4]), np.array([0]), r"the truth in \[0, 3\] for small, got \[4, 4\]"),
        (np.array([-1]), np.array([0]), "the truth in"),
        (np.array([0]), np.array([6]), r"a certificate in \[-1, 5\]"),
        (np.array([0]), np.array([-2]), "a certificate in"),
    ],
)
def test_bad_labels(truth, labels, part):
    with pytest.raises(cs.InputError, match=part):
        InformationGain.count(truth, labels, SMALL)


def test_figures_of_different_classes_do_not_add():
    two = Hierarchy("two", ("a", "b"), (), (ROOT, ROOT))
    one = Hierarchy("one", ("a",), (), (ROOT,))
    figures = InformationGain.count([0], [0], two)
    with pytest.raises(cs.InputError, match="over 2 classes, got 4"):
        figures + InformationGain.count([0], [0], SMALL)
    with pytest.raises(cs.InputError, match="at least 2 classes, got one with 1"):
        InformationGain.count([0], [0], one)
