"""Hierarchical certification: the finest node of a class hierarchy that can be certified (T8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.statement import quoted
from certiseg.certifiers.segcertify import Budget, Correction, SegCertify
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.noise import Noise
from certiseg.votes import ABSTAIN, Selection, VoteCounts, labels_dtype

CHUNK = 2**17
"""Components per block when counting votes for nodes, to bound memory."""


@dataclass(frozen=True, kw_only=True)
class Hierarchical(SegCertify):
    """SegCertify along a hierarchy of classes; ``hierarchical`` states the guarantee."""

    name: ClassVar[str] = "hierarchical"
    title: ClassVar[str] = "hierarchy"
    option: ClassVar[str] = "--hierarchy"
    selections: ClassVar[tuple[Selection, ...]] = ("pooled",)
    level: ClassVar[str] = "T8"

    hierarchy: Hierarchy

    def __post_init__(self) -> None:
        super().__post_init__()
        check_hierarchy(self.hierarchy)

    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """See ``hierarchical``."""
        check_hierarchy(self.hierarchy, votes)
        # The flat test sets the cutoff. Components certified at an inner node do not count as
        # rejected hypotheses: a finer node could still be wrong (T8).
        flat = super().certify(votes, noise=noise, selection_votes=selection_votes)
        assert flat.cutoff is not None
        labels = finest_nodes(votes, flat.labels, flat.cutoff, self.hierarchy)
        return replace(flat, labels=labels, hierarchy=self.hierarchy)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """Selected by a hierarchy without thresholds and without regions."""
        if settings["hierarchy"] is None or settings["thresholds"] is not None:
            return None
        if settings.get("regions"):
            return None
        names = ("tau", "alpha", "correction", "budget", "hierarchy")
        return cls(**{name: settings[name] for name in names})

    @classmethod
    def tested_by(cls, certificate: Certificate) -> str:
        tree, flat = certificate.hierarchy, super().tested_by(certificate)
        # A damaged file may lack the hierarchy; verify refuses it later.
        if tree is None:
            return flat
        return f"{flat}{along(tree, cls.level)}"


def hierarchical(
    votes: VoteCounts,
    *,
    noise: Noise,
    tau: float = 0.75,
    alpha: float = 1e-3,
    hierarchy: Hierarchy,
    correction: Correction = "holm",
    budget: Budget = None,
) -> Certificate:
    """Certify for every component the finest node of a class hierarchy that passes the test.

    Guarantee: with probability >= 1 - alpha over the draws, every certified node has probability
    > tau under the noise, so under every perturbation of norm < ``noise.radius(tau)`` the base
    model's label under noise lies in that node with probability > 1/2, for all certified
    components at once (theory T1, T8). With an error budget k: all but at most k - 1 of them (T5).
    For an inner node this does not imply that the majority class stays the same or in the node.

    Args:
        votes: counts (*components, C); all draws choose and test (T3).
        noise: noise of the draws.
        tau: in [1/2, 1), fixed before sampling.
        alpha: error probability in (0, 1), fixed before sampling.
        hierarchy: over the classes of the votes, fixed before sampling.
        correction: "holm", "bonferroni", "k-fwer" or "k-fwer-single".
        budget: k in [1, N], or a fraction of N in (0, 1), with the k-fwer corrections.

    Returns:
        The certificate. Labels are ids of nodes, classes first; ABSTAIN where only the root passes.
        The classes among them are exactly those that ``certify`` gives.

    Raises:
        InputError: as ``certify``, and for a hierarchy over other classes.

    Example:
        >>> import certiseg as cs
        >>> tree = cs.Hierarchy("street", ("road", "car", "bus"), ("vehicle",), (-1, 3, 3, -1))
        >>> votes = cs.VoteCounts([[0, 50, 50], [99, 1, 0]], 100)
        >>> labels = cs.hierarchical(votes, noise=cs.Gaussian(0.25), hierarchy=tree).labels
        >>> [tree.names[label] for label in labels]
        ['vehicle', 'road']

    Reference:
        theory T3, T4, T5, T8.
    """
    method = Hierarchical(
        tau=tau, alpha=alpha, hierarchy=hierarchy, correction=correction, budget=budget
    )
    return method.certify(votes, noise=noise)


def check_hierarchy(hierarchy: object, votes: VoteCounts | None = None) -> None:
    """Raise InputError unless this is a hierarchy, over the classes of the votes."""
    if not isinstance(hierarchy, Hierarchy):
        raise InputError(
            f"expected a Hierarchy, got {hierarchy!r:.80}; "
            "read one with certiseg.hierarchies.load_hierarchy"
        )
    if votes is not None and hierarchy.num_classes != votes.num_classes:
        raise InputError(
            f"expected a hierarchy over {votes.num_classes} classes, got {hierarchy.name} over "
            f"{hierarchy.num_classes}; it must list the model's classes in label order"
        )


def along(hierarchy: Hierarchy, theorem: str) -> str:
    """Phrase of a statement for a test along a hierarchy."""
    return (
        f", along the hierarchy {quoted(hierarchy.name)} "
        f"(fingerprint {hierarchy.fingerprint[:12]}, {theorem})"
    )


def finest_nodes(
    votes: VoteCounts, labels: NDArray[np.signedinteger], cutoff: int, hierarchy: Hierarchy
) -> NDArray[np.signedinteger]:
    """Labels with at least ``cutoff`` votes, and where there are none (ABSTAIN), the finest inner
    node that has as many (theory T8)."""
    found: NDArray[np.signedinteger] = labels.reshape(-1).astype(labels_dtype(hierarchy.num_nodes))
    if cutoff <= votes.trials and hierarchy.nodes:
        counts = votes.counts.reshape(-1, votes.num_classes)
        rest = np.flatnonzero(found == ABSTAIN)
        for start in range(0, len(rest), CHUNK):
            part = rest[start : start + CHUNK]
            found[part] = finest(counts[part], cutoff, hierarchy)
    return found.reshape(votes.shape)


def node_hits(
    votes: VoteCounts, labels: NDArray[np.signedinteger], hierarchy: Hierarchy
) -> NDArray[np.int64]:
    """Vote count of the given node of each component, 0 where it is ABSTAIN."""
    given = labels.reshape(-1)
    inner = labels >= hierarchy.num_classes
    hits = np.where(labels == ABSTAIN, 0, votes.hits(np.where(inner, 0, labels))).reshape(-1)
    counts, leaves = votes.counts.reshape(-1, votes.num_classes), hierarchy.leaves()
    for node in np.unique(labels[inner]):
        members = np.flatnonzero(given == node)
        for start in range(0, len(members), CHUNK):
            part = members[start : start + CHUNK]
            hits[part] = counts[part][:, leaves[node]].sum(axis=1)
    return hits.reshape(votes.shape)


def finest(counts: NDArray[np.integer], cutoff: int, hierarchy: Hierarchy) -> NDArray[np.intp]:
    """Inner node with the fewest classes among those with at least ``cutoff`` votes.

    counts: ints (m, C). cutoff: more than half of the draws, so that all such nodes lie on one path
    to the root. Returns ids (m,), ABSTAIN where only the root has that many.
    """
    inside = hierarchy.leaves()[hierarchy.num_classes :]
    order = np.argsort(inside.sum(axis=1), kind="stable")
    # Sums of counts are exact in float32, as trials < 2^24 (MOST_TRIALS).
    reached = counts.astype(np.float32) @ inside[order].T.astype(np.float32) >= cutoff
    return np.where(
        reached.any(axis=1), hierarchy.num_classes + order[reached.argmax(axis=1)], ABSTAIN
    )
