"""Cohen's CERTIFY and PREDICT, and the paper's baselines JointClass and IndivClass."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import certiseg as cs
from certiseg.stats import lower_bound
from exact import binomial, tail

NOISE = cs.Gaussian(0.5)


def _two(hits: int, trials: int) -> cs.VoteCounts:
    return cs.VoteCounts(np.array([hits, trials - hits]), trials)


def test_certify_of_cohen():
    """99 of 100 votes at alpha = 0.001: the radius solves tail(99, 100, p) = alpha exactly."""
    cert = cs.classify(_two(99, 100), noise=NOISE, alpha=1e-3, selection_votes=_two(10, 10))
    bound = float(lower_bound(99, 100, 1e-3))
    assert tail(99, 100, bound) <= Fraction(1e-3)
    assert cert.labels.item() == 0
    assert cert.radius == NOISE.radius(bound)


def test_certify_abstains_at_one_half():
    cert = cs.classify(_two(55, 100), noise=NOISE, alpha=1e-3, selection_votes=_two(10, 10))
    assert cert.labels.item() == cs.ABSTAIN
    assert cert.radius == 0.0


def test_certify_takes_one_component():
    many = cs.VoteCounts(np.array([[9, 1], [1, 9]]), 10)
    with pytest.raises(cs.InputError, match="one component, got 2"):
        cs.classify(many, noise=NOISE, selection_votes=many)


def test_certify_error_is_at_most_alpha():
    """Exact: P(radius claimed > true radius) over all outcomes, candidate right or wrong."""
    n, alpha = 30, 0.05
    for p in (Fraction(1, 2), Fraction(6, 10), Fraction(9, 10)):
        for candidate in (0, 1):
            true = p if candidate == 0 else 1 - p
            chooser = _two(10 * (1 - candidate), 10)
            error = Fraction(0)
            for hits, weight in enumerate(binomial(n, p)):
                cert = cs.classify(_two(hits, n), noise=NOISE, alpha=alpha, selection_votes=chooser)
                claimed = cert.labels.item() != cs.ABSTAIN
                if claimed and (true <= HALF or cert.radius > NOISE.radius(float(true))):
                    error += weight
            assert error <= Fraction(alpha)


HALF = Fraction(1, 2)


def test_predict():
    votes = cs.VoteCounts(np.array([[95, 5, 0], [52, 48, 0], [0, 0, 100]]), 100)
    assert cs.predict(votes, alpha=1e-3).tolist() == [0, cs.ABSTAIN, 2]


def test_predict_error_is_at_most_alpha():
    """Exact for two labels: P(the label returned is not the majority)."""
    n, alpha = 21, 0.05
    for p in (Fraction(1, 2) - Fraction(1, 100), Fraction(1, 2), Fraction(1, 4)):
        error = sum(
            weight
            for hits, weight in enumerate(binomial(n, p))
            if int(cs.predict(_two(hits, n), alpha=alpha)) == 0
        )
        assert error <= Fraction(alpha)


def test_individual_takes_the_worst_component():
    counts = np.array([[100, 0], [0, 100], [97, 3]])
    cert = cs.individual(
        cs.VoteCounts(counts, 100),
        noise=NOISE,
        alpha=1e-3,
        selection_votes=cs.VoteCounts(counts, 100),
    )
    assert cert.labels.tolist() == [0, 1, 0]
    assert cert.radius == NOISE.radius(float(lower_bound(97, 100, 1e-3 / 3)))


def test_one_bad_component_stops_individual():
    counts = np.array([[100, 0], [50, 50]])
    votes = cs.VoteCounts(counts, 100)
    cert = cs.individual(votes, noise=NOISE, alpha=1e-3, selection_votes=votes)
    assert cert.labels.tolist() == [-1, -1]
    assert cert.radius == 0.0


def test_joint_counts_whole_outputs():
    labels = np.array([[0, 1], [2, 0]])
    cert = cs.joint(_two(98, 100), candidates=labels, noise=NOISE, alpha=1e-3)
    assert np.array_equal(cert.labels, labels)
    assert cert.radius == NOISE.radius(float(lower_bound(98, 100, 1e-3)))
    cert = cs.joint(_two(50, 100), candidates=labels, noise=NOISE, alpha=1e-3)
    assert np.all(cert.labels == cs.ABSTAIN)


def test_joint_refuses_votes_per_component():
    with pytest.raises(cs.InputError, match="shape"):
        cs.joint(cs.VoteCounts(np.array([[9, 1], [1, 9]]), 10), candidates=[0, 1], noise=NOISE)
