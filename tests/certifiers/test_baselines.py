"""Cohen's CERTIFY and PREDICT, and the paper's baselines JointClass and IndivClass."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import certiseg as cs
from certiseg.stats.binomial import lower_bound
from exact import binomial, multinomial, tail

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
    n, alpha, worst = 30, 0.05, Fraction(0)
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
            worst = max(worst, error)
    assert worst > Fraction(alpha) / 10


GRID = [
    (Fraction(a, 12), Fraction(b, 12), Fraction(12 - a - b, 12))
    for a in range(13)
    for b in range(min(a, 12 - a) + 1)
    if 12 - a - b <= b
]


def _pooled_error(n: int, alpha: float) -> Fraction:
    """Largest P(the radius claimed exceeds the true one) over a grid of three probabilities."""
    claims = {k: float(lower_bound(k, n, alpha)) for k in range(n // 2 + 1, n + 1)}
    worst = Fraction(0)
    for p in GRID:
        error = Fraction(0)
        for counts, weight in multinomial(n, list(p)):
            top = max(range(3), key=lambda c: counts[c])
            bound = claims.get(counts[top], 0.0)
            if bound > 0.5 and bound > p[top]:
                error += weight
        worst = max(worst, error)
    return worst


def test_one_stage_needs_half_the_level():
    """Theory T6 by exact enumeration: alpha / 2 is enough; alpha itself is not (control)."""
    n, alpha = 11, 0.05
    assert 0 < _pooled_error(n, alpha / 2) <= Fraction(alpha)
    assert _pooled_error(n, alpha) > Fraction(alpha)
    cert = cs.classify(_two(11, 11), noise=NOISE, alpha=alpha)
    assert cert.selection == "pooled"
    assert cert.radius == NOISE.radius(float(lower_bound(11, 11, alpha / 2)))
    assert "pooled, T6" in cert.statement()
    cs.verify(cert)


def test_the_same_votes_twice_are_refused():
    """Negative control of T2: certified on its own selection draws, p = 1/2 errs above alpha."""
    n, alpha = 100, 0.05
    passing = [
        k for k in range(n + 1) if float(lower_bound(max(k, n - k), n, alpha)) > 0.5
    ]  # the mode as candidate and as test
    assert sum(binomial(n, HALF)[k] for k in passing) > Fraction(alpha)
    votes = _two(99, 100)
    for again in (votes, cs.VoteCounts(votes.counts, 100)):
        with pytest.raises(cs.InputError, match="same votes twice"):
            cs.classify(votes, noise=NOISE, selection_votes=again)


HALF = Fraction(1, 2)


def test_predict():
    votes = cs.VoteCounts(np.array([[95, 5, 0], [52, 48, 0], [0, 0, 100]]), 100)
    assert cs.predict(votes, alpha=1e-3).tolist() == [0, cs.ABSTAIN, 2]


def test_predict_error_is_at_most_alpha():
    """Exact for two labels: P(the label returned is not the majority)."""
    n, alpha = 21, 0.05
    for p in (Fraction(1, 2) - Fraction(1, 10**9), Fraction(1, 4)):
        error = _predict_error(n, p, lambda hits: int(cs.predict(_two(hits, n), alpha=alpha)))
        assert error <= Fraction(alpha)
    # At p = 1/2 every label returned is wrong, so both sides of the test count: 0.027 here.
    either = sum(
        weight
        for hits, weight in enumerate(binomial(n, Fraction(1, 2)))
        if int(cs.predict(_two(hits, n), alpha=alpha)) != cs.ABSTAIN
    )
    assert Fraction(alpha) / 10 < either <= Fraction(alpha)


def _predict_error(n: int, p: Fraction, label_of) -> Fraction:
    """P(label 0 is returned though its probability p is below 1/2)."""
    return sum(
        (weight for hits, weight in enumerate(binomial(n, p)) if label_of(hits) == 0), Fraction(0)
    )


def test_predict_spends_alpha_over_all_components():
    """p-value of 70 against 30: 7.9e-5. It passes 1e-3 alone and not among twenty."""
    one = np.array([[70, 30, 0]])
    assert cs.predict(cs.VoteCounts(one, 100), alpha=1e-3).tolist() == [0]
    many = cs.predict(cs.VoteCounts(np.repeat(one, 20, axis=0), 100), alpha=1e-3)
    assert set(many.tolist()) == {cs.ABSTAIN}


def test_predict_is_two_sided():
    """66 against 34: one-sided 8.9e-4, two-sided 1.8e-3, so alpha = 1e-3 is not enough."""
    assert cs.predict(cs.VoteCounts(np.array([[66, 34]]), 100), alpha=1e-3).tolist() == [-1]
    assert cs.predict(cs.VoteCounts(np.array([[66, 34]]), 100), alpha=2e-3).tolist() == [0]


def test_individual_takes_the_worst_component():
    counts = np.array([[100, 0], [0, 100], [97, 3]])
    cert = cs.individual(
        cs.VoteCounts(counts, 100),
        noise=NOISE,
        alpha=1e-3,
        selection_votes=cs.VoteCounts(counts.copy(), 100),
    )
    assert cert.labels.tolist() == [0, 1, 0]
    assert cert.radius == NOISE.radius(float(lower_bound(97, 100, 1e-3 / 3)))


def test_one_bad_component_stops_individual():
    counts = np.array([[100, 0], [50, 50]])
    cert = cs.individual(
        cs.VoteCounts(counts, 100),
        noise=NOISE,
        alpha=1e-3,
        selection_votes=cs.VoteCounts(counts.copy(), 100),
    )
    assert cert.labels.tolist() == [-1, -1]
    assert cert.radius == 0.0


def test_joint_counts_whole_outputs():
    labels = np.array([[0, 1], [2, 0]])
    cert = cs.joint(_two(98, 100), candidates=labels, noise=NOISE, alpha=1e-3)
    assert np.array_equal(cert.labels, labels)
    assert cert.radius == NOISE.radius(float(lower_bound(98, 100, 1e-3)))
    cert = cs.joint(_two(50, 100), candidates=labels, noise=NOISE, alpha=1e-3)
    assert np.all(cert.labels == cs.ABSTAIN)


@pytest.mark.parametrize("candidates", [[1, -1], [1.7, 2.2], [True, False], [2**40, 0], []])
def test_joint_refuses_what_is_no_label_map(candidates):
    with pytest.raises(cs.InputError, match="candidates that are"):
        cs.joint(_two(98, 100), candidates=candidates, noise=NOISE)


def test_joint_refuses_votes_per_component():
    with pytest.raises(cs.InputError, match="shape"):
        cs.joint(cs.VoteCounts(np.array([[9, 1], [1, 9]]), 10), candidates=[0, 1], noise=NOISE)
