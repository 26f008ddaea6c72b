"""Sequential certification (theory T7): error over all looks, stopping rules, the record."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement, product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

import certiseg as cs
from certiseg.certificates.looks import Looks
from certiseg.certifiers import replay
from certiseg.certifiers import sequential as module
from certiseg.certifiers.remaining import _cutoff, expected_new
from certiseg.certifiers.replay import LookRule, recompute
from certiseg.certifiers.sequential import Sequential, sequential
from certiseg.stats import eprocess
from certiseg.stats.eprocess import evalues
from certiseg.stats.pvalues import dominant_tail, min_trials, pooled_pvalues, wrong_label_tail
from certiseg.stats.spending import plan_looks
from exact import coupled_votes, independent_votes, multinomial
from some_votes import Written

NOISE = cs.Gaussian(0.25)
HALF = Fraction(1, 2)


class Dealt:
    """Draws of components with the given probabilities (*components, C); counts what it gave."""

    def __init__(self, probabilities, seed):
        self.p, self.rng, self.given = probabilities, np.random.default_rng(seed), 0

    def sizes(self):
        return self.p[..., 0].size, self.p.shape[-1]

    def more(self, draws):
        self.given += draws
        return cs.VoteCounts(self.rng.multinomial(draws, self.p), draws)


@cache
def _labels(parts, **options) -> tuple[list[int], ...]:
    """Labels when never stopped and, where it makes a difference, stopped after the first look."""
    last = sequential(Written(parts), noise=NOISE, **options)
    if last.looks.looks[0].certified == 0:
        return (last.labels.tolist(),)
    first = sequential(Written(parts), noise=NOISE, target_coverage=1e-9, **options)
    return first.labels.tolist(), last.labels.tolist()


def _error(stages, wrong, budget, labels) -> Fraction:
    """P(at least ``budget`` false certificates by some rule of stopping).

    stages: for each look, (counts of all components, probability) of its new draws. wrong: labels
    of probability <= tau, per component. An early stop keeps labels that a later look would turn
    into an abstention; of two looks there are no other stops than those of ``_labels``.
    """
    total = Fraction(0)
    for path in product(*stages):
        outcome = labels(tuple(counts for counts, _ in path))
        false = max(sum(map(set.__contains__, wrong, held)) for held in outcome)
        if false >= budget:
            total += prod((weight for _, weight in path), start=Fraction(1))
    return total


def _two_labels(outcomes, draws, favoured):
    """Parts of a path from the hits of label 0."""
    return [
        (tuple((k, draws - k) for k in hits), weight) for hits, weight in outcomes(draws, favoured)
    ]


def _worst(outcomes, components, *, grid=None, budget=None, **options) -> Fraction:
    """Largest error over a grid of true probabilities, null and non-null mixed; two labels."""
    tau, plan = Fraction(options["tau"]), _plan(components, budget, **options)
    grid = grid or [1 - tau, tau, tau + Fraction(1, 100), Fraction(9, 10), Fraction(1)]
    worst = Fraction(0)
    for favoured in combinations_with_replacement(sorted(set(grid)), components):
        steps = np.diff([0, *(trials for trials, _ in plan)]).tolist()
        stages = [_two_labels(outcomes, draws, list(favoured)) for draws in steps]
        wrong = [{c for c, q in enumerate((p, 1 - p)) if q <= tau} for p in favoured]

        def labels(parts):
            return _labels(parts, budget=budget, **options)

        worst = max(worst, _error(stages, wrong, budget or 1, labels))
    return worst


def _plan(components, budget, *, num_samples, tau, alpha, looks=2, spending="late"):
    options = {"tau": tau, "alpha": alpha, "looks": looks, "spending": spending}
    return module.plan_looks(components, num_samples, budget=budget or 1, num_classes=2, **options)


@pytest.fixture(autouse=True)
def _fresh_cache():
    """A broken variant must not see the labels of the right one, nor leave its own."""
    _labels.cache_clear()
    yield
    _labels.cache_clear()


@pytest.mark.parametrize("outcomes", [independent_votes, coupled_votes])
@pytest.mark.parametrize(
    ("spending", "tau", "num_samples", "alpha"),
    [
        ("late", 0.5, 9, 0.3),
        ("equal", 0.5, 9, 0.15),
        ("late", 0.75, 11, 0.5),
        ((0.5, 0.3), 0.75, 10, 0.6),
        ("e-process", 0.5, 11, 0.6),
        ("e-process", 0.75, 11, 0.9),
    ],
)
@pytest.mark.slow
def test_family_wise_error_over_two_looks(outcomes, spending, tau, num_samples, alpha):
    """Two components, every outcome of both looks."""
    options = {"spending": spending, "tau": tau, "num_samples": num_samples, "alpha": alpha}
    assert len(_plan(2, None, **options)) == 2
    grid = [1 - Fraction(tau), Fraction(tau), Fraction(9, 10)]
    worst = _worst(outcomes, 2, grid=grid, looks=2, **options)
    assert 0 < worst <= Fraction(alpha)


@pytest.mark.slow
@pytest.mark.parametrize("outcomes", [independent_votes, coupled_votes])
@pytest.mark.parametrize("spending", ["late", "equal", "e-process"])
def test_error_budget_over_two_looks(outcomes, spending):
    """k = 2: two false certificates are as rare as one without a budget (theory T5, T7)."""
    options = {"spending": spending, "tau": 0.5, "num_samples": 10, "alpha": 0.3}
    assert len(_plan(2, 2, **options)) == 2
    worst = _worst(outcomes, 2, grid=[HALF, Fraction(9, 10)], budget=2, looks=2, **options)
    assert 0 < worst <= Fraction(0.3)


@pytest.mark.parametrize("spending", ["late", "e-process"])
@pytest.mark.parametrize(
    "labels", [[Fraction(1, 3)] * 3, [HALF, Fraction(1, 4), Fraction(1, 4)], [HALF, HALF, 0]]
)
@pytest.mark.slow
def test_family_wise_error_with_three_labels(labels, spending):
    options = {"tau": 0.5, "num_samples": 11, "alpha": 0.5, "looks": 2, "spending": spending}
    plan = plan_looks(1, 11, tau=0.5, alpha=0.5, looks=2, spending=spending, num_classes=3)
    steps = np.diff([0, *(trials for trials, _ in plan)]).tolist()
    assert len(steps) == 2
    p = [Fraction(label) for label in labels]
    stages = [[((c,), w) for c, w in multinomial(draws, p)] for draws in steps]
    error = _error(stages, [{0, 1, 2}], 1, lambda parts: _labels(parts, **options))
    assert 0 < error <= Fraction(0.5)


def _reused(components, num_samples, *, tau, alpha, budget, **options):
    """Broken: each look at the whole alpha, as bounds recomputed after every batch are."""
    first = min_trials(components, tau, alpha, budget=budget)
    return (first, alpha), (num_samples, alpha)


def test_reused_alpha_is_caught(monkeypatch):
    """Negative control: fault 5."""
    monkeypatch.setattr(module, "plan_looks", _reused)
    options = {"tau": 0.5, "num_samples": 12, "alpha": 0.063, "looks": 2}
    worst = _worst(independent_votes, 1, grid=[HALF], **options)
    assert worst > Fraction(0.063)


def test_reused_alpha_with_a_budget_is_caught(monkeypatch):
    """Negative control: fault 5 with k = 2, both components wrong together."""
    monkeypatch.setattr(module, "plan_looks", _reused)
    options = {"tau": 0.5, "num_samples": 12, "alpha": 0.063, "looks": 2}
    worst = _worst(coupled_votes, 2, grid=[HALF], budget=2, **options)
    assert worst > Fraction(0.063)


def test_no_stray_term_is_caught(monkeypatch):
    """Negative control: both labels race at each look, one is accounted for."""
    monkeypatch.setattr(replay, "wrong_label_tail", lambda n, tau: np.zeros(n + 1))
    options = {"tau": 0.5, "num_samples": 19, "alpha": 0.064, "looks": 2, "spending": "equal"}
    worst = _worst(coupled_votes, 1, grid=[HALF], **options)
    assert worst > Fraction(0.064)


def test_one_race_for_all_labels_is_caught(monkeypatch):
    """Negative control: the e-process with M = 1."""
    monkeypatch.setattr(eprocess, "races", lambda tau, num_classes=None: 1)
    options = {"tau": 0.5, "num_samples": 12, "alpha": 0.5, "looks": 5, "spending": "e-process"}
    worst = _worst(independent_votes, 1, grid=[HALF], **options)
    assert worst > HALF


@pytest.mark.slow
@pytest.mark.parametrize("spending", ["late", "e-process"])
@pytest.mark.parametrize("budget", [None, 2])
def test_calibration_at_the_least_favourable_null(budget, spending):
    """100 000 images of 20 pixels at p = (tau, 1 - tau), up to 60 draws, 5 looks, alpha = 0.05.

    Without a budget the pixels are independent; for k = 2 they come in equal pairs, so that two
    errors come together. A one-sided binomial test with a false alarm of 1e-6 asks that the error
    is not above alpha; an error of 0.055 would be seen with probability > 1 - 1e-6.
    """
    tau, alpha, images, number = 0.75, 0.05, 100_000, 20
    options = {"tau": tau, "alpha": alpha, "budget": budget, "spending": spending}
    k = budget or 1
    plan = plan_looks(number, 60, **{**options, "budget": k}, num_classes=2)
    assert len(plan) == 5
    rng = np.random.default_rng(20260301)
    steps = np.diff([0, *(trials for trials, _ in plan)])
    new = rng.binomial(steps[:, None, None], tau, size=(5, images, number // k)).repeat(k, axis=2)
    highest = new.cumsum(axis=0).max(axis=2)
    # The first step's cutoff at each look; where no pixel reaches one, nothing is certified.
    first = np.array([_first_cutoff(number, k, tau, *look, spending) for look in plan])
    candidates = np.flatnonzero((highest >= first[:, None]).any(axis=0))
    false = 0
    for image in candidates:
        parts = [np.stack([h, n - h], -1) for h, n in zip(new[:, image], steps, strict=True)]
        held = sequential(Written(parts), noise=NOISE, num_samples=60, **options).certified
        false += int(held.sum()) >= k
    assert false > 0
    assert binomtest(false, images, alpha, alternative="greater").pvalue > 1e-6
    # Negative control: every look at the whole alpha, k alpha, is seen to exceed it.
    if spending == "late":
        lenient = [_first_cutoff(number, k, tau, trials, alpha, spending) for trials, _ in plan]
        too_many = int((highest >= np.array(lenient)[:, None]).any(axis=0).sum())
        assert binomtest(too_many, images, alpha, alternative="greater").pvalue < 1e-6


def _first_cutoff(components, budget, tau, trials, alpha, spending):
    if spending == "e-process":
        passes = components * 2 / evalues(trials, tau) <= budget * alpha
    else:
        passes = components * pooled_pvalues(trials, tau) <= budget * alpha
    return trials + 1 if not passes.any() else int(passes.argmax())


@st.composite
def _sources(draw):
    """Two equal sources of the same draws: components from clear to hopeless."""
    seed = draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    shape, classes = (draw(st.integers(1, 40)),), draw(st.integers(2, 5))
    sharp = rng.uniform(0.5, 1.0, size=shape)
    rest = rng.dirichlet(np.ones(classes - 1), size=shape) * (1 - sharp)[..., None]
    p = rng.permuted(np.concatenate([sharp[..., None], rest], axis=-1), axis=-1)
    p /= p.sum(-1, keepdims=True)
    return Dealt(p, seed), Dealt(p, seed)


@given(_sources(), st.integers(60, 200), st.sampled_from([None, 1, 0.2]))
def test_one_look_is_the_plain_test(sources, num_samples, budget):
    cert = sequential(
        sources[0], noise=NOISE, num_samples=num_samples, alpha=0.01, budget=budget, looks=1
    )
    correction = "holm" if budget is None else "k-fwer"
    plain = cs.certify(cert.votes, noise=NOISE, alpha=0.01, correction=correction, budget=budget)
    assert np.array_equal(cert.labels, plain.labels)
    assert cert.labels.dtype == plain.labels.dtype
    assert (cert.radius, cert.correction, cert.budget) == (
        plain.radius,
        plain.correction,
        plain.budget,
    )
    assert cert.looks.looks[0].cutoff == plain.cutoff
    assert cert.looks.shares == ((num_samples, 0.01),)


@given(
    _sources(),
    st.integers(60, 300),
    st.sampled_from(["late", "equal", "e-process", (0.2, 0.8)]),
    st.sampled_from([None, 2 / 3]),
    st.floats(0.01, 1.0),
    st.floats(1e-4, 0.5),
)
def test_stopping_early_certifies_a_subset(
    sources, num_samples, spending, budget, target_coverage, min_gain
):
    options = {"noise": NOISE, "num_samples": num_samples, "alpha": 0.02, "spending": spending}
    early = sequential(
        sources[0], target_coverage=target_coverage, min_gain=min_gain, budget=budget, **options
    )
    late = sequential(sources[1], budget=budget, **options)
    assert sources[0].given == early.votes.trials <= late.votes.trials <= num_samples
    assert early.looks.shares == late.looks.shares
    assert early.looks.looks == late.looks.looks[: len(early.looks.looks)]
    held = early.certified & late.certified
    assert np.array_equal(early.labels[held], late.labels[held])
    # A label that went again must have met another one that passed.
    for index in np.flatnonzero(early.certified & ~late.certified):
        cutoffs = [look.cutoff for look in late.looks.looks]
        passed = late.looks.modes[late.looks.hits[:, index] >= cutoffs, index]
        assert len(set(passed.tolist())) > 1
    if early.looks.stopped == "wanted share reached":
        assert 1.0 - early.abstention >= target_coverage
    assert late.looks.stopped in ("budget used", "no component open")
    for cert in (early, late):
        _same(_recomputed(cert), cert)


def _recomputed(cert):
    return Sequential.of(cert).recompute(cert)


def _same(again, cert):
    assert np.array_equal(again.labels, cert.labels)
    for name in ("method", "radius", "tau", "alpha", "correction", "budget", "selection", "cutoff"):
        assert getattr(again, name) == getattr(cert, name)


def test_a_later_look_certifies_what_the_first_could_not():
    """Cutoffs fall relative to the draws, and no draw is made after all is certified."""
    sharp = np.linspace(0.8, 1.0, 200)
    source = Dealt(np.stack([sharp, 1 - sharp], -1), 5)
    cert = sequential(source, noise=NOISE, num_samples=2000, alpha=1e-3)
    gained = [look.certified for look in cert.looks.looks]
    assert gained == sorted(gained)
    assert gained[0] < gained[-1]
    sure = sequential(Dealt(np.array([[1.0, 0.0]] * 3), 1), noise=NOISE, num_samples=500)
    assert sure.votes.trials == sure.looks.shares[0][0] == min_trials(3, 0.75, 1e-3 / 8)
    assert sure.looks.stopped == "no component open"


def test_two_labels_at_two_looks_are_an_abstention():
    plan = plan_looks(2, 60, tau=0.5, alpha=0.5, looks=2, spending="equal")
    (first, _), (last, _) = plan
    # Component 0 changes sides; component 1 stays open, so that the second look is made.
    parts = [[[first, 0], [first // 2, first - first // 2]]]
    parts.append([[0, last - first], [(last - first) // 2, last - first - (last - first) // 2]])
    options = {"tau": 0.5, "alpha": 0.5, "looks": 2, "spending": "equal", "num_samples": 60}
    early = sequential(Written(parts), noise=NOISE, target_coverage=0.5, **options)
    cert = sequential(Written(parts), noise=NOISE, **options)
    assert early.labels.tolist() == [0, cs.ABSTAIN]
    assert cert.labels.tolist() == [cs.ABSTAIN, cs.ABSTAIN]
    assert cert.looks.looks[-1].certified == 1
    _same(_recomputed(cert), cert)


def test_certified_components_count_at_later_looks():
    """Theory T7: with r of 100 certified the rest are tested as 100 - r, not as 100 anew."""
    rule = replay.LookRule(tau=0.75, budget=1, num_classes=2, anytime=False)
    histogram = np.zeros(101, dtype=np.int64)
    histogram[50] = 1
    carried, anew = (rule.cutoff(histogram * w, 100, 1e-3, r) for w, r in ((1, 99), (100, 0)))
    assert carried < anew
    budgeted = replay.LookRule(tau=0.75, budget=3, num_classes=2, anytime=False)
    # Up to k - 1 = 2 of the 99 may be false: 97 are no longer in doubt, 3 of 100 are.
    dominant = dominant_tail(100, 0.75)
    stray = wrong_label_tail(100, 0.75)
    expected = int(np.argmax(3 * dominant + 100 * stray <= 3e-3))
    assert budgeted.cutoff(histogram, 100, 1e-3, 99) == expected


def test_until_weighs_the_next_look():
    """Hopeless components are given up, promising ones are not."""
    hopeless = np.array([[1.0, 0.0]] * 50 + [[0.5, 0.5]] * 50)
    promising = np.array([[1.0, 0.0]] * 50 + [[0.95, 0.05]] * 50)
    options = {"noise": NOISE, "num_samples": 400, "min_gain": 0.01}
    given_up, went_on = (sequential(Dealt(p, 3), **options) for p in (hopeless, promising))
    assert given_up.looks.stopped == "further looks not worth their draws"
    assert len(given_up.looks.looks) == 1
    assert given_up.abstention == 0.5
    assert len(went_on.looks.looks) > 1
    assert went_on.abstention < 0.05


def test_the_prediction_comes_true_on_average():
    """Predicted and measured shares of the next look differ by less than 0.05 over 4000 pixels.

    Both are means over 4000 components; their standard error is below 0.008.
    """
    sharp = np.random.default_rng(1).uniform(0.8, 1.0, size=4000)
    cert = sequential(Dealt(np.stack([sharp, 1 - sharp], -1), 2), noise=NOISE, num_samples=300)
    rule = replay.LookRule(0.75, 1, 2, anytime=False)
    standing = replay.Standing.start((4000,), 2)
    for index, look in enumerate(cert.looks.looks[:-1]):
        modes, hits = cert.looks.modes[index], cert.looks.hits[index]
        standing, _ = standing.after(modes, hits, look.trials, look.alpha, rule)
        following = cert.looks.looks[index + 1]
        cutoff = _cutoff((following.trials, following.alpha), rule, ~standing.closed)
        open_to = standing.open_histogram(hits, look.trials)
        predicted = expected_new(open_to, look.trials, following.trials, cutoff) / 4000
        assert predicted == pytest.approx((following.certified - look.certified) / 4000, abs=0.05)


@pytest.fixture(scope="module")
def example():
    sharp = np.linspace(0.6, 1.0, 30).reshape(5, 6)
    p = np.stack([sharp, (1 - sharp) / 2, (1 - sharp) / 2], -1)
    return sequential(Dealt(p, 7), noise=NOISE, num_samples=300, budget=0.1, alpha=0.01)


def test_record_comes_back(example):
    looks = example.looks
    again = Looks.from_record(json.loads(json.dumps(looks.record())), looks.modes, looks.hits)
    assert again.record() == looks.record()
    assert looks.modes.dtype == np.uint8
    assert looks.hits.dtype == np.int16
    labels, cutoffs = recompute(again, LookRule(0.75, 3, 3, anytime=False), 0.01)
    assert np.array_equal(labels, example.labels)
    assert list(cutoffs) == [look.cutoff for look in looks.looks]


def _with(record, *path, value):
    changed = json.loads(json.dumps(record))
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spending",), "early"),
        (("stopped",), None),
        (("shares",), {}),
        (("shares", 0), [1]),
        (("shares", 0, 0), 1),
        (("shares", 0, 1), "0.1"),
        (("shares", 1, 0), 1),
        (("looks",), []),
        (("looks", 0, "trials"), 24.0),
        (("looks", 0, "trials"), True),
        (("looks", 0, "alpha"), 0.5),
        (("looks", 0, "cutoff"), 0),
        (("looks", 0, "cutoff"), 1.5),
        (("looks", 0, "certified"), -1),
        (("looks", 0), {"trials": 5}),
        (("more",), 1),
    ],
)
def test_bad_records(example, path, value):
    record = _with(example.looks.record(), *path, value=value)
    with pytest.raises(
        cs.InputError,
        match=r"looks that agree|of (the looks|a look), got|expected a look with|the looks with",
    ):
        Looks.from_record(record, example.looks.modes, example.looks.hits)


def test_bad_evidence(example):
    looks = example.looks
    record = looks.record()
    backwards = looks.hits.copy()
    backwards[1, 0, 0] = backwards[0, 0, 0] - 1
    for modes, hits in [
        (looks.modes[:-1], looks.hits[:-1]),
        (looks.modes, looks.hits[..., :-1]),
        (looks.modes.astype(float), looks.hits),
        (looks.modes.astype(int) - 5, looks.hits),
        (looks.modes, looks.hits * 2),
        (looks.modes, np.zeros_like(looks.hits)),
        (looks.modes, backwards),
    ]:
        with pytest.raises(cs.InputError, match="looks that agree"):
            Looks.from_record(record, modes, hits)


def _relooked(cert, **changes):
    return replace(cert, looks=replace(cert.looks, **changes))


def test_verify_finds_looks_that_the_votes_do_not_carry(example):
    looks, last = example.looks, len(example.looks.looks) - 1
    _same(_recomputed(example), example)
    more_hits, other_mode = looks.hits.copy(), looks.modes.copy()
    more_hits[:, 0, 0] += 1
    other_mode[last, 0, 0] = (other_mode[last, 0, 0] + 1) % 3
    wrong_cutoff = replace(looks.looks[-1], cutoff=looks.looks[-1].cutoff - 1)
    generous = tuple((trials, 0.009) for trials, _ in looks.shares)
    spent = tuple(replace(look, alpha=0.009) for look in looks.looks)
    for forged in [
        _relooked(example, hits=more_hits),
        _relooked(example, modes=other_mode),
        _relooked(example, looks=(*looks.looks[:-1], wrong_cutoff)),
        _relooked(example, shares=generous, looks=spent),
        _relooked(example, spending="e-process"),
        _relooked(
            example,
            modes=looks.modes[:-1],
            hits=looks.hits[:-1],
            looks=looks.looks[:-1],
            stopped="further looks not worth their draws",
        ),
        replace(example, looks=None),
        replace(example, tau=None),
        replace(example, alpha=0.001),
        replace(example, budget=None),
        replace(example, budget=31),
    ]:
        with pytest.raises(cs.InputError):
            _recomputed(forged)


def test_shares_above_alpha_are_refused(example):
    """Fault 5 in a stored certificate."""
    with pytest.raises(cs.InputError, match="at most alpha"):
        recompute(example.looks, LookRule(0.75, 3, 3, anytime=False), 0.009)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_samples": 5}, "at least 25 draws"),
        ({"num_samples": 0}, "num_samples"),
        ({"num_samples": 99.5}, "num_samples"),
        ({"min_gain": 0.0}, "min_gain"),
        ({"min_gain": "1%"}, "min_gain"),
        ({"target_coverage": 1.5}, "target_coverage"),
        ({"target_coverage": True}, "target_coverage"),
        ({"looks": 0}, "looks"),
        ({"spending": "soon"}, "spending"),
        ({"budget": 0}, "budget"),
        ({"budget": 2}, "budget"),
        ({"tau": 0.4}, "tau"),
        ({"alpha": 2.0}, "alpha"),
    ],
)
def test_bad_parameters_draw_nothing(options, named):
    source = Dealt(np.array([[1.0, 0.0]]), 1)
    with pytest.raises(cs.InputError, match=named):
        sequential(source, **{"noise": NOISE, "num_samples": 200, **options})
    assert source.given == 0


def test_sources_must_keep_their_word():
    class All(Dealt):
        """Gives all draws so far rather than the new ones."""

        def more(self, draws):
            return super().more(self.given + draws)

    with pytest.raises(cs.InputError, match="only the new draws"):
        sequential(All(np.array([[0.9, 0.1]]), 1), noise=NOISE, num_samples=400)


def test_labels_permuted_in_labels_permuted_out():
    order = np.array([2, 0, 1])
    sharp = np.linspace(0.7, 1.0, 40)
    p = np.stack([sharp, (1 - sharp) * 0.9, (1 - sharp) * 0.1], -1)
    parts = [np.random.default_rng(4).multinomial(n, p) for n in (45, 20, 30, 45, 160)]
    trials = np.cumsum([45, 20, 30, 45, 160]).tolist()
    plan = tuple(zip(trials, [1e-4] * 5, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "plan_looks", lambda *args, **options: plan)
        cert, moved = (
            sequential(Written(p), noise=NOISE, num_samples=300)
            for p in (parts, [part[:, order] for part in parts])
        )
    assert np.array_equal(moved.certified, cert.certified)
    assert np.array_equal(order[moved.labels[moved.certified]], cert.labels[cert.certified])
