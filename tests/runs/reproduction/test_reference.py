"""False certificates are counted only where further draws leave no doubt."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from certiseg.runs.reproduction.reference import LEVEL, Falsity, falsity, surely_false
from certiseg.votes import ABSTAIN, VoteCounts
from exact import tail

TRIALS = 60


def all_counts() -> tuple[np.ndarray, VoteCounts]:
    """A pixel for each count of hits of label 0, all certified as 0."""
    hits = np.arange(TRIALS + 1)
    votes = VoteCounts(np.stack([hits, TRIALS - hits], axis=-1), TRIALS)
    return np.zeros(TRIALS + 1, dtype=np.int16), votes


@pytest.mark.parametrize("tau", [0.75, 0.95])
def test_surely_is_the_exact_test_of_clopper_and_pearson(tau: float) -> None:
    labels, votes = all_counts()
    found = surely_false(labels, votes, tau)
    level = Fraction(LEVEL) / labels.size
    for count in range(TRIALS + 1):
        # P(Bin(M, tau) <= count), by its complement's upper tail.
        below = tail(TRIALS - count, TRIALS, 1 - Fraction(tau))
        assert found[count] == (below <= level)
    assert 0 < found.sum() < TRIALS


def test_a_share_below_tau_alone_is_not_sure() -> None:
    labels, votes = all_counts()
    estimated = np.arange(TRIALS + 1) / TRIALS < 0.75
    assert np.count_nonzero(surely_false(labels, votes, 0.75)) < np.count_nonzero(estimated)


def test_abstentions_are_not_false() -> None:
    labels, votes = all_counts()
    labels[:] = ABSTAIN
    assert falsity(labels, votes, 0.75) == Falsity(1, TRIALS + 1, 0, 0, 0)


def test_counts_add_up() -> None:
    labels, votes = all_counts()
    one = falsity(labels, votes, 0.75)
    clean = falsity(np.full_like(labels, ABSTAIN), votes, 0.75)
    assert one.with_false == 1
    assert one + clean == Falsity(2, 2 * (TRIALS + 1), TRIALS + 1, one.false, 1)
