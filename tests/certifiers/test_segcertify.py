"""SegCertify as users call it: parity with a plain implementation, properties, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

import certiseg as cs
from some_votes import random_votes, some_votes

NOISE = cs.Gaussian(0.25)


def _plain_segcertify(selection, votes, tau, alpha, correction):
    """SegCertify of the paper, written from its pseudo-code: one SciPy test per pixel, sorting."""
    candidates = selection.counts.argmax(-1).ravel()
    counts = votes.counts.reshape(-1, votes.counts.shape[-1])
    p = [
        binomtest(int(row[c]), votes.trials, tau, alternative="greater").pvalue
        for row, c in zip(counts, candidates, strict=True)
    ]
    labels = np.full(len(p), -1)
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        left = len(p) - rank if correction == "holm" else len(p)
        if p[index] > alpha / left:
            break
        labels[index] = candidates[index]
    return labels.reshape(votes.shape)


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
@pytest.mark.parametrize("tau", [0.6, 0.75, 0.95])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_split_equals_the_plain_implementation(seed, tau, correction):
    rng = np.random.default_rng(seed)
    selection, votes = (some_votes(rng, (12, 15), 4, n) for n in (10, 300))
    # Both stages of one experiment: the same components, the candidates may differ.
    rng = np.random.default_rng(seed)
    cert = cs.certify(
        votes,
        noise=NOISE,
        tau=tau,
        alpha=0.05,
        correction=correction,
        selection_votes=selection,
    )
    assert np.array_equal(cert.labels, _plain_segcertify(selection, votes, tau, 0.05, correction))


@given(random_votes(), st.sampled_from([0.5, 0.6, 0.75, 0.85]))
def test_holm_certifies_a_superset_of_bonferroni(votes, tau):
    options = {"noise": NOISE, "tau": tau, "alpha": 0.01}
    holm = cs.certify(votes, correction="holm", **options)
    bonferroni = cs.certify(votes, correction="bonferroni", **options)
    assert np.all(holm.certified | ~bonferroni.certified)
    assert np.array_equal(holm.labels[bonferroni.certified], votes.mode()[bonferroni.certified])


@given(random_votes())
def test_labels_permuted_in_labels_permuted_out(votes):
    order = np.random.default_rng(0).permutation(votes.num_classes)
    moved = cs.VoteCounts(votes.counts[..., order], votes.trials)
    a = cs.certify(votes, noise=NOISE, alpha=0.01).labels
    b = cs.certify(moved, noise=NOISE, alpha=0.01).labels
    assert np.array_equal(a, np.where(b < 0, b, order[b]))


@given(random_votes())
def test_components_permuted_in_components_permuted_out(votes):
    order = np.random.default_rng(0).permutation(votes.num_components)
    moved = cs.VoteCounts(votes.counts[order], votes.trials)
    a = cs.certify(votes, noise=NOISE, alpha=0.01).labels
    assert np.array_equal(a[order], cs.certify(moved, noise=NOISE, alpha=0.01).labels)


@given(random_votes())
def test_certified_means_hits_at_the_cutoff(votes):
    cert = cs.certify(votes, noise=NOISE, alpha=0.01)
    hits = votes.counts.max(-1)
    assert np.array_equal(cert.certified, hits >= cert.cutoff)
    assert np.all(hits[cert.certified] > 0.75 * votes.trials)


def test_radius_and_types():
    counts = np.zeros((2, 3, 4), dtype=np.uint8)
    counts[..., 2] = 100
    cert = cs.certify(cs.VoteCounts(counts, 100), noise=NOISE, tau=0.75, alpha=1e-3)
    assert cert.radius == NOISE.radius(0.75)
    assert cert.labels.shape == (2, 3)
    assert np.issubdtype(cert.labels.dtype, np.signedinteger)
    assert cert.abstention == 0.0


GOOD = cs.VoteCounts(np.full((3, 1), 100), 100)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"tau": 0.49}, r"tau in \[1/2, 1\), got 0.49"),
        ({"tau": 1.0}, r"tau in \[1/2, 1\), got 1"),
        ({"alpha": 0.0}, r"alpha in \(0, 1\), got 0"),
        ({"alpha": 1.0}, r"alpha in \(0, 1\), got 1"),
        ({"correction": "none"}, "holm, bonferroni, k-fwer or k-fwer-single .*, got 'none'"),
        ({"selection": "split"}, "selection_votes"),
        ({"selection": "pooled", "selection_votes": GOOD}, "selection_votes"),
        ({"selection": "best"}, "selection"),
        (
            {"selection_votes": cs.VoteCounts(np.full((2, 1), 10), 10)},
            r"selection votes of shape \(3, 1\)",
        ),
    ],
)
def test_bad_arguments(options, part):
    with pytest.raises(cs.InputError, match=part) as caught:
        cs.certify(GOOD, noise=NOISE, **options)
    assert "\n" not in str(caught.value)


def test_the_number_that_would_do_is_for_this_many_components():
    """Ranges are checked first; n only against the components that are there."""
    few = cs.VoteCounts(np.full((1000, 1), 20), 20)
    with pytest.raises(cs.InputError, match="at least 49 draws for 1000 components"):
        cs.certify(few, noise=NOISE)
    enough = cs.certify(cs.VoteCounts(np.full((1000, 1), 49), 49), noise=NOISE)
    assert enough.abstention == 0.0
