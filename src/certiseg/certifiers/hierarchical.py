"""Hierarchical certification: where no class can be certified, the finest node that can (T8)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.segcertify import Budget, certify
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.noise import Noise
from certiseg.votes import ABSTAIN, VoteCounts, labels_dtype

CHUNK = 2**17
"""Components whose votes for nodes are counted at once, so that memory does not grow with both."""


def hierarchical(
    votes: VoteCounts,
    *,
    noise: Noise,
    tau: float = 0.75,
    alpha: float = 1e-3,
    hierarchy: Hierarchy,
    correction: str = "holm",
    budget: Budget = None,
) -> Certificate:
    """Certify for every component the finest node of a class hierarchy that holds.

    Guarantee: with probability >= 1 - alpha over the draws, every certified node has probability
    > tau under the noise, so under every perturbation of norm < ``noise.radius(tau)`` the base
    model's label under noise lies in that node with probability > 1/2, for all certified
    components at once (theory T1, T8). With an error budget k: all but at most k - 1 of them (T5).
    For an inner node this does not say that its most frequent class stays the same, or in it.
    votes: counts (*components, C); all draws choose and test (T3). hierarchy: over these classes;
    tau in [1/2, 1), alpha in (0, 1), hierarchy, correction and budget (as of ``certify``) must be
    fixed before sampling.
    labels: ids of nodes, classes first; ABSTAIN where only the root would hold. The classes among
    them are exactly those that ``certify`` gives with the same parameters.
    Raises InputError for what ``certify`` refuses, and for a hierarchy over other classes.
    Source: theory T3, T4, T5, T8.
    """
    check_classes(votes, hierarchy)
    # The flat test decides classes and cutoff: a component whose inner node is certified still
    # runs the whole risk of a wrong finer node, and must not count as done (T8).
    flat = certify(votes, noise=noise, tau=tau, alpha=alpha, correction=correction, budget=budget)
    assert flat.cutoff is not None
    narrow = labels_dtype(hierarchy.num_nodes)
    labels: NDArray[np.signedinteger] = flat.labels.reshape(-1).astype(narrow)
    if flat.cutoff <= votes.trials and hierarchy.nodes:
        counts = votes.counts.reshape(-1, votes.num_classes)
        rest = np.flatnonzero(labels == ABSTAIN)
        for start in range(0, len(rest), CHUNK):
            part = rest[start : start + CHUNK]
            labels[part] = finest(counts[part], flat.cutoff, hierarchy)
    return replace(
        flat, method="hierarchical", labels=labels.reshape(votes.shape), hierarchy=hierarchy
    )


def finest(counts: NDArray[np.integer], cutoff: int, hierarchy: Hierarchy) -> NDArray[np.intp]:
    """The inner node with the fewest classes among those with at least ``cutoff`` votes.

    counts: ints (m, C), cutoff more than half of the draws, so that the nodes that reach it lie
    on one path to the root. Returns ids (m,), ABSTAIN where only the root reaches it.
    """
    inside = hierarchy.leaves()[hierarchy.num_classes :]
    order = np.argsort(inside.sum(axis=1), kind="stable")
    # Whole numbers up to 2^24 are exact in float32, and trials are fewer (votes.py).
    reached = counts.astype(np.float32) @ inside[order].T.astype(np.float32) >= cutoff
    return np.where(
        reached.any(axis=1), hierarchy.num_classes + order[reached.argmax(axis=1)], ABSTAIN
    )


def check_classes(votes: VoteCounts, hierarchy: Hierarchy) -> None:
    """Raise InputError unless the hierarchy is one, over as many classes as the votes have."""
    if not isinstance(hierarchy, Hierarchy):
        raise InputError(
            f"expected a Hierarchy, got {hierarchy!r:.80}; "
            "read one with certiseg.hierarchies.load_hierarchy"
        )
    if hierarchy.num_classes != votes.num_classes:
        raise InputError(
            f"expected a hierarchy over {votes.num_classes} classes, got {hierarchy.name} over "
            f"{hierarchy.num_classes}; it must list the model's classes in label order"
        )
