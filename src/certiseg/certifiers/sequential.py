"""Sequential certification: draw, look, and stop as soon as more draws are not worth it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.looks import (
    NONE_OPEN,
    NOT_WORTH,
    SHARES,
    TARGET_REACHED,
    USED,
    Look,
    Looks,
)
from certiseg.certifiers.checks import check_noise, tested_tau
from certiseg.certifiers.replay import LookRule, Standing
from certiseg.certifiers.segcertify import Budget, check_options, checked_budget
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.binomial import upper_tail
from certiseg.stats.pvalues import MOST_TRIALS, checked_alpha, checked_tau
from certiseg.stats.spending import ANYTIME, Spending, check_spending, plan_looks
from certiseg.votes import VoteCounts, counts_dtype


class VoteSource(Protocol):
    """Where a sequential method gets its draws from: one model, input and noise."""

    def sizes(self) -> tuple[int, int]:
        """Numbers of components and of classes; makes no draw. Asked once, before ``more``."""

    def more(self, draws: int) -> VoteCounts:
        """Votes of ``draws`` new draws alone, independent of all that this source gave before."""


def sequential(
    source: VoteSource,
    *,
    noise: Noise,
    num_samples: int,
    tau: float = 0.75,
    alpha: float = 1e-3,
    budget: Budget = None,
    looks: int = 5,
    spending: Spending = "late",
    min_gain: float | None = None,
    target_coverage: float | None = None,
) -> Certificate:
    """SegCertify with several looks at the votes, of at most num_samples draws.

    Guarantee: as ``certify`` with Holm's correction, or with an error budget; valid for any rule
    of stopping, since every look has its own share of alpha (theory T7). A component that two
    looks certify with different labels becomes an abstention.
    num_samples, looks, spending: ``stats.spending.plan_looks`` makes the looks of them, before
    anything is drawn; "late" or "equal" with one look is ``certify``. budget: k in [1, N], or a
    fraction of N in (0, 1) (T5).
    min_gain: stop when no look that is left is expected to certify this share of the components for
    the first time. target_coverage: stop once this share is certified. None: no such rule. It also
    stops when no component is open.
    The votes are all votes drawn; the certificate lists its looks.
    Raises InputError for bad parameters, for num_samples below n_min, and for votes of another
    noise or number than was asked for. Source: theory T3, T5, T7.
    """
    correction = "holm" if budget is None else "k-fwer"
    check_options(tau, alpha, correction, "pooled", budget)
    check_stopping(num_samples, looks, spending, min_gain, target_coverage)
    tau, alpha = checked_tau(tau), checked_alpha(alpha)
    components, classes = source.sizes()
    allowed = checked_budget(budget, components)
    plan = plan_looks(
        components,
        int(num_samples),
        tau=tau,
        alpha=alpha,
        budget=allowed,
        looks=looks,
        spending=spending,
        num_classes=classes,
    )
    # A copy: the source may go on writing into its own.
    votes = _drawn(source, plan[0][0], (components, classes), noise).copy()
    rule = LookRule(tested_tau(tau, votes), allowed, classes, anytime=spending == ANYTIME)
    standing = Standing.start(votes.shape, classes)
    taken: list[Look] = []
    seen: list[tuple[NDArray[np.integer], NDArray[np.integer]]] = []
    for trials, level in plan:
        if trials > votes.trials:
            votes = votes + _drawn(source, trials - votes.trials, (components, classes), noise)
        modes, hits = _evidence(votes)
        standing, cutoff = standing.after(modes, hits, trials, level, rule)
        taken.append(Look(trials, level, cutoff, int(np.count_nonzero(standing.closed))))
        seen.append((modes, hits))
        stopped = _reason(
            standing, hits, trials, plan[len(taken) :], rule, min_gain, target_coverage
        )
        if stopped is not None:
            break
    assert stopped is not None
    # The first looks may have been counted in a narrower type; stacking widens them.
    all_modes, all_hits = (np.stack(arrays) for arrays in zip(*seen, strict=True))
    return Certificate(
        method="sequential",
        labels=standing.labels,
        radius=noise.radius(tau),
        votes=votes,
        noise=noise,
        alpha=alpha,
        tau=tau,
        correction=correction,
        budget=None if budget is None else allowed,
        looks=Looks(
            spending=SHARES if isinstance(spending, tuple) else spending,
            shares=plan,
            looks=tuple(taken),
            modes=all_modes,
            hits=all_hits,
            stopped=stopped,
        ),
    )


def check_stopping(
    num_samples: int,
    looks: int,
    spending: Spending,
    min_gain: float | None,
    target_coverage: float | None,
) -> None:
    """Raise InputError for a plan of looks or a stopping rule that makes no sense anywhere."""
    whole = isinstance(num_samples, (int, np.integer)) and not isinstance(num_samples, bool)
    if not whole or not 1 <= num_samples <= MOST_TRIALS:
        raise InputError(
            f"expected num_samples in [1, {MOST_TRIALS}], got {num_samples!r}; "
            "it is the largest number of draws that may be made"
        )
    check_spending(looks, spending)
    for name, share in (("min_gain", min_gain), ("target_coverage", target_coverage)):
        number = isinstance(share, (int, float, np.floating)) and not isinstance(share, bool)
        if share is not None and not (number and 0.0 < share <= 1.0):
            raise InputError(
                f"expected {name} as a share of the components in (0, 1], got {share!r}; "
                "0.001 is one in a thousand"
            )


def _drawn(source: VoteSource, draws: int, sizes: tuple[int, int], noise: Noise) -> VoteCounts:
    """That many new draws, checked."""
    votes = source.more(draws)
    if (votes.trials, votes.num_components, votes.num_classes) != (draws, *sizes):
        raise InputError(
            f"expected {draws} new draws of {sizes[0]} components and {sizes[1]} classes, got "
            f"{votes.trials} of {votes.num_components} and {votes.num_classes}; a source gives "
            "only the new draws"
        )
    check_noise(votes, noise)
    return votes


def _evidence(votes: VoteCounts) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Modes and their hits in the narrowest types."""
    modes, hits = votes.top()
    narrow = counts_dtype(votes.num_classes - 1)
    return modes.astype(narrow), hits.astype(counts_dtype(votes.trials), copy=False)


def _reason(
    standing: Standing,
    hits: NDArray[np.integer],
    trials: int,
    left: tuple[tuple[int, float], ...],
    rule: LookRule,
    min_gain: float | None,
    target_coverage: float | None,
) -> str | None:
    """Why to stop now, or None. Any rule is valid, since every look has its share (theory T7)."""
    if target_coverage is not None and np.mean(standing.labels >= 0) >= target_coverage:
        return TARGET_REACHED
    if standing.closed.all():
        return NONE_OPEN
    if not left:
        return USED
    # Cutoffs move in steps: the next look may promise nothing and the one after it a lot.
    if min_gain is not None and all(
        _prospect(standing, hits, trials, later, rule) < min_gain for later in left
    ):
        return NOT_WORTH
    return None


def _prospect(
    standing: Standing,
    hits: NDArray[np.integer],
    trials: int,
    following: tuple[int, float],
    rule: LookRule,
) -> float:
    """Share of the components expected to be certified for the first time by a later look.

    Each open component goes on as it did: with k of n hits, (k + 1/2) / (n + 1) per draw. The
    cutoff is that look's for the present number of certified components, though it may fall
    further as others join.
    """
    histogram = standing.open_histogram(hits, trials)
    following_trials, level = following
    # With all open components below every count that could pass, none of them joins.
    waiting = np.zeros(following_trials + 1, dtype=np.int64)
    waiting[0] = histogram.sum()
    cutoff = rule.cutoff(waiting, following_trials, level, hits.size - int(waiting[0]))
    count = np.flatnonzero(histogram)
    new = following_trials - trials
    needed = np.maximum(cutoff - count, 0)
    reached = upper_tail(np.minimum(needed, new), new, (count + 0.5) / (trials + 1))
    reached = np.where(needed <= new, reached, 0.0)
    return float(histogram[count] @ reached) / hits.size
