"""Regions with early stopping (theory T16 with T7): every outcome of two looks, and the record."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, product

import numpy as np
import pytest

import certiseg as cs
from certiseg.certificates.looks import Look
from certiseg.certifiers import regions as regions_module
from certiseg.certifiers.regions import Steps
from certiseg.certifiers.sequential_regions import SequentialRegions
from exact import coupled_votes, independent_votes
from some_votes import Written

NOISE = cs.Gaussian(0.25)
HALF = Fraction(1, 2)
DRAWS = 9
THIS = sys.modules[__name__]


@cache
def _made(parts, early, **options) -> cs.Certificate:
    method = SequentialRegions(**options, target_coverage=1e-9 if early else None)
    return method.ask(Written(parts), noise=NOISE, num_samples=DRAWS)


@pytest.fixture(autouse=True)
def _fresh_cache():
    """A broken variant must not see certificates of the right one, nor leave its own."""
    _made.cache_clear()
    yield
    _made.cache_clear()


@pytest.fixture
def two_cutoffs(monkeypatch):
    """The two smallest cutoffs that serve, where the rule for so few components has one."""

    def spread(pvalues, components, alpha):
        return np.flatnonzero(pvalues <= alpha).tolist()[:2]

    monkeypatch.setattr(regions_module, "spread_cutoffs", spread)


def _worst(outcomes, components=2, **options) -> Fraction:
    """Largest probability, over true probabilities, that some region holds too many false labels
    after the first look or after the last one."""
    plan = SequentialRegions(**options).plan(2, DRAWS)
    assert len(plan) == 2
    steps = np.diff([0, *(trials for trials, _ in plan)]).tolist()
    worst = Fraction(0)
    for favoured in combinations_with_replacement([HALF, Fraction(6, 10), Fraction(1)], components):
        wrong = np.array([[p <= HALF, 1 - p <= HALF] for p in favoured])
        stages = [list(outcomes(draws, list(favoured))) for draws in steps]
        error = Fraction(0)
        for path in product(*stages):
            parts = tuple(
                tuple((k, draws - k) for k in hits)
                for (hits, _), draws in zip(path, steps, strict=True)
            )
            if any(_too_many(_made(parts, early, **options), wrong) for early in (False, True)):
                error += path[0][1] * path[1][1]
        worst = max(worst, error)
    return worst


def _too_many(made: cs.Certificate, wrong: np.ndarray) -> bool:
    """m(S) grows with S, so that the region of all false labels decides."""
    false = made.certified & wrong[np.arange(len(wrong)), np.maximum(made.labels, 0)]
    return made.at_least(false) > 0


OPTIONS = [
    {"tau": 0.5, "alpha": 0.3, "looks": 2, "spending": "equal"},
    {"tau": 0.5, "alpha": 0.4, "looks": 2, "spending": (0.6, 0.4)},
]


@pytest.mark.parametrize("outcomes", [independent_votes, coupled_votes])
@pytest.mark.parametrize("options", OPTIONS)
def test_regions_hold_whichever_look_is_the_last(outcomes, options, two_cutoffs):
    assert 0 < _worst(outcomes, **options) <= Fraction(options["alpha"])


def test_the_whole_weight_at_each_look_is_caught(monkeypatch):
    """Negative control: the evidence of each look at the whole alpha, added up."""
    made = Steps.of

    def whole(trials, tau, components, level, *, weight):
        return made(trials, tau, components, 2 * level, weight=Fraction(1))

    monkeypatch.setattr(Steps, "of", whole)
    monkeypatch.setattr(
        regions_module, "spread_cutoffs", lambda p, n, a: np.flatnonzero(p <= a).tolist()[:1]
    )
    monkeypatch.setattr(THIS, "DRAWS", 15)
    options = {"tau": 0.5, "alpha": 0.126, "looks": 2, "spending": "equal"}
    assert _worst(coupled_votes, 1, **options) > Fraction(options["alpha"])


def _source(seed: int, shape=(9, 11)) -> Written:
    rng = np.random.default_rng(seed)
    p = rng.choice([0.4, 0.7, 0.85, 0.97, 1.0], size=shape)
    plan = SequentialRegions(alpha=0.01).plan(99, 160)
    parts = [rng.binomial(n, p) for n in np.diff([0, *(trials for trials, _ in plan)])]
    draws = np.diff([0, *(trials for trials, _ in plan)])
    return Written([np.stack([k, n - k], -1) for k, n in zip(parts, draws, strict=True)])


def _certificate(seed: int, **options) -> cs.Certificate:
    method = SequentialRegions(alpha=0.01, **options)
    return method.ask(_source(seed), noise=NOISE, num_samples=160)


def test_one_look_is_regions():
    votes = cs.VoteCounts(np.repeat([[100, 0], [92, 8], [60, 40]], [40, 30, 30], axis=0), 100)
    plain = cs.regions(votes, noise=NOISE)
    one = SequentialRegions(looks=1).ask(Written([votes.counts]), noise=NOISE, num_samples=100)
    assert np.array_equal(one.labels, plain.labels)
    for part in (slice(0, 40), slice(30, 80), slice(0, 100)):
        region = np.zeros(100, dtype=bool)
        region[part] = True
        assert one.at_least(region) == plain.at_least(region)


@pytest.mark.parametrize("seed", range(4))
def test_evidence_is_summed_over_the_looks(seed):
    """Label by label, in rationals: only looks at which the label led count for it."""
    made = _certificate(seed)
    looks = made.looks
    steps = SequentialRegions(alpha=0.01)._steps_of(looks.shares, made.votes)
    evidence = [
        sum(
            (
                look.values[np.searchsorted(look.cutoffs, k, side="right")]
                for look, mode, k in zip(steps, modes, hits, strict=True)
                if mode == modes[-1]
            ),
            Fraction(0),
        )
        for modes, hits in zip(
            looks.modes.reshape(len(steps), -1).T, looks.hits.reshape(len(steps), -1).T, strict=True
        )
    ]
    listed = np.array([value >= 100 for value in evidence]).reshape(9, 11)
    assert np.array_equal(listed, made.certified)
    assert np.array_equal(made.labels[listed], looks.modes[-1][listed])
    assert (made.labels[~listed] == cs.ABSTAIN).all()
    assert 0 < made.at_least(listed) < listed.sum()


def test_stops_once_enough_labels_hold_or_no_look_is_worth_its_draws():
    everything = np.ones((9, 11), dtype=bool)
    whole = _certificate(1)
    assert (whole.votes.trials, whole.looks.stopped) == (160, "budget used")
    share = whole.at_least(everything) / 99
    early = _certificate(1, target_coverage=share / 2)
    assert early.votes.trials < 160
    assert early.at_least(everything) >= share / 2 * 99
    assert _certificate(1, min_gain=1.0).looks.stopped == "further looks not worth their draws"


def test_stored_verified_and_stated(tmp_path):
    made = _certificate(2)
    made.save(tmp_path / "a.cert.npz")
    again = cs.Certificate.load(tmp_path / "a.cert.npz")
    cs.verify(again)
    region = np.zeros((9, 11), dtype=bool)
    region[2:5, 3:9] = True
    assert again.at_least(region) == made.at_least(region)
    assert "mixed over looks after" in again.statement()
    looks = made.looks
    first = looks.looks[0]
    more = tuple((n, level * 1.5) for n, level in looks.shares)
    taken = tuple(Look(look.trials, look.alpha * 1.5, *_rest(look)) for look in looks.looks)
    for changed in (
        {"looks": replace(looks, looks=(replace(first, certified=99), *looks.looks[1:]))},
        {"looks": replace(looks, shares=more, looks=taken)},
        {"looks": replace(looks, spending="e-process")},
        {"looks": None},
        {"parameters": {"cutoffs": [150]}},
        {"labels": np.zeros_like(made.labels)},
    ):
        with pytest.raises(cs.ClaimError):
            cs.verify(replace(made, **changed))


def _rest(look: Look) -> tuple[int, int]:
    return look.cutoff, look.certified


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spending": "e-process"}, "got the e-process"),
        ({"cutoffs": (57,)}, "at spread cutoffs"),
        ({"min_gain": 2.0}, "min_gain as a share"),
        ({"looks": 0}, "looks"),
    ],
)
def test_bad_parameters(options, words):
    with pytest.raises(cs.InputError, match=words):
        SequentialRegions(**options)


def test_too_few_draws_name_how_many_would_do():
    with pytest.raises(cs.InputError, match="expected at least 32 draws for regions at tau"):
        SequentialRegions().check_draws(720, 31)
    SequentialRegions().check_draws(720, 32)


def test_a_plan_whose_tables_are_too_large_is_refused():
    votes = cs.VoteCounts([[60, 0]], 60)
    with pytest.raises(cs.InputError, match="20000000 draws together"):
        SequentialRegions()._steps_of(((60, 1e-9), (15_000_000, 1e-9), (16_000_000, 1e-9)), votes)


def test_votes_alone_are_refused():
    with pytest.raises(cs.InputError, match="expected a source of draws"):
        SequentialRegions().certify(cs.VoteCounts([[60, 0]], 60), noise=NOISE)
