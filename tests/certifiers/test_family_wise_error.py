"""Family-wise error of SegCertify, summed exactly over all outcomes (theory T2, T3, T4)."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import pytest
from scipy.stats import binomtest

import certiseg as cs
from certiseg.certifiers import segcertify
from certiseg.stats.pvalues import dominant_tail, min_trials, pooled_pvalues
from exact import coupled_votes, independent_votes

NOISE = cs.Gaussian(0.25)
HALF = Fraction(1, 2)


@cache
def _certified(hits: tuple[int, ...], trials: int, **options) -> list[int]:
    counts = np.array([[k, trials - k] for k in hits])
    return cs.certify(cs.VoteCounts(counts, trials), noise=NOISE, **options).labels.tolist()


def _error(outcomes, trials: int, favoured: list[Fraction], tau: float, certify) -> Fraction:
    """P(some certified label has probability <= tau)."""
    # label -> whether certifying it would be an error, per component
    wrong = [{0: p <= tau, 1: 1 - p <= tau, cs.ABSTAIN: False} for p in favoured]
    return sum(
        (
            weight
            for hits, weight in outcomes(trials, favoured)
            if any(bad[label] for bad, label in zip(wrong, certify(hits, trials), strict=True))
        ),
        Fraction(0),
    )


def _worst(outcomes, trials, tau, alpha, certify, components=3, grid=None) -> Fraction:
    """Largest family-wise error over a grid of true probabilities, null and non-null mixed."""
    level = Fraction(tau)
    grid = grid or [1 - level, level, level + Fraction(1, 100), Fraction(9, 10), Fraction(1)]
    return max(
        _error(outcomes, trials, list(favoured), tau, certify)
        for favoured in combinations_with_replacement(sorted(set(grid)), components)
    )


@pytest.mark.parametrize("outcomes", [independent_votes, coupled_votes])
@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
@pytest.mark.parametrize(("tau", "trials", "alpha"), [(0.5, 7, 0.1), (0.75, 10, 0.4)])
def test_family_wise_error_is_at_most_alpha(outcomes, correction, tau, trials, alpha):
    def certify(hits, n):
        return _certified(hits, n, tau=tau, alpha=alpha, correction=correction)

    worst = _worst(outcomes, trials, tau, alpha, certify)
    assert 0 < worst <= Fraction(alpha)


def _one_component(hits, trials, *, level, table):
    """Certify the mode of one component where the given p-value passes."""
    return [
        (0 if 2 * k >= trials else 1) if table[max(k, trials - k)] <= level else cs.ABSTAIN
        for k in hits
    ]


def test_candidate_from_the_test_draws_is_caught():
    """Negative control: the split p-value h(k, n, tau) with candidates from the same draws."""
    trials, alpha = 7, 0.08
    table = dominant_tail(trials, 0.5)

    def broken(hits, n):
        return _one_component(hits, n, level=alpha, table=table)

    worst = _worst(independent_votes, trials, 0.5, alpha, broken, components=1, grid=[HALF])
    assert worst > Fraction(alpha)


def test_holm_without_the_stray_term_is_caught(monkeypatch):
    """Negative control: Holm that forgets wrong labels chosen by the test draws (T4)."""
    monkeypatch.setattr(segcertify, "wrong_label_tail", lambda n, tau: np.zeros(n + 1))
    trials, alpha = 10, 0.025

    def broken(hits, n):
        return _certified(hits, n, tau=0.5, alpha=alpha, correction="holm")

    worst = _worst(independent_votes, trials, 0.5, alpha, broken, components=2, grid=[HALF])
    assert worst > Fraction(alpha)


def test_no_correction_is_caught():
    """Negative control: alpha for every component instead of for all."""
    trials, alpha = 10, 0.15
    table = dominant_tail(trials, 0.75)

    def broken(hits, n):
        return [0 if table[k] <= alpha else cs.ABSTAIN for k in hits]

    grid = [Fraction(3, 4)]
    worst = _worst(independent_votes, trials, 0.75, alpha, broken, components=3, grid=grid)
    assert worst > Fraction(alpha)


@pytest.mark.slow
@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_calibration_at_the_least_favourable_null(correction):
    """100 000 images of 20 independent pixels at p = (tau, 1 - tau), n = 60.

    A one-sided binomial test with a false alarm of 1e-6 asks that the measured error is not above
    alpha = 0.05; an error of 0.055 would be seen with probability > 1 - 1e-6.
    """
    tau, alpha, trials, images = 0.75, 0.05, 60, 100_000
    hits = np.random.default_rng(20260101).binomial(trials, tau, size=(images, 20))
    # The certificate depends on the multiset of counts; images with the same one are done once.
    distinct, times = np.unique(np.sort(hits, axis=1), axis=0, return_counts=True)
    # Nothing is certified below the single-pixel cutoff, so most images need no call.
    table = pooled_pvalues(trials, tau)
    candidates = table[distinct.max(axis=1)] <= alpha
    wrong = sum(
        int(count)
        for row, count in zip(distinct[candidates], times[candidates], strict=True)
        if set(_certified(tuple(row.tolist()), trials, tau=tau, alpha=alpha, correction=correction))
        != {cs.ABSTAIN}
    )
    assert wrong > 0
    assert binomtest(wrong, images, alpha, alternative="greater").pvalue > 1e-6
    # Negative control: the first step's cutoff, one count lower, is seen to exceed alpha.
    lenient = int(np.argmax(20 * table <= alpha)) - 1
    too_many = int((hits.max(axis=1) >= lenient).sum())
    assert binomtest(too_many, images, alpha, alternative="greater").pvalue < 1e-6


def test_below_n_min_is_refused_with_the_number_that_would_do():
    needed = min_trials(3, 0.75, 1e-3)
    with pytest.raises(cs.InputError, match=f"at least {needed} draws"):
        _certified((5, 5, 5), 5, tau=0.75, alpha=1e-3)
    unanimous = _certified((needed,) * 3, needed, tau=0.75, alpha=1e-3)
    assert unanimous == [0, 0, 0]
