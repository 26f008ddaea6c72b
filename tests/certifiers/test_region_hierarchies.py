"""Regions along a hierarchy (theory T16 with T8): the error summed exactly, and what is given."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import pytest

import certiseg as cs
from certiseg.certifiers import regions as regions_module
from certiseg.certifiers.regions import Evidence, Regions
from certiseg.certifiers.sequential_regions import SequentialRegions
from certiseg.stats.pvalues import dominant_tail
from exact import tail
from trees import SMALL, Law, coupled_nodes, independent_nodes, laws_of

NOISE = cs.Gaussian(0.25)
LEAVES = SMALL.leaves()


@cache
def _certificate(counts: tuple[tuple[int, ...], ...], **options) -> cs.Certificate:
    votes = cs.VoteCounts(np.array(counts), sum(counts[0]))
    return cs.regions(votes, noise=NOISE, hierarchy=SMALL, **options)


@pytest.fixture(autouse=True)
def tables_once(monkeypatch):
    """All images have the same n: their tables need no computing anew, only time."""
    for name in ("_tails", "min_trials"):
        monkeypatch.setattr(regions_module, name, cache(getattr(regions_module, name)))
    yield
    _certificate.cache_clear()


@cache
def _false(law: Law, tau: float) -> list[bool]:
    """By node, and for an abstention at the end."""
    return [bool(np.dot(row, law) <= Fraction(tau)) for row in LEAVES] + [False]


def _broken(counts, laws: tuple[Law, ...], tau: float, **options) -> bool:
    """More false nodes in some region than it may have: the region of all of them decides."""
    certificate = _certificate(counts, tau=tau, **options)
    given = zip(certificate.labels.tolist(), laws, strict=True)
    false = np.array([_false(law, tau)[node] for node, law in given])
    return bool(false.any()) and certificate._errors(false) < false.sum()


def _error(outcomes, trials: int, laws: tuple[Law, ...], tau: float, **options) -> Fraction:
    return sum(
        (w for counts, w in outcomes(trials, laws) if _broken(counts, laws, tau, **options)),
        Fraction(0),
    )


@pytest.mark.parametrize(("outcomes", "components"), [(independent_nodes, 2), (coupled_nodes, 3)])
@pytest.mark.parametrize(
    ("tau", "alpha", "cutoffs"), [(0.5, 0.25, (6, 7)), (0.5, 0.02, (7,)), (0.75, 0.5, (6, 7))]
)
def test_regions_hold_with_probability_1_minus_alpha(outcomes, components, tau, alpha, cutoffs):
    """Whichever node is the finest above tau, for each component."""
    worst = max(
        _error(outcomes, 7, laws, tau, alpha=alpha, cutoffs=cutoffs)
        for laws in combinations_with_replacement(laws_of(tau), components)
    )
    assert worst <= Fraction(alpha)


@pytest.mark.parametrize("law", range(4), ids=["ab", "abc", "abc, unevenly", "root"])
def test_a_node_chosen_by_the_draws_that_test_it_needs_their_pvalue(monkeypatch, law):
    """Negative control: h(k, n, tau) alone, as for nodes that separate draws chose before."""
    laws, cutoffs = (laws_of(0.5)[law],), (7,)
    # Here the bound is tight: g(7) = 1/64.
    error = _error(independent_nodes, 7, laws, 0.5, alpha=0.0157, cutoffs=cutoffs)
    assert error == Fraction(1, 64) <= Fraction(0.0157)
    split = cache(lambda n, tau: (dominant_tail(n, tau), np.zeros(n + 1)))
    monkeypatch.setattr(regions_module, "_tails", split)
    monkeypatch.setattr(regions_module, "min_trials", lambda *given: 7)
    _certificate.cache_clear()
    error = _error(independent_nodes, 7, laws, 0.5, alpha=0.0079, cutoffs=cutoffs)
    assert error == Fraction(1, 64) > Fraction(0.0079)


def test_counting_inner_nodes_as_proof_of_a_dominating_class_is_caught(monkeypatch):
    """Negative control: B with all nodes given in place of the classes among them. 40 components
    are surely in ab, and a, of probability tau, gets all votes of one of them."""
    options = {"tau": 0.75, "alpha": 0.1, "cutoffs": (18,)}
    laws = ((Fraction(3, 4), Fraction(1, 4), Fraction(0), Fraction(0)),) * 40
    outcomes = [((18, 0, 0, 0),) * lost + ((17, 1, 0, 0),) * (40 - lost) for lost in range(1, 41)]
    assert _certificate(outcomes[0], **options).labels.tolist() == [0, *[4] * 39]
    assert not any(_broken(counts, laws, **options) for counts in outcomes[:2])
    of = Evidence.of
    monkeypatch.setattr(Evidence, "of", staticmethod(lambda *given: of(*given[:4])))
    _certificate.cache_clear()
    # Broken whenever this happens to any component.
    assert all(_broken(counts, laws, **options) for counts in outcomes)
    assert 1 - (1 - tail(18, 18, Fraction(3, 4))) ** 40 > Fraction(options["alpha"])


def _random(seed: int, trials: int = 60) -> cs.VoteCounts:
    rng = np.random.default_rng(seed)
    laws = np.array(
        [[1, 0, 0, 0], [0.9, 0.1, 0, 0], [0.5, 0.5, 0, 0], [0.3, 0.3, 0.4, 0], [0.1, 0, 0.1, 0.8]]
    )
    counts = [rng.multinomial(trials, law) for law in laws[rng.integers(5, size=99)]]
    return cs.VoteCounts(np.array(counts).reshape(9, 11, 4), trials)


@pytest.mark.parametrize("seed", range(4))
def test_classes_are_those_of_regions_and_so_is_what_holds_of_them(seed):
    votes = _random(seed)
    flat = cs.regions(votes, noise=NOISE, alpha=0.01)
    made = cs.regions(votes, noise=NOISE, alpha=0.01, hierarchy=SMALL)
    classes = (made.labels >= 0) & (made.labels < 4)
    assert np.array_equal(np.where(classes, made.labels, -1), flat.labels)
    assert (made.certified & ~classes).any()
    assert made._errors(None) >= flat._errors(None)
    rng = np.random.default_rng(seed)
    for share in (0.1, 0.5, 1.0):
        region = (rng.random((9, 11)) < share) & classes
        assert made.at_least(region) == flat.at_least(region)


@pytest.mark.parametrize("seed", range(4))
def test_each_label_is_the_finest_node_with_enough_votes_and_counts_by_them(seed):
    votes = _random(seed)
    made = cs.regions(votes, noise=NOISE, alpha=0.01, hierarchy=SMALL)
    hits = votes.counts @ LEAVES.T
    values = made._errors.values
    for place in np.ndindex(9, 11):
        passed = [node for node in range(SMALL.num_nodes) if hits[place][node] >= made.cutoff]
        finest = min(passed, key=lambda node: LEAVES[node].sum(), default=-1)
        assert made.labels[place] == finest
        level = made._errors.levels[place]
        assert (level > 0) == (finest >= 0)
        if finest >= 0:
            steps = Regions(alpha=0.01)._steps(votes)
            assert values[level - 1] == steps.values[steps.reached(hits[place][finest])]


def test_a_tree_without_inner_nodes_is_regions():
    flat_tree = cs.Hierarchy("flat", ("a", "b", "c", "d"), (), (-1,) * 4)
    votes = _random(1)
    made = cs.regions(votes, noise=NOISE, hierarchy=flat_tree)
    flat = cs.regions(votes, noise=NOISE)
    assert np.array_equal(made.labels, flat.labels)
    assert made.allowed_errors == flat.allowed_errors


def test_stored_verified_and_stated(tmp_path):
    made = cs.regions(_random(1), noise=NOISE, alpha=0.01, hierarchy=SMALL)
    made.save(tmp_path / "a.cert.npz")
    again = cs.Certificate.load(tmp_path / "a.cert.npz")
    cs.verify(again)
    region = np.zeros((9, 11), dtype=bool)
    region[2:5, 3:9] = True
    assert again.hierarchy == SMALL
    assert again.at_least(region) == made.at_least(region)
    classes = int((made.labels[made.certified] < 4).sum())
    given = int(made.certified.sum())
    said = again.statement()
    assert f"{classes} classes and {given - classes} groups of the hierarchy" in said
    assert f"at least {given - made.allowed_errors} contain the base model's label" in said
    other = cs.Hierarchy("other", SMALL.classes, ("cd",), (-1, -1, 4, 4, -1))
    raised = made.labels.copy()
    raised[raised == 4] = 5
    for changed in ({"hierarchy": None}, {"hierarchy": other}, {"labels": raised}):
        with pytest.raises(cs.ClaimError):
            cs.verify(replace(made, **changed))


def test_what_is_no_hierarchy_of_the_votes():
    votes = _random(0)
    with pytest.raises(cs.InputError, match="expected a Hierarchy, got 'camvid'"):
        cs.regions(votes, noise=NOISE, hierarchy="camvid")
    with pytest.raises(cs.InputError, match="expected a hierarchy over 4 classes, got camvid"):
        cs.regions(votes, noise=NOISE, hierarchy=cs.load_hierarchy("camvid"))
    with pytest.raises(cs.InputError, match="got it with early stopping"):
        SequentialRegions(hierarchy=SMALL, target_coverage=0.5)
