"""Hierarchies (theory T8): the error summed exactly over all outcomes, and the finest node."""

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
from certiseg.certifiers import hierarchical as room
from certiseg.certifiers import segcertify
from certiseg.certifiers.hierarchical import finest, hierarchical
from certiseg.certifiers.segcertify import flat_cutoff
from certiseg.hierarchies import ROOT, Hierarchy, load_hierarchy
from certiseg.stats.pvalues import pooled_pvalues
from certiseg.votes import MOST_TRIALS
from some_votes import some_votes
from trees import (
    SMALL,
    Law,
    ancestors,
    coupled_nodes,
    hierarchies,
    independent_nodes,
    laws_of,
)

NOISE = cs.Gaussian(0.25)
LEAVES = SMALL.leaves()


@pytest.fixture
def tables_once(monkeypatch):
    """All images have the same n: their tables need no computing anew, only time."""
    for name in ("dominant_tail", "wrong_label_tail", "pooled_pvalues", "min_trials"):
        monkeypatch.setattr(segcertify, name, cache(getattr(segcertify, name)))


@cache
def _certified(counts: tuple[tuple[int, ...], ...], **options) -> list[int]:
    votes = cs.VoteCounts(np.array(counts), sum(counts[0]))
    return hierarchical(votes, noise=NOISE, hierarchy=SMALL, **options).labels.tolist()


def _error(outcomes, trials: int, laws: tuple[Law, ...], tau: float, certify, k: int = 1):
    """P(at least k certified nodes have probability <= tau)."""
    false = [[bool(np.dot(row, law) <= Fraction(tau)) for row in LEAVES] + [False] for law in laws]
    return sum(
        (
            weight
            for counts, weight in outcomes(trials, laws)
            if sum(bad[node] for bad, node in zip(false, certify(counts), strict=True)) >= k
        ),
        Fraction(0),
    )


def _worst(outcomes, trials, tau, certify, components: int, k: int = 1) -> Fraction:
    """Largest such probability over which node is the finest above tau, per component."""
    return max(
        _error(outcomes, trials, laws, tau, certify, k)
        for laws in combinations_with_replacement(laws_of(tau), components)
    )


@pytest.mark.parametrize(("outcomes", "components"), [(independent_nodes, 2), (coupled_nodes, 3)])
@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
@pytest.mark.parametrize(("tau", "trials", "alpha"), [(0.5, 7, 0.2), (0.75, 7, 0.5)])
@pytest.mark.usefixtures("tables_once")
def test_family_wise_error_is_at_most_alpha(outcomes, components, correction, tau, trials, alpha):
    def certify(counts):
        return _certified(counts, tau=tau, alpha=alpha, correction=correction)

    assert 0 < _worst(outcomes, trials, tau, certify, components) <= Fraction(alpha)


@pytest.mark.parametrize(("outcomes", "components"), [(independent_nodes, 2), (coupled_nodes, 3)])
@pytest.mark.parametrize("correction", ["k-fwer", "k-fwer-single"])
@pytest.mark.usefixtures("tables_once")
@pytest.mark.slow
def test_at_least_k_errors_have_probability_at_most_alpha(outcomes, components, correction):
    def certify(counts):
        return _certified(counts, tau=0.5, alpha=0.13, correction=correction, budget=2)

    assert 0 < _worst(outcomes, 7, 0.5, certify, components, k=2) <= Fraction(0.13)


@pytest.mark.usefixtures("tables_once")
def test_a_budget_read_as_fewer_errors_is_caught():
    """Negative control: the cutoffs of budget 2 do not keep one error below alpha."""

    def certify(counts):
        return _certified(counts, tau=0.5, alpha=0.13, correction="k-fwer", budget=2)

    assert _worst(independent_nodes, 7, 0.5, certify, 2, k=1) > Fraction(0.13)


@pytest.mark.parametrize("law", range(4), ids=["ab", "abc", "abc, unevenly", "root"])
def test_the_split_pvalue_at_each_level_is_caught(monkeypatch, law):
    """Negative control: h(k, n, tau) alone, as if the nodes of a level had not been chosen by the
    draws that test them; whichever node is the finest above tau, two others share its draws."""
    monkeypatch.setattr(segcertify, "wrong_label_tail", lambda n, tau: np.zeros(n + 1))
    _certified.cache_clear()

    def broken(counts):
        return _certified(counts, tau=0.5, alpha=0.08)

    assert _error(independent_nodes, 7, (laws_of(0.5)[law],), 0.5, broken) > Fraction(0.08)
    _certified.cache_clear()


@pytest.mark.usefixtures("tables_once")
def test_a_cutoff_one_lower_is_caught(monkeypatch):
    """Negative control: the exact test sees a single vote, for one component and for three."""
    monkeypatch.setattr(
        segcertify, "flat_cutoff", lambda *args, **options: flat_cutoff(*args, **options) - 1
    )
    _certified.cache_clear()

    def broken(counts):
        return _certified(counts, tau=0.5, alpha=0.12)

    for law in range(4):
        assert _error(independent_nodes, 7, (laws_of(0.5)[law],), 0.5, broken) > Fraction(0.12)
    assert _worst(independent_nodes, 7, 0.5, broken, 2) > Fraction(0.12)
    _certified.cache_clear()


def test_counting_certified_inner_nodes_as_done_is_caught(monkeypatch):
    """Negative control: Holm with the hits of the best node instead of the best class.

    Two components surely in ab, undecided between a and b, would shrink the multiplicity at once,
    though each may still be given a or b wrongly.
    """
    trials, alpha = 7, 0.3
    laws = (laws_of(0.5)[0], laws_of(0.5)[0], laws_of(0.5)[3])

    def right(counts):
        return _certified(counts, tau=0.5, alpha=alpha)

    def broken(counts):
        best = (np.array(counts) @ LEAVES.T).max(axis=1)

        def cutoff(hits, n, **options):
            return flat_cutoff(best, n, **options)

        monkeypatch.setattr(segcertify, "flat_cutoff", cutoff)
        votes = cs.VoteCounts(np.array(counts), trials)
        options = {"noise": NOISE, "tau": 0.5, "alpha": alpha}
        return hierarchical(votes, hierarchy=SMALL, **options).labels.tolist()

    assert 0 < _error(independent_nodes, trials, laws, 0.5, right) <= Fraction(alpha)
    assert _error(independent_nodes, trials, laws, 0.5, broken) > Fraction(alpha)


def _plain(votes: cs.VoteCounts, hierarchy: Hierarchy, cutoff: int) -> list[int]:
    """By loops: the first node on the way up from each class that has enough votes."""
    leaves, labels = hierarchy.leaves(), []
    for counts in votes.counts.reshape(-1, votes.num_classes):
        reached = [v for v in range(hierarchy.num_nodes) if counts[leaves[v]].sum() >= cutoff]
        # All of them lie on one path, and the finest has the most nodes above it.
        labels.append(max(reached, key=lambda v: len(ancestors(hierarchy, v)), default=cs.ABSTAIN))
    return labels


@st.composite
def _cases(draw):
    hierarchy = draw(hierarchies())
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    trials = draw(st.integers(40, 120))
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 8)))
    return hierarchy, some_votes(rng, shape, hierarchy.num_classes, trials)


@given(_cases(), st.sampled_from([0.5, 0.75]), st.sampled_from(["holm", "bonferroni", "k-fwer"]))
def test_the_finest_node_with_enough_votes(case, tau, correction):
    hierarchy, votes = case
    options = {"tau": tau, "alpha": 0.01, "correction": correction, "noise": NOISE}
    if correction == "k-fwer":
        options["budget"] = 1
    cert = hierarchical(votes, hierarchy=hierarchy, **options)
    assert cert.labels.ravel().tolist() == _plain(votes, hierarchy, cert.cutoff)
    assert cert.labels.shape == votes.shape


@given(_cases(), st.sampled_from([0.5, 0.75]), st.sampled_from(["holm", "bonferroni"]))
def test_classes_are_those_of_the_flat_test(case, tau, correction):
    """So it certifies a superset of the flat test, at the same cutoff and radius."""
    hierarchy, votes = case
    options = {"noise": NOISE, "tau": tau, "alpha": 0.01, "correction": correction}
    flat = cs.certify(votes, **options)
    cert = hierarchical(votes, hierarchy=hierarchy, **options)
    classes = np.where(cert.labels < hierarchy.num_classes, cert.labels, cs.ABSTAIN)
    assert np.array_equal(classes, flat.labels)
    assert (cert.cutoff, cert.radius) == (flat.cutoff, flat.radius)


@given(_cases())
def test_labels_permuted_in_labels_permuted_out(case):
    hierarchy, votes = case
    count = hierarchy.num_classes
    order = np.random.default_rng(0).permutation(count)
    moved = Hierarchy(
        hierarchy.name,
        tuple(hierarchy.classes[i] for i in order),
        hierarchy.nodes,
        (*(hierarchy.parents[i] for i in order), *hierarchy.parents[count:]),
    )
    other = cs.VoteCounts(votes.counts[..., order], votes.trials)
    ids = np.append(order, np.append(np.arange(count, hierarchy.num_nodes), cs.ABSTAIN))
    a = hierarchical(votes, noise=NOISE, hierarchy=hierarchy, alpha=0.01)
    b = hierarchical(other, noise=NOISE, hierarchy=moved, alpha=0.01)
    assert np.array_equal(a.labels, ids[b.labels])


@pytest.mark.parametrize("tau", [0.5, 0.75])
def test_inner_nodes_come_up_at_all(tau):
    """What the properties above compare is not empty: classes, inner nodes and abstentions."""
    counts = np.array([[60, 0, 0, 0], [30, 30, 0, 0], [20, 20, 20, 0], [20, 10, 0, 30]])
    cert = hierarchical(cs.VoteCounts(counts, 60), noise=NOISE, tau=tau, hierarchy=SMALL)
    assert cert.labels.tolist() == [0, 4, 5, cs.ABSTAIN]
    assert cert.method == "hierarchical"
    assert cert.hierarchy == SMALL
    assert cert.abstention == 0.25


def test_parts_and_memory_layouts_do_not_matter(monkeypatch):
    cityscapes = load_hierarchy("cityscapes")
    votes = some_votes(np.random.default_rng(3), (20, 30), 19, 60)
    whole = hierarchical(votes, noise=NOISE, hierarchy=cityscapes).labels
    assert len(np.unique(whole)) > 10
    small = cs.VoteCounts(np.asfortranarray(votes.counts.astype(np.uint8)), 60)
    monkeypatch.setattr(room, "CHUNK", 7)
    assert np.array_equal(hierarchical(small, noise=NOISE, hierarchy=cityscapes).labels, whole)


def test_votes_beyond_the_smallest_types():
    """Node votes are sums: of 8-bit counts they need more than 8 bits, and stay exact."""
    counts = np.array([[100, 100, 55, 0]], dtype=np.uint8)
    cert = hierarchical(cs.VoteCounts(counts, 255), noise=NOISE, hierarchy=SMALL)
    assert cert.labels.tolist() == [5]
    half = MOST_TRIALS // 2 - 1
    most = np.array([[half, half, 1, 1]])
    assert [finest(most, 2 * half + more, SMALL).item() for more in range(3)] == [4, 5, cs.ABSTAIN]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"hierarchy": "small"}, "a Hierarchy, got 'small'"),
        ({"hierarchy": load_hierarchy("camvid")}, "over 4 classes, got camvid over 11"),
        ({"tau": 0.4}, r"tau in \[1/2, 1\)"),
        ({"alpha": 0}, r"alpha in \(0, 1\)"),
        ({"correction": "none"}, "correction holm"),
        ({"budget": 2}, "a budget with the k-fwer corrections"),
        ({"alpha": 1e-9}, "at least [0-9]+ draws for 1 components"),
    ],
)
def test_bad_arguments(options, part):
    votes = cs.VoteCounts(np.array([[60, 0, 0, 0]]), 60)
    with pytest.raises(cs.InputError, match=part) as caught:
        hierarchical(votes, **{"noise": NOISE, "hierarchy": SMALL, **options})
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
@pytest.mark.usefixtures("tables_once")
def test_calibration_at_the_least_favourable_null(correction):
    """100 000 images of 20 independent pixels whose finest node above tau has children of
    probability tau and 1 - tau; that node is ab, abc or the root by turns. n = 60.

    A one-sided binomial test with a false alarm of 1e-6 asks that the measured error is not above
    alpha = 0.05; an error of 0.055 would be seen with probability > 1 - 1e-6.
    """
    tau, alpha, trials, images, pixels = 0.75, 0.05, 60, 100_000, 20
    laws = np.array([(0.75, 0.25, 0, 0), (0.375, 0.375, 0.25, 0), (0, 0, 0.75, 0.25)])
    law = laws[np.arange(pixels) % 3]
    counts = np.random.default_rng(20260102).multinomial(trials, law, size=(images, pixels))
    false = law @ LEAVES.T <= tau
    nodes = np.where(false, counts @ LEAVES.T, 0).max(axis=2)
    # No cutoff is below that of a single pixel, so most images need no call.
    table = pooled_pvalues(trials, tau)
    wrong = 0
    for image in counts[table[nodes.max(axis=1)] <= alpha]:
        votes = cs.VoteCounts(image, trials)
        cert = hierarchical(
            votes, noise=NOISE, tau=tau, alpha=alpha, correction=correction, hierarchy=SMALL
        )
        held = cert.certified
        wrong += bool(false[np.flatnonzero(held), cert.labels[held]].any())
    assert wrong > 0
    assert binomtest(wrong, images, alpha, alternative="greater").pvalue > 1e-6
    # Negative control: the first step's cutoff, one count lower, is seen to exceed alpha.
    lenient = int(np.argmax(pixels * table <= alpha)) - 1
    too_many = int((nodes.max(axis=1) >= lenient).sum())
    assert binomtest(too_many, images, alpha, alternative="greater").pvalue < 1e-6


def test_the_root_is_an_abstention():
    assert ROOT == cs.ABSTAIN
