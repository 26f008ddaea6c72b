"""What every method on votes must do alike: order of parts, of labels and of components."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import certiseg as cs
from some_votes import some_votes

NOISE = cs.Gaussian(0.25)
TREE = cs.Hierarchy("pairs", ("a", "b", "c", "d"), ("ab", "cd"), (4, 4, 5, 5, -1, -1))

METHODS: dict[str, Callable[[cs.VoteCounts], cs.Certificate]] = {
    "holm": lambda v: cs.certify(v, noise=NOISE, alpha=0.01),
    "bonferroni": lambda v: cs.certify(v, noise=NOISE, alpha=0.01, correction="bonferroni"),
    "k-fwer": lambda v: cs.certify(v, noise=NOISE, alpha=0.01, correction="k-fwer", budget=0.1),
    "k-fwer single": lambda v: cs.certify(
        v, noise=NOISE, alpha=0.01, correction="k-fwer-single", budget=1
    ),
    "radius map": lambda v: cs.radius_map(v, noise=NOISE, alpha=0.01),
    "hierarchical": lambda v: cs.hierarchical(v, noise=NOISE, alpha=0.01, hierarchy=TREE),
    "regions": lambda v: cs.regions(v, noise=NOISE, alpha=0.01),
    "individual": lambda v: cs.individual(v, noise=NOISE, alpha=0.01),
}


every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@st.composite
def _parts(draw):
    """Votes of one experiment in three parts."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    shape = (draw(st.integers(1, 60)),)
    return [some_votes(np.random.default_rng(7), shape, 4, int(n)) for n in rng.integers(20, 40, 3)]


def _same(one: cs.Certificate, other: cs.Certificate) -> bool:
    return np.array_equal(one.labels, other.labels) and np.array_equal(one.radius, other.radius)


@every_method
@given(parts=_parts(), order=st.permutations(range(3)))
def test_parts_added_in_any_order_give_the_same_certificate(method, parts, order):
    first, second, third = (parts[i] for i in order)
    assert _same(method(parts[0] + parts[1] + parts[2]), method(first + (second + third)))


@every_method
@given(parts=_parts(), seed=st.integers(0, 10**6))
def test_components_permuted_in_components_permuted_out(method, parts, seed):
    votes = parts[0] + parts[1]
    order = np.random.default_rng(seed).permutation(votes.num_components)
    one, moved = method(votes), method(cs.VoteCounts(votes.counts[order], votes.trials))
    assert np.array_equal(one.labels[order], moved.labels)
    if isinstance(one.radius, np.ndarray):
        assert np.array_equal(one.radius[order], moved.radius)


@every_method
@given(parts=_parts(), order=st.sampled_from([(1, 0, 2, 3), (2, 3, 0, 1), (3, 2, 1, 0)]))
def test_labels_permuted_in_labels_permuted_out(method, parts, order):
    """The permutations keep the pairs of the tree, whose nodes move along."""
    votes = parts[0] + parts[1] + parts[2]
    # Label order[c] becomes label c; a pair goes where its members go.
    names = np.array([*order, *((4, 5) if order[0] < 2 else (5, 4)), -1])
    counts = votes.counts[:, list(order)]
    # Equal counts have no order of their own: the smaller label wins in both.
    unique = np.sort(votes.counts, axis=1)
    clear = unique[:, -1] > unique[:, -2]
    one, moved = method(votes), method(cs.VoteCounts(counts, votes.trials))
    assert np.array_equal(one.labels[clear], names[moved.labels][clear])
