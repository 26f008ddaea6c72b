"""Error budgets (theory T5): P(at least k false certificates) <= alpha, summed exactly."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

import certiseg as cs
from certiseg.certifiers import segcertify
from certiseg.certifiers.segcertify import checked_budget
from certiseg.stats.multiple_testing import step_down_cutoff
from certiseg.stats.pvalues import min_trials
from exact import coupled_votes, independent_votes
from some_votes import random_votes

NOISE = cs.Gaussian(0.25)


@cache
def _certified(hits: tuple[int, ...], trials: int, **options) -> list[int]:
    counts = np.array([[k, trials - k] for k in hits])
    return cs.certify(cs.VoteCounts(counts, trials), noise=NOISE, **options).labels.tolist()


def _error(outcomes, trials, favoured, tau, budget, certify) -> Fraction:
    """P(at least ``budget`` certified labels have probability <= tau)."""
    wrong = [{0: p <= tau, 1: 1 - p <= tau, cs.ABSTAIN: False} for p in favoured]
    return sum(
        (
            weight
            for hits, weight in outcomes(trials, favoured)
            if sum(bad[label] for bad, label in zip(wrong, certify(hits), strict=True)) >= budget
        ),
        Fraction(0),
    )


def _worst(outcomes, trials, tau, budget, certify, components=3) -> Fraction:
    level = Fraction(tau)
    grid = sorted({1 - level, level, level + Fraction(1, 100), Fraction(9, 10), Fraction(1)})
    return max(
        _error(outcomes, trials, list(favoured), tau, budget, certify)
        for favoured in combinations_with_replacement(grid, components)
    )


@pytest.mark.parametrize("outcomes", [independent_votes, coupled_votes])
@pytest.mark.parametrize("correction", ["k-fwer", "k-fwer-single"])
@pytest.mark.parametrize(("tau", "trials", "alpha"), [(0.5, 7, 0.1), (0.75, 10, 0.3)])
def test_at_least_k_errors_have_probability_at_most_alpha(outcomes, correction, tau, trials, alpha):
    def certify(hits):
        return _certified(hits, trials, tau=tau, alpha=alpha, correction=correction, budget=2)

    assert 0 < _worst(outcomes, trials, tau, 2, certify) <= Fraction(alpha)


def test_a_budget_read_as_fewer_errors_is_caught():
    """Negative control: the budget's cutoffs do not keep one error below alpha."""
    trials, alpha = 7, 0.03

    def certify(hits):
        return _certified(hits, trials, tau=0.5, alpha=alpha, correction="k-fwer", budget=2)

    assert _worst(independent_votes, trials, 0.5, 1, certify) > Fraction(alpha)


def test_step_down_without_the_stray_term_is_caught(monkeypatch):
    """Negative control: a wrong label at a component that has a dominating one, not counted."""
    trials, alpha = 7, 0.07
    monkeypatch.setattr(segcertify, "wrong_label_tail", lambda n, tau: np.zeros(n + 1))

    def broken(hits):
        return _certified(hits, trials, tau=0.5, alpha=alpha, correction="k-fwer", budget=2)

    _certified.cache_clear()
    assert _worst(coupled_votes, trials, 0.5, 2, broken, components=2) > Fraction(alpha)
    _certified.cache_clear()


# Two true nulls, coupled so that one has p = 1/30 while the other has p = 1/10, by turns; one
# false null with p = 0. Each p-value alone is valid: P(p <= 1/30) = 1/30, P(p <= 1/10) = 2/30.
_TABLE = [1.0, 1 / 10, 1 / 30, 0.0]
_OUTCOMES = [
    ((3, 2, 1), Fraction(1, 30)),
    ((3, 1, 2), Fraction(1, 30)),
    ((3, 0, 0), 1 - Fraction(1, 15)),
]


def _two_false(cutoff) -> Fraction:
    error = Fraction(0)
    for counts, weight in _OUTCOMES:
        k = cutoff(np.bincount(counts, minlength=4), _TABLE)
        error += weight * (sum(count >= k for count in counts[1:]) >= 2)
    return error


def test_the_constants_of_lehmann_and_romano():
    """N = 3, k = 2, alpha = 0.05 (theory T5); with N + 1 - i the error would be 1/15 > alpha."""

    def wrong(histogram, table):
        # N + 1 - i: r components certified leave N - r, budget or not.
        return step_down_cutoff(histogram, table, 2 * 0.05)

    def right(histogram, table):
        return step_down_cutoff(histogram, table, 0.05, budget=2)

    assert _two_false(right) <= Fraction(1, 20)
    assert _two_false(wrong) == Fraction(1, 15)


@st.composite
def _counts(draw):
    trials = draw(st.integers(1, 12))
    hits = draw(st.lists(st.integers(0, trials), min_size=1, max_size=40))
    steps = draw(st.lists(st.floats(0, 1), min_size=trials + 1, max_size=trials + 1))
    return np.array(hits), np.sort(np.array(steps) ** 4)[::-1]


@given(_counts(), st.floats(0.001, 0.5), st.integers(1, 8))
def test_histogram_equals_the_textbook(case, alpha, budget):
    """Lehmann & Romano 2005: sort, compare with k alpha / N, then k alpha / (N + k - i)."""
    hits, table = case
    budget = min(budget, len(hits))
    p, total = np.sort(table[hits]), len(hits)
    rejected = 0
    for i in range(1, total + 1):
        left = total if i <= budget else total + budget - i
        if p[i - 1] * left > budget * alpha:
            break
        rejected = i
    cutoff = step_down_cutoff(np.bincount(hits, minlength=len(table)), table, alpha, budget=budget)
    # The textbook stops inside a tie group only where its first member already failed.
    assert int((hits >= cutoff).sum()) == rejected


@given(random_votes(), st.sampled_from([0.5, 0.75]), st.integers(1, 60))
def test_a_budget_certifies_a_superset_of_holm(votes, tau, budget):
    options = {"noise": NOISE, "tau": tau, "alpha": 0.01}
    k = min(budget, votes.num_components)
    holm = cs.certify(votes, correction="holm", **options)
    single = cs.certify(votes, correction="k-fwer-single", budget=k, **options)
    stepped = cs.certify(votes, correction="k-fwer", budget=k, **options)
    assert np.all(stepped.certified >= holm.certified)
    assert np.all(stepped.certified >= single.certified)
    if k == 1:
        assert np.array_equal(stepped.labels, holm.labels)
    assert (stepped.budget, stepped.allowed_errors) == (k, k - 1)


@pytest.mark.slow
@pytest.mark.parametrize("correction", ["k-fwer", "k-fwer-single"])
def test_calibration_at_the_least_favourable_null(correction):
    """100 000 images of 10 pixels at p = tau that share their draws two by two, n = 60, k = 2.

    Pairs of equal pixels make two false certificates as likely as one. One-sided binomial test,
    false alarm 1e-6; an error of 0.055 would be seen with probability > 1 - 1e-6.
    """
    tau, alpha, trials, images, budget = 0.75, 0.05, 60, 100_000, 2
    pairs = np.random.default_rng(20260102).binomial(trials, tau, size=(images, 5))
    hits = np.repeat(pairs, 2, axis=1)
    distinct, times = np.unique(np.sort(hits, axis=1), axis=0, return_counts=True)
    top, options = distinct.max(axis=1), {"correction": correction, "budget": budget}
    lowest = min(k for k in range(trials + 1) if _passes_alone(k, trials, tau, alpha, options))
    wrong = sum(
        int(count)
        for row, count in zip(distinct[top >= lowest], times[top >= lowest], strict=True)
        if _false(_certified(tuple(row.tolist()), trials, tau=tau, alpha=alpha, **options))
        >= budget
    )
    assert wrong > 0
    assert binomtest(wrong, images, alpha, alternative="greater").pvalue > 1e-6
    # Negative control: a cutoff one count lower is seen to exceed alpha.
    too_many = int((hits.max(axis=1) >= lowest - 1).sum())
    assert binomtest(too_many, images, alpha, alternative="greater").pvalue < 1e-6


def _passes_alone(k, trials, tau, alpha, options) -> bool:
    """Whether count k is certified as the highest of 10."""
    row = (k, *[0] * 9) if k < trials else (k, *[trials // 2] * 9)
    return _certified(row, trials, tau=tau, alpha=alpha, **options)[0] == 0


def _false(labels) -> int:
    return sum(label != cs.ABSTAIN for label in labels)


def test_fractions_and_bounds():
    assert checked_budget(None, 100) == 1
    assert checked_budget(0.001, 2_097_152) == 2097
    assert checked_budget(0.001, 100) == 1
    assert checked_budget(np.int64(5), 5) == 5


@pytest.mark.parametrize("budget", [0, -1, 101, 1.0, 0.0, 1.5, True, "2", float("nan")])
def test_bad_budgets(budget):
    votes = cs.VoteCounts(np.full((100, 1), 100), 100)
    with pytest.raises(cs.InputError, match=r"budget .* \[1, \w"):
        cs.certify(votes, noise=NOISE, correction="k-fwer", budget=budget)


@pytest.mark.parametrize(("correction", "budget"), [("holm", 2), ("k-fwer", None)])
def test_a_budget_belongs_to_its_corrections(correction, budget):
    votes = cs.VoteCounts(np.full((100, 1), 100), 100)
    with pytest.raises(cs.InputError, match="a budget with the k-fwer corrections and only"):
        cs.certify(votes, noise=NOISE, correction=correction, budget=budget)


def test_n_min_falls_with_the_budget():
    assert min_trials(2_097_152, 0.75, 1e-3) == 75
    assert min_trials(2_097_152, 0.75, 1e-3, budget=2097) == 49
    few = cs.VoteCounts(np.full((1000, 1), 44), 44)
    with pytest.raises(cs.InputError, match="at least 49 draws"):
        cs.certify(few, noise=NOISE)
    cert = cs.certify(few, noise=NOISE, correction="k-fwer", budget=5)
    assert cert.abstention == 0.0
