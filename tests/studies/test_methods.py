"""The methods of the study: the same numbers as certificates made from explicit votes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

import certiseg as cs
from certiseg.certifiers.baselines import individual as certify_individual
from certiseg.certifiers.baselines import joint as certify_joint
from certiseg.certifiers.radius_map import radius_map as certify_radius_map
from certiseg.noise import Gaussian
from certiseg.studies import methods
from certiseg.studies.toy import Hits, Toy, folded, pooled, split

UNIT = Gaussian(1.0)
TOY, TAU, ALPHA = Toy(components=40, gamma=0.04), 0.75, 0.05
TEST = {"tau": TAU, "alpha": ALPHA, "draws": 0}
REPETITIONS = 30


def right_votes(rng: np.random.Generator, trials: int) -> np.ndarray:
    """Votes for the right label: ints (R, N), the odd component first."""
    odd = rng.binomial(trials, TOY.odd, (REPETITIONS, 1))
    return np.concatenate(
        [odd, rng.binomial(trials, TOY.usual, (REPETITIONS, TOY.components - 1))], axis=1
    )


def votes_of(right: np.ndarray, trials: int) -> cs.VoteCounts:
    return cs.VoteCounts(np.stack([right, trials - right], axis=-1), trials)


def by_count(rows: list[np.ndarray], trials: int) -> np.ndarray:
    return np.stack([np.bincount(row, minlength=trials + 1) for row in rows])


@pytest.fixture(scope="module")
def pooled_pair() -> tuple[Hits, list[cs.VoteCounts]]:
    """One set of votes, as histograms and as VoteCounts."""
    trials = 60
    right = right_votes(np.random.default_rng(1), trials)
    tested = folded(TOY, trials, by_count(list(right[:, 1:]), trials), right[:, 0])
    return tested, [votes_of(row, trials) for row in right]


@pytest.fixture(scope="module")
def split_pair() -> tuple[Hits, list[tuple[cs.VoteCounts, cs.VoteCounts]]]:
    """The same with five selection draws: some candidates are wrong."""
    rng = np.random.default_rng(2)
    trials, first = 60, 5
    choosing, testing = right_votes(rng, first), right_votes(rng, trials)
    is_right = 2 * choosing >= first
    hits = np.where(is_right, testing, trials - testing)
    assert not is_right[:, 1:].all()
    tested = Hits(
        TOY,
        trials,
        by_count([h[1:][r[1:]] for h, r in zip(hits, is_right, strict=True)], trials),
        by_count([h[1:][~r[1:]] for h, r in zip(hits, is_right, strict=True)], trials),
        hits[:, 0],
        is_right[:, 0],
    )
    pairs = [
        (votes_of(s, first), votes_of(t, trials)) for s, t in zip(choosing, testing, strict=True)
    ]
    return tested, pairs


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_pooled_shares_are_those_of_certificates(pooled_pair, budget: int) -> None:
    tested, explicit = pooled_pair
    outcome = methods.step_down(tested, budget=budget, pooled=True, **TEST)
    kind = {"correction": "holm"} if budget == 1 else {"correction": "k-fwer", "budget": budget}
    certificates = [cs.certify(v, noise=UNIT, tau=TAU, alpha=ALPHA, **kind) for v in explicit]
    assert np.allclose(outcome.share, [c.certified.mean() for c in certificates], atol=1e-12)
    assert 0 < outcome.share.mean() < 1


@pytest.mark.parametrize("budget", [0, 1, 2, 5])
def test_split_shares_are_those_of_certificates(split_pair, budget: int) -> None:
    tested, explicit = split_pair
    if budget == 0:
        kind: dict[str, object] = {"correction": "bonferroni"}
        outcome = methods.bonferroni(tested, **TEST)
    else:
        kind = {"correction": "k-fwer", "budget": budget}
        outcome = methods.step_down(tested, budget=budget, pooled=False, **TEST)
    shares = [
        cs.certify(v, noise=UNIT, tau=TAU, alpha=ALPHA, selection_votes=s, **kind).certified.mean()
        for s, v in explicit
    ]
    assert np.allclose(outcome.share, shares, atol=1e-12)


def test_radius_map_is_that_of_certificates(pooled_pair) -> None:
    tested, explicit = pooled_pair
    outcome = methods.radius_map(tested, **TEST)
    maps = [certify_radius_map(votes, noise=UNIT, alpha=ALPHA) for votes in explicit]
    assert np.allclose(outcome.share, [m.certified.mean() for m in maps])
    assert np.allclose(outcome.radius, [np.mean(m.radius) for m in maps])
    held = [np.mean(m.at(UNIT.radius(TAU)) >= 0) for m in maps]
    assert np.allclose(outcome.share_at_radius, held)
    assert np.all(outcome.share_at_radius < outcome.share)


def test_individual_is_that_of_certificates(split_pair) -> None:
    tested, explicit = split_pair
    # With so few selection draws somebody is wrong nearly always; also try a set without.
    clean = replace(tested, right=tested.right + tested.wrong, wrong=0 * tested.wrong)
    assert methods.individual(tested, **TEST).share.mean() < 1
    outcome = methods.individual(tested, **TEST)
    certificates = [
        certify_individual(v, noise=UNIT, alpha=ALPHA, selection_votes=s) for s, v in explicit
    ]
    assert np.allclose(outcome.share, [c.certified.mean() for c in certificates])
    assert np.allclose(outcome.radius, [c.radius for c in certificates])
    assert np.array_equal(methods.individual(clean, **TEST).radius, outcome.radius)


def test_joint_is_that_of_certificates() -> None:
    toy, repetitions = Toy(3, 0.02), 200
    outcome = methods.joint(toy, 50, 60, repetitions, np.random.default_rng(3), **TEST)
    possible = {}
    for hits in range(61):
        votes = cs.VoteCounts(np.array([hits, 60 - hits]), 60)
        joint = certify_joint(votes, candidates=np.zeros(3, int), noise=UNIT, alpha=ALPHA)
        possible[joint.radius] = joint.certified.mean()
    assert {(r, s) for r, s in zip(outcome.radius, outcome.share, strict=True)} <= set(
        possible.items()
    )
    # The right output has probability 0.9 * 0.98^2; mean radius within 6 standard errors.
    p = 0.9 * 0.98**2
    table = binom.pmf(np.arange(61), 60, p)
    radii = [
        certify_joint(
            cs.VoteCounts(np.array([k, 60 - k]), 60),
            candidates=np.zeros(3, int),
            noise=UNIT,
            alpha=ALPHA,
        ).radius
        for k in range(61)
    ]
    mean = float(table @ radii)
    error = np.sqrt((table @ np.square(radii) - mean**2) / repetitions)
    assert abs(outcome.radius.mean() - mean) < 6 * error


def test_bonferroni_certifies_the_share_that_the_binomial_says() -> None:
    """The expected share in closed form, within 6 standard errors (false alarm 2e-9)."""
    toy, n0, n = Toy(1000, 0.05), 100, 100
    tested = split(toy, n0, n, 400, np.random.default_rng(4))
    outcome = methods.bonferroni(tested, tau=0.75, alpha=0.001, draws=n0 + n)
    cutoff = next(k for k in range(n + 1) if 1000 * binom.sf(k - 1, n, 0.75) <= 0.001)
    odd = binom.sf(cutoff - 1, n, toy.odd)
    expected = (999 * binom.sf(cutoff - 1, n, toy.usual) + odd) / 1000
    error = outcome.share.std(ddof=1) / np.sqrt(400)
    assert 0.1 < expected < 0.9
    assert abs(outcome.share.mean() - expected) < 6 * error


def test_more_lenient_methods_certify_more() -> None:
    tested = split(Toy(500, 0.07), 100, 100, 50, np.random.default_rng(5))
    test = {"tau": 0.75, "alpha": 0.001, "draws": 200}
    shares = [methods.bonferroni(tested, **test).share]
    for budget in (1, 5, 50):
        shares.append(methods.step_down(tested, budget=budget, pooled=False, **test).share)
    for stricter, lenient in pairwise(shares):
        assert np.all(stricter <= lenient)
        assert np.any(stricter < lenient)


def error_at_the_least_favourable_null(cutoff: int) -> float:
    """Share of 4000 repetitions with a false certificate when all usual components have tau."""
    tested = pooled(Toy(200, 0.2), 60, 4000, np.random.default_rng(6))
    return float((tested.false(np.full(4000, cutoff), 0.8) > 0).mean())


def test_measured_error_is_at_most_alpha() -> None:
    """Holm at usual components with probability tau; 4000 repetitions, alpha = 0.05.

    An error of exactly alpha would be exceeded by 6 standard errors with probability 1e-9; an
    error of 0.075 is seen with probability above 0.99.
    """
    tested = pooled(Toy(200, 0.2), 60, 4000, np.random.default_rng(6))
    outcome = methods.step_down(tested, budget=1, pooled=True, tau=0.8, alpha=0.05, draws=60)
    limit = 0.05 + 6 * np.sqrt(0.05 * 0.95 / 4000)
    assert 0 < (outcome.false > 0).mean() <= limit


def test_a_cutoff_without_correction_is_caught() -> None:
    """Negative control: the cutoff of a single component, used for 200."""
    single = next(k for k in range(61) if binom.sf(k - 1, 60, 0.8) <= 0.05)
    assert error_at_the_least_favourable_null(single) > 0.99


def test_a_false_radius_is_counted() -> None:
    """Unanimous votes of components that are certain of nothing."""
    votes = np.zeros((1, 61), dtype=np.int64)
    votes[0, 60] = 39
    tested = Hits(Toy(40, 0.04), 60, votes, 0 * votes, np.array([30]), np.array([True]))
    assert methods.radius_map(tested, **TEST).false[0] == 0
    pretender = replace(tested, toy=Toy(40, 0.3))
    assert methods.radius_map(pretender, **TEST).false[0] == 39
    assert methods.individual(replace(pretender, odd_hits=np.array([60])), **TEST).false[0] == 1
