"""The radius map (theory T6): every radius at once, summed exactly; and what is not valid."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given
from scipy.stats import binomtest, norm

import certiseg as cs
from certiseg.certifiers import radius_map as module
from certiseg.stats.binomial import lower_bound
from certiseg.stats.multiple_testing import step_down_cutoff
from certiseg.stats.pvalues import dominant_tail, wrong_label_tail
from exact import coupled_votes, independent_votes, multinomial
from some_votes import random_votes

NOISE = cs.Gaussian(1.0)
# True probabilities: at, near and away from 1/2, and where bounds of n = 12 just pass.
GRID = [Fraction(1, 2), Fraction(51, 100), Fraction(6, 10), Fraction(7, 10), Fraction(8, 10)]


@cache
def _map(counts: tuple[tuple[int, ...], ...], alpha: float) -> list[tuple[int, float]]:
    cert = cs.radius_map(cs.VoteCounts(np.array(counts), sum(counts[0])), noise=NOISE, alpha=alpha)
    return list(zip(cert.labels.tolist(), cert.radius.tolist(), strict=True))


def _too_far(label: int, radius: float, probabilities) -> bool:
    """Whether a radius says more than T1 allows: sigma * PhiInv(p) for p > 1/2, nothing else."""
    if label == cs.ABSTAIN:
        return False
    p = float(probabilities[label])
    return p <= 0.5 or radius > norm.ppf(p)


def _error(outcomes, trials, favoured, alpha) -> Fraction:
    error = Fraction(0)
    for hits, weight in outcomes(trials, favoured):
        found = _map(tuple((k, trials - k) for k in hits), alpha)
        if any(_too_far(*one, (p, 1 - p)) for one, p in zip(found, favoured, strict=True)):
            error += weight
    return error


@pytest.mark.parametrize("outcomes", [independent_votes, coupled_votes])
def test_all_radii_hold_at_once(outcomes):
    worst = max(
        _error(outcomes, 12, list(favoured), 0.1)
        for favoured in combinations_with_replacement(GRID, 2)
    )
    assert 0 < worst <= Fraction(0.1)


@pytest.mark.parametrize("p", [(5, 5, 0), (4, 3, 3), (6, 4, 0), (6, 2, 2), (8, 1, 1)])
def test_three_labels(p):
    probabilities = [Fraction(part, 10) for part in p]
    error = sum(
        (
            weight
            for counts, weight in multinomial(12, probabilities)
            if _too_far(*_map((counts,), 0.1)[0], probabilities)
        ),
        Fraction(0),
    )
    assert error <= Fraction(0.1)


def test_the_whole_level_for_a_chosen_label_is_caught(monkeypatch):
    """Negative control: alpha / N instead of alpha / (2 N), at p = 1/2."""
    alpha = 1.5 / 2**11
    monkeypatch.setattr(
        module, "lower_bound", lambda hits, trials, level: lower_bound(hits, trials, 2 * level)
    )
    monkeypatch.setattr(module.RadiusMap, "check_draws", lambda *arguments: None)
    _map.cache_clear()
    # A unanimous label passes at 2^-11, and either label may be unanimous: 2 * 2^-11 > alpha.
    assert _error(independent_votes, 11, [Fraction(1, 2)], alpha) > Fraction(alpha)
    _map.cache_clear()


@pytest.mark.slow
def test_choosing_tau_after_looking_is_caught():
    """Negative control: Holm at several tau on the same draws, the best one chosen afterwards.

    At tau = p_j the components with p > p_j are certified, so the j others share alpha among
    themselves, at each tau anew: the error is near alpha * (1 + 1/2 + ... + 1/6). 2000 images at
    alpha = 0.1; seen with a false alarm of 1e-6.
    """
    taus, trials, alpha, images = (0.5, 0.6, 0.7, 0.8, 0.9, 0.97), 1000, 0.1, 2000
    hits = np.random.default_rng(20260104).binomial(trials, taus, size=(images, len(taus)))
    tables = {tau: (dominant_tail(trials, tau), wrong_label_tail(trials, tau)) for tau in taus}

    def false_somewhere(counts) -> bool:
        histogram = np.bincount(counts, minlength=trials + 1)
        return any(
            counts[j]
            >= step_down_cutoff(histogram, tables[tau][0], alpha, everywhere=tables[tau][1])
            for j, tau in enumerate(taus)
        )

    wrong = sum(map(false_somewhere, hits))
    assert binomtest(wrong, images, alpha, alternative="greater").pvalue < 1e-6


@pytest.mark.slow
def test_calibration_at_the_least_favourable_null():
    """100 000 images of 20 independent pixels at p = 1/2, n = 40, and as many at p = 0.8.

    One-sided binomial test of the measured error against alpha = 0.05, false alarm 1e-6; an error
    of 0.055 would be seen with probability > 1 - 1e-6.
    """
    images, pixels, trials, alpha = 100_000, 20, 40, 0.05
    rng = np.random.default_rng(20260103)
    counts = np.arange(trials + 1)
    everywhere = cs.VoteCounts(np.stack([counts, trials - counts], axis=-1), trials)
    for p in (0.5, 0.8):
        # alpha / N per pixel, so one map over all counts at alpha * (n + 1) / N gives every radius.
        cert = cs.radius_map(everywhere, noise=NOISE, alpha=alpha * (trials + 1) / pixels)
        far = [
            _too_far(label, r, (p, 1 - p))
            for label, r in zip(cert.labels.tolist(), cert.radius.tolist(), strict=True)
        ]
        hits = rng.binomial(trials, p, size=(images, pixels))
        wrong = int(np.array(far)[hits].any(axis=1).sum())
        assert wrong > 0
        assert binomtest(wrong, images, alpha, alternative="greater").pvalue > 1e-6
        if p == 0.5:
            # Negative control: a label certified at one hit fewer.
            lowest = int(np.flatnonzero(cert.labels[counts >= trials / 2] == 0)[0]) + trials // 2
            too_many = int((np.maximum(hits, trials - hits) >= lowest - 1).any(axis=1).sum())
            assert binomtest(too_many, images, alpha, alternative="greater").pvalue < 1e-6


@given(random_votes())
def test_radius_grows_with_the_hits(votes):
    cert = cs.radius_map(votes, noise=NOISE, alpha=0.01)
    order = np.argsort(votes.counts.max(axis=-1))
    assert np.all(np.diff(cert.radius[order]) >= 0)
    assert np.array_equal(cert.labels[cert.certified], votes.mode()[cert.certified])
    bounds = lower_bound(votes.counts.max(-1), votes.trials, 0.01 / votes.num_components / 2)
    assert np.array_equal(cert.certified, bounds > 0.5)


@given(random_votes())
def test_at_a_radius_the_map_stays_below_certify_for_that_radius_alone(votes):
    """What looking first costs: the level alpha / (2 N) instead of alpha / N."""
    tau = 0.75
    once = cs.certify(votes, noise=NOISE, tau=tau, alpha=0.01, correction="bonferroni")
    held = cs.radius_map(votes, noise=NOISE, alpha=0.01).at(once.radius)
    assert np.all((held == cs.ABSTAIN) | (held == once.labels))


@given(random_votes())
def test_every_abstention_has_radius_zero(votes):
    cert = cs.radius_map(votes, noise=NOISE, alpha=0.01)
    assert cert.radius.dtype == np.float64
    assert cert.radius.shape == cert.labels.shape
    assert np.all(cert.radius[~cert.certified] == 0.0)
    assert np.all(cert.at(np.nextafter(cert.radius.max(), np.inf)) == cs.ABSTAIN)


def test_statement_and_refusals():
    counts = np.array([[20, 0], [18, 2], [11, 9]])
    cert = cs.radius_map(cs.VoteCounts(counts, 20), noise=cs.Gaussian(0.25), alpha=0.01)
    low, high = (f"{math.floor(r * 1e6) / 1e6:.6f}" for r in sorted(cert.radius[:2]))
    assert (
        f"below its own radius ({low} to {high}, and all radii hold together)" in cert.statement()
    )
    with pytest.raises(cs.InputError, match="at least 10 draws for a radius map of 3 components"):
        cs.radius_map(cs.VoteCounts(counts[:, :1] * 0 + 9, 9), noise=NOISE, alpha=0.01)
    with pytest.raises(cs.InputError, match="radius >= 0"):
        cert.at(-0.1)


def test_one_component():
    cert = cs.radius_map(cs.VoteCounts(np.array([95, 3, 2]), 100), noise=NOISE)
    assert cert.labels.shape == cert.radius.shape == ()
    assert float(cert.radius) == cs.classify(cert.votes, noise=NOISE).radius
