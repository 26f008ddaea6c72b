"""Bonferroni and Holm on p-values and on a histogram of counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certiseg.stats.multiple_testing import bonferroni_cutoff, step_down_cutoff


def bonferroni(pvalues, alpha):
    """Reject where ``p <= alpha / N``. Family-wise error <= alpha under any dependence.

    pvalues: float64, any shape; N is their number. Returns bool of that shape.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    return np.asarray(p * p.size <= alpha)


def holm(pvalues, alpha):
    """Holm's step-down test. Family-wise error <= alpha under any dependence.

    The i-th smallest p-value (from i = 1) is rejected when ``p_(j) <= alpha / (N - j + 1)`` for
    every j <= i. Rejects at least what Bonferroni rejects.
    pvalues: float64, any shape. Returns bool of that shape. Source: Holm 1979.
    """
    p = np.asarray(pvalues, dtype=np.float64)
    order = np.argsort(p, axis=None, kind="stable")
    passed = p.ravel()[order] * np.arange(p.size, 0, -1) <= alpha
    rejected = np.zeros(p.size, dtype=bool)
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected.reshape(p.shape)


def test_holm_by_hand():
    """Holm 1979, worked by hand: 0.01 <= 0.05/4, 0.015 <= 0.05/3, 0.03 > 0.05/2: two rejected."""
    p = np.array([0.03, 0.01, 0.2, 0.015])
    assert holm(p, 0.05).tolist() == [False, True, False, True]
    assert bonferroni(p, 0.05).tolist() == [False, True, False, False]


def test_holm_stops_at_the_first_failure():
    """A later p-value under its own threshold must not be rejected."""
    assert holm(np.array([0.02, 0.024]), 0.03).tolist() == [False, False]


def test_shapes_are_kept():
    p = np.full((3, 4), 1e-9)
    assert holm(p, 0.05).shape == bonferroni(p, 0.05).shape == (3, 4)


@st.composite
def _counts(draw):
    trials = draw(st.integers(1, 12))
    hits = draw(st.lists(st.integers(0, trials), min_size=1, max_size=40))
    steps = draw(st.lists(st.floats(0, 1), min_size=trials + 1, max_size=trials + 1))
    return np.array(hits), np.sort(np.array(steps) ** 4)[::-1]


@given(_counts(), st.floats(0.001, 0.5))
def test_histogram_equals_pvalues(case, alpha):
    """The cutoff rejects what sorting all p-values rejects, ties included."""
    hits, table = case
    histogram = np.bincount(hits, minlength=len(table))
    assert np.array_equal(
        hits >= step_down_cutoff(histogram, table, alpha), holm(table[hits], alpha)
    )
    assert np.array_equal(
        hits >= bonferroni_cutoff(histogram, table, alpha), bonferroni(table[hits], alpha)
    )


@given(_counts(), st.floats(0.001, 0.5))
def test_holm_rejects_a_superset(case, alpha):
    hits, table = case
    p = table[hits]
    assert np.all(holm(p, alpha) >= bonferroni(p, alpha))


@given(_counts(), st.floats(0.001, 0.5), st.integers(0, 10**6))
def test_cutoff_with_wrong_labels_everywhere(case, alpha, seed):
    """Theory T4: (N - r) p(k) + N e(k) <= alpha, from the highest count down, by plain loops."""
    hits, table = case
    everywhere = table * np.random.default_rng(seed).uniform(0, 0.3)
    certified, total = np.zeros(len(hits), dtype=bool), len(hits)
    for k in sorted(set(hits.tolist()), reverse=True):
        higher = int((hits > k).sum())
        if (total - higher) * table[k] + total * everywhere[k] > alpha:
            break
        certified |= hits == k
    histogram = np.bincount(hits, minlength=len(table))
    cutoff = step_down_cutoff(histogram, table, alpha, everywhere=everywhere)
    assert np.array_equal(hits >= cutoff, certified)


def test_nan_certifies_nothing():
    assert step_down_cutoff([0, 0, 5], [np.nan, np.nan, np.nan], 0.05) == 3


@pytest.mark.parametrize("cutoff", [bonferroni_cutoff, step_down_cutoff])
def test_nothing_rejected(cutoff):
    assert cutoff([5, 0, 0], [1.0, 1.0, 0.9], 0.05) == 3
