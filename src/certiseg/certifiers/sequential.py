"""Group-sequential SegCertify: test at interim looks, and stop early (theory T7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

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
from certiseg.certifiers.replay import LookRule, Standing, check_votes, recompute
from certiseg.certifiers.segcertify import Budget, Correction, SegCertify, checked_budget
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.binomial import upper_tail
from certiseg.stats.spending import ANYTIME, Spending, check_spending, plan_looks
from certiseg.votes import Selection, VoteCounts, VoteSource, counts_dtype


@dataclass(frozen=True, kw_only=True)
class Sequential(SegCertify):
    """Sequential SegCertify with its parameters; ``sequential`` states the guarantee."""

    name: ClassVar[str] = "sequential"
    title: ClassVar[str] = "early stopping"
    option: ClassVar[str] = "early stopping (--min-gain, --target-coverage, --looks, --spending)"
    fixed_draws: ClassVar[bool] = False
    stops_early: ClassVar[bool] = True
    corrections: ClassVar[tuple[Correction, ...]] = ("holm", "k-fwer")
    selections: ClassVar[tuple[Selection, ...]] = ("pooled",)

    looks: int = 5
    spending: Spending = "late"
    min_gain: float | None = None
    target_coverage: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_spending(self.looks, self.spending)
        for name in ("min_gain", "target_coverage"):
            share = getattr(self, name)
            number = isinstance(share, (int, float, np.floating)) and not isinstance(share, bool)
            if share is not None and not (number and 0.0 < share <= 1.0):
                raise InputError(
                    f"expected {name} as a share of the components in (0, 1], got {share!r}; "
                    "0.001 is one in a thousand"
                )

    def plan(
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> tuple[tuple[int, float], ...]:
        """Plan the looks ((n_1, alpha_1), ...) by ``plan_looks``."""
        return plan_looks(
            components,
            num_samples,
            tau=self.tau,
            alpha=self.alpha,
            budget=checked_budget(self.budget, components),
            looks=self.looks,
            spending=self.spending,
            num_classes=num_classes,
        )

    def check_draws(
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> None:
        """Raise InputError for too few draws to certify anything at some look."""
        self.plan(components, num_samples, num_classes)

    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """Raise InputError: early stopping needs a source of draws (``ask``)."""
        raise InputError(
            "expected a source of draws with early stopping, got votes; call certiseg.sequential"
        )

    def ask(
        self, source: VoteSource, *, noise: Noise, num_samples: int, selection_samples: int = 0
    ) -> Certificate:
        """See ``sequential``."""
        components, classes = sizes = source.sizes()
        plan = self.plan(components, num_samples, classes)
        # A copy, since the source may reuse its array.
        votes = drawn(source, plan[0][0], sizes, noise).copy()
        rule = self._rule(votes)
        standing = Standing.start(votes.shape, classes)
        taken: list[Look] = []
        seen: list[tuple[NDArray[np.integer], NDArray[np.integer]]] = []
        stopped: str | None = None
        for trials, level in plan:
            if trials > votes.trials:
                votes = votes + drawn(source, trials - votes.trials, sizes, noise)
            modes, hits = evidence_of(votes)
            standing, cutoff = standing.after(modes, hits, trials, level, rule)
            taken.append(Look(trials, level, cutoff, int(np.count_nonzero(standing.closed))))
            seen.append((modes, hits))
            stopped = self._reason(standing, hits, trials, plan[len(taken) :], rule)
            if stopped is not None:
                break
        assert stopped is not None
        # np.stack also widens the dtypes of early looks.
        all_modes, all_hits = (np.stack(arrays) for arrays in zip(*seen, strict=True))
        looks = Looks(
            spending=SHARES if isinstance(self.spending, tuple) else self.spending,
            shares=plan,
            looks=tuple(taken),
            modes=all_modes,
            hits=all_hits,
            stopped=stopped,
        )
        return self._made(standing.labels, votes, noise, looks=looks)

    def _rule(self, votes: VoteCounts, anytime: bool | None = None) -> LookRule:
        budget = checked_budget(self.budget, votes.num_components)
        by_evidence = self.spending == ANYTIME if anytime is None else anytime
        return LookRule(tested_tau(self.tau, votes), budget, votes.num_classes, by_evidence)

    def _reason(
        self,
        standing: Standing,
        hits: NDArray[np.integer],
        trials: int,
        left: tuple[tuple[int, float], ...],
        rule: LookRule,
    ) -> str | None:
        """Reason to stop after this look, or None.

        Any stopping rule is valid, since every look has its own share of alpha (T7).
        """
        target, gain = self.target_coverage, self.min_gain
        if target is not None and np.mean(standing.labels >= 0) >= target:
            return TARGET_REACHED
        if standing.closed.all():
            return NONE_OPEN
        if not left:
            return USED
        # All remaining looks are considered, since cutoffs are integers: the next look may certify
        # nothing new and the one after it a lot.
        if gain is not None and all(
            _prospect(standing, hits, trials, later, rule) < gain for later in left
        ):
            return NOT_WORTH
        return None

    @classmethod
    def of(cls, stored: Certificate) -> Self:
        """The method with stored parameters; without the rules of stopping and spending, whose
        results are the stored looks. Raises InputError for a certificate without looks."""
        if stored.looks is None:
            raise InputError("expected looks with a sequential certificate, got none")
        names = ("tau", "alpha", "correction", "budget", "selection")
        return cls(**{name: getattr(stored, name) for name in names})

    def recompute(self, stored: Certificate) -> Certificate:
        """Recompute from looks and votes. Raises InputError if they contradict each other."""
        looks, votes = stored.looks, stored.votes
        assert looks is not None
        check_noise(votes, stored.noise)
        check_votes(looks, votes)
        labels = recompute(looks, self._rule(votes, looks.anytime), self.alpha)[0]
        return self._made(labels, votes, stored.noise, looks=looks)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """Selected by settings["stopping"], a mapping, without regions."""
        if settings["stopping"] is None or settings.get("regions"):
            return None
        names = ("tau", "alpha", "correction", "budget")
        return cls(**{name: settings[name] for name in names}, **stopping_of(settings))

    @classmethod
    def tested_by(cls, certificate: Certificate) -> str:
        looks, flat = certificate.looks, super().tested_by(certificate)
        # A damaged file may lack the looks; verify refuses it later.
        if looks is None:
            return flat
        return f"{flat}, looked at {looks.described()}"

    @classmethod
    def theorem(cls, certificate: Certificate) -> str:
        looks = certificate.looks
        return "T7" if looks is not None and looks.anytime else "T3"


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
    """Group-sequential SegCertify: interim looks at the votes, at most num_samples draws.

    Guarantee: as ``certify`` with Holm's correction, or with an error budget, for any stopping
    rule, since every look has its own share of alpha (theory T7). A component that two looks
    certify with different labels becomes an abstention.

    Args:
        source: supplies new draws, such as ``Smoothed.source(x)``.
        noise: noise of the draws.
        num_samples: largest number of draws.
        tau: in [1/2, 1), fixed before sampling.
        alpha: error probability in (0, 1), fixed before sampling.
        budget: k in [1, N], or a fraction of N in (0, 1) (T5).
        looks: largest number of looks; one look with "late" or "equal" is ``certify``.
        spending: "late", "equal", "e-process" or shares of alpha, see ``stats.spending``.
        min_gain: stop if no remaining look is expected to certify at least this share of the
            components anew. None: no such rule.
        target_coverage: stop once this share of the components is certified. None: no such rule.
            Sampling also stops when no component is undecided.

    Returns:
        The certificate of all votes drawn, with its looks.

    Raises:
        InputError: for bad parameters, for num_samples below n_min, and if the source returns
            votes of another noise or another number of draws.

    Reference:
        theory T3, T5, T7.
    """
    method = Sequential(
        tau=tau,
        alpha=alpha,
        correction="holm" if budget is None else "k-fwer",
        budget=budget,
        looks=looks,
        spending=spending,
        min_gain=min_gain,
        target_coverage=target_coverage,
    )
    return method.ask(source, noise=noise, num_samples=num_samples)


def stopping_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Looks, spending and rules of stopping of a run's settings, as arguments of a method."""
    stopping = settings["stopping"]
    spending = stopping["spending"]
    return {**stopping, "spending": tuple(spending) if isinstance(spending, list) else spending}


def drawn(source: VoteSource, draws: int, sizes: tuple[int, int], noise: Noise) -> VoteCounts:
    """Get new draws from the source. Raises InputError unless their number and shape are right."""
    votes = source.more(draws)
    if (votes.trials, votes.num_components, votes.num_classes) != (draws, *sizes):
        raise InputError(
            f"expected {draws} new draws of {sizes[0]} components and {sizes[1]} classes, got "
            f"{votes.trials} of {votes.num_components} and {votes.num_classes}; a source gives "
            "only the new draws"
        )
    check_noise(votes, noise)
    return votes


def evidence_of(votes: VoteCounts) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Most frequent labels and their vote counts, in the narrowest dtypes."""
    modes, hits = votes.top()
    narrow = counts_dtype(votes.num_classes - 1)
    return modes.astype(narrow), hits.astype(counts_dtype(votes.trials), copy=False)


def _prospect(
    standing: Standing,
    hits: NDArray[np.integer],
    trials: int,
    following: tuple[int, float],
    rule: LookRule,
) -> float:
    """Expected share of components that a later look certifies in addition.

    The cutoff is that of the later look for the present number of certified components, although it
    may fall as more are certified.
    """
    histogram = standing.open_histogram(hits, trials)
    following_trials, level = following
    # All undecided components at count 0, so that none is rejected at this look.
    waiting = np.zeros(following_trials + 1, dtype=np.int64)
    waiting[0] = histogram.sum()
    cutoff = rule.cutoff(waiting, following_trials, level, hits.size - int(waiting[0]))
    return expected_new(histogram, trials, following_trials, cutoff) / hits.size


def expected_new(open_to: NDArray[np.integer], trials: int, later: int, cutoff: int) -> float:
    """Expected number of undecided components whose hits reach a cutoff after ``later`` draws.

    open_to: their number by count of hits, (trials + 1,). A component with k of n hits is taken to
    get further hits with probability (k + 1/2) / (n + 1).
    """
    count, new = np.flatnonzero(open_to), later - trials
    needed = np.maximum(cutoff - count, 0)
    reached = upper_tail(np.minimum(needed, new), new, (count + 0.5) / (trials + 1))
    return float(open_to[count] @ np.where(needed <= new, reached, 0.0))
