"""AdaptiveCertify: levels as published, the split test at the chosen level, its exact error."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

import certiseg as cs
from certiseg.certifiers import adaptive as room
from certiseg.certifiers.adaptive import adaptive, levels_from_margins, softmax_margins
from certiseg.hierarchies import ROOT
from exact import multinomial
from some_votes import some_votes
from trees import SMALL, hierarchies

NOISE = cs.Gaussian(0.25)
LEAVES = SMALL.leaves()
HALF, ZERO = Fraction(1, 2), Fraction(0)


def test_levels_as_published():
    """(0, 0, 0.25): a margin at the threshold is below it, and a tie goes to the coarsest."""
    margins = np.array([[0.9, 0.26], [0.25, 0.001], [0.0, 1.0]])
    levels = levels_from_margins(margins, (0, 0, 0.25), SMALL)
    assert levels.tolist() == [[0, 0], [1, 1], [3, 0]]
    assert levels_from_margins(margins, (0.1, 0.5), SMALL).tolist() == [[0, 1], [1, 2], [2, 0]]
    assert not levels_from_margins(margins, (), SMALL).any()


def test_margins():
    posteriors = np.array([[0.5, 0.1, 0.4], [0.2, 0.6, 0.2]], dtype=np.float32)
    assert softmax_margins(posteriors) == pytest.approx([0.1, 0.4], abs=1e-6)
    assert softmax_margins(np.full((2, 3, 4), 0.25)).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize(
    ("margins", "thresholds", "part"),
    [
        ([0.5], (0.3, 0.2), "none below the one before, got"),
        ([0.5], (-0.1, 0.2), r"thresholds in \[0, 1\]"),
        ([0.5], (0.1, float("nan")), r"thresholds in \[0, 1\]"),
        ([0.5], (0, 0, 0, 0.2), "at most 3 thresholds, .* got 4"),
        ([3.5], (0.2,), "pass softmax_margins of probabilities"),
        ([float("nan")], (0.2,), "margins in"),
        ([1], (0.2,), "margins in"),
    ],
)
def test_bad_margins_and_thresholds(margins, thresholds, part):
    with pytest.raises(cs.InputError, match=part) as caught:
        levels_from_margins(margins, thresholds, SMALL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("posteriors", [[0.5], [[1.0], [1.0]], [[1, 0]], 0.5])
def test_bad_posteriors(posteriors):
    with pytest.raises(cs.InputError, match="mean softmax"):
        softmax_margins(posteriors)


def _plain(votes, selection, levels, hierarchy, tau, alpha, correction):
    """From the published pseudo-code: draws renamed to nodes, one SciPy test per component."""
    names = hierarchy.levels()
    candidates, p = [], []
    for counts, choice, level in zip(votes.counts, selection.counts, levels, strict=True):
        renamed = names[level]
        nodes = sorted(set(renamed.tolist()))
        node = max(nodes, key=lambda v: (choice[renamed == v].sum(), -v))
        hits = int(counts[renamed == node].sum()) if node != ROOT else 0
        candidates.append(node)
        p.append(binomtest(hits, votes.trials, tau, alternative="greater").pvalue)
    labels = np.full(len(p), cs.ABSTAIN)
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[index] > alpha / (len(p) - rank if correction == "holm" else len(p)):
            break
        labels[index] = candidates[index]
    return labels


@given(hierarchies(), st.integers(0, 10**6), st.sampled_from(["holm", "bonferroni"]))
def test_equals_the_plain_implementation(hierarchy, seed, correction):
    rng = np.random.default_rng(seed)
    selection, votes = (some_votes(rng, (40,), hierarchy.num_classes, n) for n in (10, 300))
    levels = rng.integers(0, hierarchy.depth + 1, size=40)
    cert = adaptive(
        votes,
        noise=NOISE,
        tau=0.6,
        alpha=0.05,
        hierarchy=hierarchy,
        selection_votes=selection,
        levels=levels,
        correction=correction,
    )
    assert (
        cert.labels.tolist()
        == _plain(votes, selection, levels, hierarchy, 0.6, 0.05, correction).tolist()
    )
    assert np.all(cert.labels[levels == hierarchy.depth] == cs.ABSTAIN)


@given(st.integers(0, 10**6), st.sampled_from(["holm", "bonferroni"]))
def test_level_zero_is_segcertify(seed, correction):
    rng = np.random.default_rng(seed)
    selection, votes = (some_votes(rng, (6, 5), 4, n) for n in (10, 100))
    options = {"noise": NOISE, "alpha": 0.01, "correction": correction}
    flat = cs.certify(votes, selection_votes=selection, **options)
    cert = adaptive(
        votes,
        hierarchy=SMALL,
        selection_votes=selection,
        levels=np.zeros((6, 5), dtype=np.uint8),
        **options,
    )
    assert np.array_equal(cert.labels, flat.labels)
    assert (cert.method, cert.selection, cert.cutoff) == ("adaptive", "split", flat.cutoff)


def test_parts_do_not_matter(monkeypatch):
    rng = np.random.default_rng(5)
    selection, votes = (some_votes(rng, (30, 20), 4, n) for n in (10, 100))
    levels = rng.integers(0, 4, size=(30, 20))
    options = {"noise": NOISE, "hierarchy": SMALL, "selection_votes": selection, "levels": levels}
    whole = adaptive(votes, **options)
    monkeypatch.setattr(room, "CHUNK", 7)
    assert np.array_equal(adaptive(votes, **options).labels, whole.labels)
    assert set(np.unique(whole.labels).tolist()) == {-1, 0, 1, 2, 3, 4, 5}


# Per level a law of a, b, c, d at which a node of that level has probability 1/2.
_LAWS = [(HALF, HALF, ZERO, ZERO), (HALF / 2, HALF / 2, ZERO, HALF), (ZERO, ZERO, HALF, HALF)]


def _error(trials: int, alpha: float, levels: tuple[int, ...], chooser) -> Fraction:
    """P(some certified node has probability <= 1/2), independent components, summed exactly.

    chooser: the counts that choose the candidates, from the counts of the test draws.
    """
    laws = [_LAWS[level] for level in levels]
    false = [[bool(np.dot(row, law) <= HALF) for row in LEAVES] + [False] for law in laws]
    tables = [[(c, w) for c, w in multinomial(trials, list(law)) if w] for law in laws]
    error = Fraction(0)
    for cells in product(*tables):
        counts = np.array([c for c, _ in cells])
        chosen = chooser(counts)
        cert = adaptive(
            cs.VoteCounts(counts, trials),
            noise=NOISE,
            tau=0.5,
            alpha=alpha,
            hierarchy=SMALL,
            selection_votes=cs.VoteCounts(chosen, int(chosen[0].sum())),
            levels=np.array(levels),
        )
        if any(bad[node] for bad, node in zip(false, cert.labels, strict=True)):
            weight = Fraction(1)
            for _, w in cells:
                weight *= w
            error += weight
    return error


@pytest.mark.parametrize("levels", [(0, 0), (0, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("favoured", range(4))
def test_family_wise_error_is_at_most_alpha(levels, favoured):
    """Whatever the selection draws chose."""
    choice = np.zeros((2, 4), dtype=int)
    choice[:, favoured] = 3
    assert _error(7, 0.2, levels, lambda counts: choice) <= Fraction(0.2)


@pytest.mark.parametrize("level", range(3))
def test_candidates_from_the_test_draws_are_caught(level):
    """Negative control: at every level, the draws that chose the node test it too."""
    assert _error(7, 0.08, (level,), lambda counts: counts.copy()) > Fraction(0.08)
    choice = np.array([[0, 0, 3, 0]] if level == 2 else [[3, 0, 0, 0]])
    assert 0 < _error(7, 0.08, (level,), lambda counts: choice) <= Fraction(0.08)


VOTES = cs.VoteCounts(np.array([[60, 0, 0, 0]] * 3), 60)
SELECTION = cs.VoteCounts(np.array([[10, 0, 0, 0]] * 3), 10)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"levels": [0, 1]}, r"levels of shape \(3,\), got int64 of shape \(2,\)"),
        ({"levels": [0.0, 1.0, 2.0]}, "whole levels .*, got float64"),
        ({"levels": [0, 1, 4]}, r"levels in \[0, 3\], .* got \[0, 4\]"),
        ({"levels": [0, 1, -1]}, r"got \[-1, 1\]"),
        ({"correction": "k-fwer"}, "holm or bonferroni with AdaptiveCertify, got 'k-fwer'"),
        ({"selection_votes": VOTES}, "the same votes twice"),
        ({"hierarchy": None}, "a Hierarchy, got None"),
        ({"tau": 1.0}, r"tau in \[1/2, 1\)"),
        ({"alpha": 1e-9}, "at least [0-9]+ draws for 3 components"),
    ],
)
def test_bad_arguments(options, part):
    given_options = {
        "noise": NOISE,
        "hierarchy": SMALL,
        "selection_votes": SELECTION,
        "levels": [0, 1, 2],
    }
    assert adaptive(VOTES, **given_options).labels.tolist() == [0, 4, 5]
    with pytest.raises(cs.InputError, match=part) as caught:
        adaptive(VOTES, **{**given_options, **options})
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_calibration_at_the_least_favourable_null(correction):
    """100 000 images of 20 pixels tested at level 1, where their node has p = tau = 0.75, n = 60.

    One-sided binomial test of the measured error against alpha = 0.05, false alarm 1e-6; an error
    of 0.055 would be seen with probability > 1 - 1e-6. Negative control: a cutoff one count lower.
    """
    tau, alpha, trials, images, pixels = 0.75, 0.05, 60, 100_000, 20
    hits = np.random.default_rng(20260105).binomial(trials, tau, size=(images, pixels))
    distinct, times = np.unique(np.sort(hits, axis=1), axis=0, return_counts=True)
    tree = cs.Hierarchy("calibrated", ("a", "b", "c"), ("ab",), (3, 3, -1, -1))
    select = cs.VoteCounts(np.tile([6, 4, 0], (pixels, 1)), 10)

    def certified(row) -> bool:
        counts = np.stack([row // 2, row - row // 2, trials - row], axis=-1)
        cert = adaptive(
            cs.VoteCounts(counts, trials),
            noise=NOISE,
            tau=tau,
            alpha=alpha,
            hierarchy=tree,
            selection_votes=select,
            levels=np.ones(pixels, dtype=int),
            correction=correction,
        )
        return bool(cert.certified.any())

    # Nothing passes below the cutoff of a single pixel, so most images need no call.
    lowest = next(k for k in range(trials + 1) if certified(np.array([k] + [0] * (pixels - 1))))
    rows = distinct[:, -1] >= lowest
    wrong = sum(
        int(t) for row, t in zip(distinct[rows], times[rows], strict=True) if certified(row)
    )
    assert wrong > 0
    assert binomtest(wrong, images, alpha, alternative="greater").pvalue > 1e-6
    too_many = int((hits.max(axis=1) >= lowest - 1).sum())
    assert binomtest(too_many, images, alpha, alternative="greater").pvalue < 1e-6
