"""AdaptiveCertify: each component is tested at a hierarchy level chosen by separate draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.checks import check_stages
from certiseg.certifiers.hierarchical import CHUNK, Hierarchical, check_hierarchy
from certiseg.certifiers.segcertify import Correction
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import ROOT, Hierarchy
from certiseg.noise import Noise
from certiseg.votes import ABSTAIN, Selection, VoteCounts, VoteSource, labels_dtype


class SelectingSource(VoteSource, Protocol):
    """A vote source whose model returns logits."""

    def select(self, draws: int) -> tuple[VoteCounts, NDArray[np.floating]]:
        """Vote counts of new draws and their mean softmax (*components, C)."""


@dataclass(frozen=True, kw_only=True)
class Adaptive(Hierarchical):
    """AdaptiveCertify with its parameters; ``adaptive`` states the guarantee.

    thresholds: of ``levels_from_margins``; used by ``ask`` alone.
    """

    name: ClassVar[str] = "adaptive"
    title: ClassVar[str] = "AdaptiveCertify"
    fixed_draws: ClassVar[bool] = False
    needs_logits: ClassVar[bool] = True
    corrections: ClassVar[tuple[Correction, ...]] = ("holm", "bonferroni")
    selections: ClassVar[tuple[Selection, ...]] = ("split",)
    level: ClassVar[str] = "at a level for each component"

    selection: Selection = "split"
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        # Called with dummy margins, to validate the thresholds.
        levels_from_margins(np.zeros(1), self.thresholds, self.hierarchy)

    def certify(
        self,
        votes: VoteCounts,
        *,
        noise: Noise,
        selection_votes: VoteCounts | None = None,
        levels: ArrayLike | None = None,
    ) -> Certificate:
        """See ``adaptive``."""
        tested = self._checked(votes, noise)
        check_hierarchy(self.hierarchy, votes)
        if selection_votes is None or levels is None:
            raise InputError(
                "expected selection_votes and levels with AdaptiveCertify, got one missing; "
                "its draws choose both, then others test"
            )
        check_stages(votes, selection_votes)
        chosen = _checked_levels(levels, votes.shape, self.hierarchy.depth)
        candidates, hits = _node_hits(votes, selection_votes, chosen, self.hierarchy)
        cutoff = self.cutoff(hits, votes.trials, tested)
        labels = np.where(hits >= cutoff, candidates, ABSTAIN)
        return self._made(
            labels.astype(labels_dtype(self.hierarchy.num_nodes)),
            votes,
            noise,
            cutoff=cutoff,
            selection_votes=selection_votes,
            hierarchy=self.hierarchy,
            levels=chosen,
        )

    def ask(
        self, source: VoteSource, *, noise: Noise, num_samples: int, selection_samples: int = 0
    ) -> Certificate:
        """Draw to choose levels and candidate nodes, draw again to test them, and certify."""
        selection_votes, posterior = cast(SelectingSource, source).select(selection_samples)
        self.check_draws(selection_votes.num_components, num_samples)
        levels = levels_from_margins(softmax_margins(posterior), self.thresholds, self.hierarchy)
        del posterior  # as large as logits
        votes = source.more(num_samples)
        return self.certify(votes, noise=noise, selection_votes=selection_votes, levels=levels)

    @classmethod
    def of(cls, stored: Certificate) -> Self:
        """The method with stored parameters; without thresholds, since levels are stored."""
        names = ("tau", "alpha", "correction", "budget", "selection", "hierarchy")
        return cls(**{name: getattr(stored, name) for name in names})

    def recompute(self, stored: Certificate) -> Certificate:
        return self.certify(
            stored.votes,
            noise=stored.noise,
            selection_votes=stored.selection_votes,
            levels=stored.levels,
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """Selected by thresholds."""
        if settings["thresholds"] is None:
            return None
        if settings["hierarchy"] is None:
            raise InputError("expected --hierarchy with --thresholds, got none; name one")
        names = ("tau", "alpha", "correction", "budget", "hierarchy")
        return cls(
            thresholds=tuple(settings["thresholds"]), **{name: settings[name] for name in names}
        )

    @classmethod
    def assumed(cls, certificate: Certificate) -> str | None:
        return "the caller answers for the levels, which no draw of the test may have chosen"


def adaptive(
    votes: VoteCounts,
    *,
    noise: Noise,
    tau: float = 0.75,
    alpha: float = 1e-3,
    hierarchy: Hierarchy,
    selection_votes: VoteCounts,
    levels: ArrayLike,
    correction: Correction = "holm",
) -> Certificate:
    """AdaptiveCertify as published: selection draws choose level and node, votes test the node.

    Guarantee: with probability >= 1 - alpha over the draws, every certified node has probability
    > tau under the noise, as in ``hierarchical``. By T2 alone: given the selection draws, node and
    level of a component are fixed, so its p-value is ``h(k, n, tau)``. The candidate is the node
    with most selection votes at the component's level (the smallest id on a tie). Components at
    the root's level abstain, and N includes them.

    Args:
        votes: counts (*components, C) of the testing draws.
        noise: noise of the draws.
        tau: in [1/2, 1), fixed before sampling.
        alpha: error probability in (0, 1), fixed before sampling.
        hierarchy: over the classes of the votes; ``Hierarchy.levels`` gives the node of each class
            at each level.
        selection_votes: counts of separate draws.
        levels: ints (*components) in [0, depth], chosen without the testing draws, such as by
            ``levels_from_margins``.
        correction: "holm", or "bonferroni" as published.

    Returns:
        The certificate; labels are ids of nodes.

    Raises:
        InputError: as ``certify``, for a hierarchy over other classes, and for invalid levels.

    Reference:
        Anani, Lorenz, Schiele, Fritz 2024, Algorithm AdaptiveCertify; theory T2, T4.
    """
    method = Adaptive(tau=tau, alpha=alpha, hierarchy=hierarchy, correction=correction)
    return method.certify(votes, noise=noise, selection_votes=selection_votes, levels=levels)


def softmax_margins(posteriors: ArrayLike) -> NDArray[np.floating]:
    """Difference of the two largest entries of a mean softmax (*components, C): (*components)."""
    p = np.asarray(posteriors)
    if p.ndim < 1 or p.shape[-1] < 2 or p.dtype.kind != "f":
        raise InputError(
            f"expected a mean softmax (*components, C) of at least 2 classes, got {p.dtype} of "
            f"shape {p.shape}; the last axis holds the classes"
        )
    margins = np.empty(p.shape[:-1], p.dtype)
    # Row by row: a copy of the whole is as large as logits.
    for row in np.ndindex(p.shape[: max(0, p.ndim - 2)]):
        top = np.partition(p[row], p.shape[-1] - 2, axis=-1)[..., -2:]
        margins[row] = top[..., 1] - top[..., 0]
    return margins


def levels_from_margins(
    margins: ArrayLike, thresholds: Sequence[float], hierarchy: Hierarchy
) -> NDArray[np.int16]:
    """Level of each component by the published rule: smaller margins get coarser levels.

    margins: floats (*components) in [0, 1], the difference of the two largest entries of the mean
    softmax over the *selection* draws (``softmax_margins``). thresholds: nondecreasing, from the
    coarsest level to level 1, as published. A component gets the coarsest level whose threshold is
    at least its margin, or level 0 (the classes) if there is none. Published for Cityscapes:
    (0, 0, 0.25), which means level 1 up to a margin of 0.25 and level 3 at an exact tie.
    Returns int16 (*components) in [0, len(thresholds)].
    Raises InputError for margins or thresholds outside [0, 1], decreasing thresholds, and more
    thresholds than the hierarchy has levels above the classes.
    Source: Anani, Lorenz, Schiele, Fritz 2024, and the configurations of its code.
    """
    limits = np.asarray(thresholds, dtype=np.float64)
    ordered = limits.ndim == 1 and np.all(np.diff(limits) >= 0)
    if not ordered or not np.all((limits >= 0) & (limits <= 1)):
        raise InputError(
            f"expected thresholds in [0, 1] from the coarsest level to the finest, none below the "
            f"one before, got {thresholds!r:.80}; such as (0, 0, 0.25)"
        )
    if len(limits) > hierarchy.depth:
        raise InputError(
            f"expected at most {hierarchy.depth} thresholds, one a level of {hierarchy.name} above "
            f"the classes, got {len(limits)}; leave out the coarsest, which come first"
        )
    margin = np.asarray(margins)
    # Margins of a softmax exceed 1 by rounding only; those of logits are larger.
    if margin.dtype.kind != "f" or not np.all((margin >= 0) & (margin <= 1 + 1e-3)):
        span = f" in [{margin.min()}, {margin.max()}]" if margin.size else ""
        raise InputError(
            "expected margins in [0, 1] between the two largest mean softmax values, got "
            f"{margin.dtype}{span}; pass softmax_margins of probabilities, not of logits"
        )
    levels = np.zeros(margin.shape, dtype=np.int16)
    for level, limit in enumerate(limits[::-1], start=1):
        levels[margin <= limit] = level
    return levels


def _checked_levels(levels: ArrayLike, shape: tuple[int, ...], depth: int) -> NDArray[np.int16]:
    chosen = np.asarray(levels)
    if chosen.dtype.kind not in "iu" or chosen.shape != shape:
        raise InputError(
            f"expected whole levels of shape {shape}, got {chosen.dtype} of shape {chosen.shape}; "
            "choose one level a component"
        )
    if chosen.min() < 0 or chosen.max() > depth:
        raise InputError(
            f"expected levels in [0, {depth}], from the classes to the root, got "
            f"[{chosen.min()}, {chosen.max()}]; see Hierarchy.levels"
        )
    return chosen.astype(np.int16)


def _node_hits(
    votes: VoteCounts, selection_votes: VoteCounts, levels: NDArray[np.int16], hierarchy: Hierarchy
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Candidate node of each component at its level and its vote count; ROOT and 0 at the root."""
    candidates = np.full(votes.num_components, ROOT, dtype=np.int32)
    hits = np.zeros(votes.num_components, dtype=np.int64)
    select, test = (v.counts.reshape(-1, v.num_classes) for v in (selection_votes, votes))
    for level, names in enumerate(hierarchy.levels()[:-1]):
        nodes, group = np.unique(names, return_inverse=True)
        # Sums of counts are exact in float32, as trials < 2^24 (MOST_TRIALS).
        inside = (group[:, None] == np.arange(len(nodes))).astype(np.float32)
        members = np.flatnonzero(levels.ravel() == level)
        for start in range(0, len(members), CHUNK):
            part = members[start : start + CHUNK]
            best = (select[part].astype(np.float32) @ inside).argmax(axis=1)
            candidates[part] = nodes[best]
            hits[part] = (test[part].astype(np.float32) @ inside)[np.arange(len(part)), best]
    return candidates.reshape(votes.shape), hits.reshape(votes.shape)
