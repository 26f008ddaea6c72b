"""Regions (theory T16): how many labels of any region hold, summed exactly and attacked."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import pytest

import certiseg as cs
from certiseg.certifiers import regions as regions_module
from certiseg.certifiers.regions import spread_cutoffs
from certiseg.stats.pvalues import pooled_pvalues, wrong_label_tail
from exact import coupled_votes, independent_votes

NOISE = cs.Gaussian(0.25)


@cache
def _certificate(hits: tuple[int, ...], trials: int, **options) -> cs.Certificate:
    counts = np.array([[k, trials - k] for k in hits])
    return cs.regions(cs.VoteCounts(counts, trials), noise=NOISE, **options)


def _too_many(false: np.ndarray, certificate: cs.Certificate) -> bool:
    """More false labels in some region than it may have: m(S) grows with S, so the region of all
    the false ones decides."""
    return bool(false.any()) and certificate._errors(false) < false.sum()


def _error(outcomes, trials, favoured, tau, broken) -> Fraction:
    wrong = np.array([[p <= tau, 1 - p <= tau, False] for p in favoured])
    return sum(
        (
            weight
            for hits, weight in outcomes(trials, favoured)
            if broken(hits, wrong[np.arange(len(hits)), _labels(hits, trials)])
        ),
        Fraction(0),
    )


def _labels(hits: tuple[int, ...], trials: int) -> list[int]:
    return [0 if 2 * k >= trials else 1 for k in hits]


def _worst(outcomes, trials, tau, broken, components=3) -> Fraction:
    level = Fraction(tau)
    grid = sorted({1 - level, level, level + Fraction(1, 100), Fraction(9, 10), Fraction(1)})
    return max(
        _error(outcomes, trials, list(favoured), tau, broken)
        for favoured in combinations_with_replacement(grid, components)
    )


CASES = [(0.5, 7, 0.25, "spread"), (0.5, 7, 0.25, (6, 7)), (0.75, 18, 0.25, (17, 18))]


@pytest.mark.parametrize("outcomes", [independent_votes, coupled_votes])
@pytest.mark.parametrize(("tau", "trials", "alpha", "cutoffs"), CASES)
def test_regions_hold_with_probability_1_minus_alpha(outcomes, tau, trials, alpha, cutoffs):
    def broken(hits, wrong):
        certificate = _certificate(hits, trials, tau=tau, alpha=alpha, cutoffs=cutoffs)
        return _too_many(wrong & certificate.certified, certificate)

    worst = _worst(outcomes, trials, tau, broken, components=2 if trials > 10 else 3)
    assert worst <= Fraction(alpha)


def _law_of_counts(components: int) -> list[tuple[Fraction, list[int]]]:
    """A joint law of counts (theory T16 needs no more than their marginals, which are those of 7
    draws at p = 1/2): one component has all votes, or all components have six of seven."""
    one = [[7 if i == place else 4 for i in range(components)] for place in range(components)]
    each = Fraction(1, 64)  # g(7)
    return [*((each, hits) for hits in one), (Fraction(7, 64), [6] * components)]


def _broken(hits: list[int], cutoffs, alpha: float) -> bool:
    made = _certificate(tuple(hits), 7, tau=0.5, alpha=alpha, cutoffs=cutoffs)
    return _too_many(made.certified, made)


def test_the_bound_is_tight():
    error = sum(p for p, hits in _law_of_counts(8) if _broken(hits, (7,), 0.1251))
    assert error == Fraction(1, 8)
    assert not any(_broken(hits, (6, 7), 0.1251) for _, hits in _law_of_counts(8))


def test_a_cutoff_chosen_after_the_draws_is_caught():
    """Negative control: the better one of two cutoffs, chosen by the counts."""
    law = _law_of_counts(8)
    error = sum(p for p, hits in law if any(_broken(hits, (c,), 0.1251) for c in (6, 7)))
    assert error == Fraction(15, 64) > Fraction(0.1251)


def test_wrong_labels_beside_dominating_ones_count(monkeypatch):
    """Negative control: without the term for labels that beat a dominating one."""
    hits = (7,) * 40
    one_false = np.arange(40) == 0
    # Each component has a dominating label, and a wrong one reaches 7 votes with s(7) = 1/128.
    chance = 40 * Fraction(float(wrong_label_tail(7, 0.5)[7]))
    assert chance > Fraction(1, 4)
    options = {"tau": 0.5, "alpha": 0.25, "cutoffs": (7,)}
    assert not _too_many(one_false, _certificate(hits, 7, **options))
    tails = regions_module._tails
    monkeypatch.setattr(
        regions_module, "_tails", lambda n, tau: (tails(n, tau)[0], np.zeros(n + 1))
    )
    counts = cs.VoteCounts(np.array([[7, 0]] * 40), 7)
    assert _too_many(one_false, cs.regions(counts, noise=NOISE, **options))


def _random(seed: int, trials: int = 60) -> cs.VoteCounts:
    rng = np.random.default_rng(seed)
    p = rng.choice([0.4, 0.7, 0.85, 0.97, 1.0], size=(9, 11))
    hits = rng.binomial(trials, p)
    return cs.VoteCounts(np.stack([hits, trials - hits], axis=-1), trials)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_said_of_a_region_is_the_definition(seed):
    """m(S) and B as theory T16 writes them, label by label, in rationals."""
    votes, tau, alpha = _random(seed), 0.75, 0.01
    made = cs.regions(votes, noise=NOISE, tau=tau, alpha=alpha)
    g = [Fraction(float(p)) for p in pooled_pvalues(60, tau)]
    s = [Fraction(float(p)) for p in wrong_label_tail(60, tau)]
    cutoffs = spread_cutoffs(pooled_pvalues(60, tau), 99, alpha)
    weight = Fraction(1, len(cutoffs))
    hits = votes.top()[1].ravel()
    evidence = [sum((weight / g[c] for c in cutoffs if k >= c), Fraction(0)) for k in hits]
    listed = np.array([value >= 1 / Fraction(alpha) for value in evidence])
    assert np.array_equal(listed, made.certified.ravel())
    eps, count = sum(weight * s[c] / g[c] for c in cutoffs), int(listed.sum())
    sums = np.cumsum([Fraction(0), *sorted(np.array(evidence)[listed])])

    def limit(v):
        return ((99 - count + v) + (count - v) * eps) / Fraction(alpha)

    bound = limit(max(v for v in range(count + 1) if sums[v] < limit(v)))
    rng = np.random.default_rng(seed)
    for share in (0.05, 0.3, 1.0):
        region = rng.random(99) < share
        own = np.cumsum([Fraction(0), *sorted(np.array(evidence)[listed & region])])
        m = max(m for m in range(len(own)) if own[m] < bound)
        # The tails of the method are one step above those of the table.
        found = int((listed & region).sum()) - made.at_least(region.reshape(9, 11))
        assert found in (m, m + 1) if m else found <= 1


def test_small_regions_say_no_more_than_large_ones():
    made = cs.regions(_random(3), noise=NOISE)
    rng = np.random.default_rng(0)
    for _ in range(20):
        part = rng.random((9, 11)) < 0.5
        assert made.at_least(part) + made.at_least(~part) <= made.at_least(part | ~part)
        assert 0 <= made.at_least(part) <= int((made.certified & part).sum())


def test_stored_verified_and_stated(tmp_path):
    made = cs.regions(_random(1), noise=NOISE, alpha=0.01)
    made.save(tmp_path / "a.cert.npz")
    again = cs.Certificate.load(tmp_path / "a.cert.npz")
    cs.verify(again)
    region = np.zeros((9, 11), dtype=bool)
    region[2:5, 3:9] = True
    assert again.at_least(region) == made.at_least(region)
    sure = int(made.certified.sum()) - made.allowed_errors
    assert f"at least {sure} are the majority label" in again.statement()
    for changed in ({"cutoffs": [58]}, {"cutoffs": "spread", "more": 1}, {}, None):
        with pytest.raises(cs.ClaimError):
            cs.verify(replace(made, parameters=changed))


def test_of_other_methods_each_label_counts_but_for_the_budget():
    votes = _random(2)
    everything = np.ones((9, 11), dtype=bool)
    holm = cs.certify(votes, noise=NOISE)
    assert holm.at_least(everything) == holm.certified.sum()
    budget = cs.certify(votes, noise=NOISE, correction="k-fwer", budget=4)
    assert budget.at_least(everything) == budget.certified.sum() - 3
    assert budget.at_least(~everything) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cutoffs": "best"}, "rising counts"),
        ({"cutoffs": (57, 55)}, "rising counts"),
        ({"cutoffs": ()}, "rising counts"),
        ({"cutoffs": (55.0,)}, "rising counts"),
        ({"cutoffs": (True,)}, "rising counts"),
        ({"cutoffs": (0, 57)}, "rising counts"),
        # From the end of a table of p-values it would read the smallest of them.
        ({"cutoffs": (-1,)}, "rising counts"),
        ({"cutoffs": (-3, 57)}, "rising counts"),
        ({"cutoffs": (30,)}, "p-value is at most alpha"),
        ({"cutoffs": (61,)}, "at most 60 votes"),
        ({"tau": 0.4}, "tau in"),
        ({"tau": 0.99}, "expected at least"),
    ],
)
def test_bad_parameters(options, words):
    with pytest.raises(cs.InputError, match=words):
        cs.regions(_random(0), noise=NOISE, **options)


def test_regions_of_another_shape_or_type():
    made = cs.regions(_random(0), noise=NOISE)
    for region in (np.ones(99, dtype=bool), np.ones((9, 11), dtype=int)):
        with pytest.raises(cs.InputError, match="bool region of shape"):
            made.at_least(region)


def test_spread_cutoffs_rise_from_one_component_to_all():
    g = pooled_pvalues(110, 0.75)
    cutoffs = spread_cutoffs(g, 172800, 1e-3)
    assert len(cutoffs) == 8
    assert cutoffs == sorted(set(cutoffs))
    assert g[cutoffs[0]] <= 1e-3 / 8 < g[cutoffs[0] - 1]
    assert g[cutoffs[-1]] <= 1e-3 / 172800 < g[cutoffs[-1] - 1]
