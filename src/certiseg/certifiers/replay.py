"""The test at each look of a sequential run, while it runs and when it is verified (theory T7)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.looks import Looks
from certiseg.certificates.windows import draws_by_window
from certiseg.errors import InputError
from certiseg.stats.eprocess import anytime_tables
from certiseg.stats.multiple_testing import step_down_cutoff
from certiseg.stats.pvalues import dominant_tail, wrong_label_tail
from certiseg.votes import ABSTAIN, VoteCounts, labels_dtype


@dataclass(frozen=True)
class LookRule:
    """Step-down test of one look (theory T7).

    budget: k, 1 for family-wise error. anytime: test by e-values rather than p-values.
    """

    tau: float
    budget: int
    num_classes: int
    anytime: bool

    def cutoff(
        self, histogram: NDArray[np.integer], trials: int, alpha: float, certified: int
    ) -> int:
        """Smallest count that certifies an undecided component, trials + 1 for none.

        histogram: number of undecided components with each count. certified: components certified
        at earlier looks, which count as rejected, so that k - 1 false ones are allowed in total
        and not at each look (theory T7).
        """
        if self.anytime:
            pvalues, everywhere = anytime_tables(trials, self.tau, self.num_classes)
        else:
            pvalues = dominant_tail(trials, self.tau)
            everywhere = wrong_label_tail(trials, self.tau)
        return step_down_cutoff(
            histogram,
            pvalues,
            alpha,
            everywhere=everywhere,
            budget=self.budget,
            certified=certified,
        )


@dataclass(frozen=True, eq=False)
class Standing:
    """State after some looks.

    labels: certified labels; ABSTAIN where undecided, and where two looks certified different
    labels. closed: bool (*components), True from the first look that certified the component.
    """

    labels: NDArray[np.signedinteger]
    closed: NDArray[np.bool_]

    @staticmethod
    def start(components: tuple[int, ...], num_classes: int) -> Standing:
        dtype = labels_dtype(num_classes)
        return Standing(np.full(components, ABSTAIN, dtype), np.zeros(components, dtype=bool))

    def open_histogram(self, hits: NDArray[np.integer], trials: int) -> NDArray[np.int64]:
        """Histogram (n + 1,) of the counts of undecided components."""
        return np.bincount(hits[~self.closed], minlength=trials + 1)

    def after(
        self,
        modes: NDArray[np.integer],
        hits: NDArray[np.integer],
        trials: int,
        alpha: float,
        rule: LookRule,
    ) -> tuple[Standing, int]:
        """State after one more look, and its cutoff.

        Undecided components with hits >= cutoff are certified. A certified component becomes an
        abstention if another label passes now: one of the two must be false.
        """
        already = int(np.count_nonzero(self.closed))
        histogram = self.open_histogram(hits, trials)
        cutoff = rule.cutoff(histogram, trials, alpha, already)
        passed = hits >= cutoff
        labels = np.where(passed & ~self.closed, modes, self.labels).astype(self.labels.dtype)
        labels[passed & self.closed & (self.labels != modes)] = ABSTAIN
        return Standing(labels, self.closed | passed), cutoff


def recompute(
    looks: Looks, rule: LookRule, alpha: float
) -> tuple[NDArray[np.signedinteger], tuple[int, ...]]:
    """Recompute the labels and the cutoff of each look from the stored evidence.

    Raises InputError if the planned shares exceed alpha, a label is not a class, or the record
    does not follow from the evidence.
    """
    levels = [level for _, level in looks.shares]
    spent = max(levels) if rule.anytime else sum(map(Fraction, levels))
    if spent > alpha:
        raise InputError(
            f"expected looks that spend at most alpha = {alpha!r}, got {levels}; "
            "each look has its own share (theory T7)"
        )
    if int(looks.modes.max()) >= rule.num_classes:
        raise InputError(
            f"expected labels below {rule.num_classes}, got {looks.modes.max()}; "
            "the looks are of another model"
        )
    standing = Standing.start(looks.modes.shape[1:], rule.num_classes)
    cutoffs = []
    for look, modes, hits in zip(looks.looks, looks.modes, looks.hits, strict=True):
        standing, cutoff = standing.after(modes, hits, look.trials, look.alpha, rule)
        cutoffs.append(cutoff)
        certified = int(np.count_nonzero(standing.closed))
        if (look.cutoff, look.certified) != (cutoff, certified):
            raise InputError(
                f"expected cutoff {cutoff} and {certified} certified components at {look.trials} "
                f"draws, got {look.cutoff} and {look.certified}; the record was changed"
            )
    return standing.labels, tuple(cutoffs)


def check_votes(looks: Looks, votes: VoteCounts) -> None:
    """Raise InputError unless the last look is at these votes, and earlier ones at part of them."""
    if looks.modes.shape[1:] != votes.shape or looks.looks[-1].trials != votes.trials:
        raise InputError(
            f"expected looks at all {votes.trials} draws of components {votes.shape}, got "
            f"{looks.looks[-1].trials} of {looks.modes.shape[1:]}; they are of other votes"
        )
    for look, modes, hits in zip(looks.looks, looks.modes, looks.hits, strict=True):
        gained = votes.hits(modes) - hits
        if gained.min() < 0 or np.any(gained > np.maximum(votes.drawn - look.trials, 0)):
            raise InputError(
                f"expected votes that contain those at {look.trials} draws, got others; "
                "the record was changed"
            )
    by_window = draws_by_window(votes)
    if by_window is not None and not set(by_window) <= {look.trials for look in looks.looks}:
        raise InputError(
            f"expected windows that were left out after a look, got {sorted(set(by_window))} draws "
            "of them; the record was changed"
        )
    if not np.array_equal(looks.modes[-1], votes.mode()):
        raise InputError(
            "expected the last look at the most frequent labels of the votes, got others"
        )
