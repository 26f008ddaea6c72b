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
from certiseg.certifiers.remaining import Remaining
from certiseg.certifiers.replay import LookRule, Standing, check_votes, recompute
from certiseg.certifiers.segcertify import Budget, Correction, SegCertify, checked_budget
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.spending import ANYTIME, Spending, check_spending, plan_looks
from certiseg.votes import Selection, VoteCounts, VoteSource, WindowSource, counts_dtype


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
        standing, remaining = Standing.start(votes.shape, classes), Remaining(source, votes.shape)
        taken: list[Look] = []
        seen: list[tuple[NDArray[np.integer], NDArray[np.integer]]] = []
        stopped: str | None = None
        for trials, level in plan:
            if trials > votes.trials:
                new = trials - votes.trials
                votes = votes + drawn(source, new, sizes, noise, remaining.left_out)
            modes, hits = evidence_of(votes)
            standing, cutoff = standing.after(modes, hits, trials, level, rule)
            taken.append(Look(trials, level, cutoff, int(np.count_nonzero(standing.closed))))
            seen.append((modes, hits))
            later = plan[len(taken) :]
            stopped = self._reason(standing, later)
            if stopped is None and not remaining.after(
                standing, hits, trials, later, rule, self.min_gain
            ):
                stopped = NOT_WORTH
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

    def _reason(self, standing: Standing, later: tuple[tuple[int, float], ...]) -> str | None:
        """Reason to stop after this look whatever is still expected, or None.

        Any stopping rule is valid, since every look has its own share of alpha (T7).
        """
        target = self.target_coverage
        if target is not None and np.mean(standing.labels >= 0) >= target:
            return TARGET_REACHED
        if standing.closed.all():
            return NONE_OPEN
        return None if later else USED

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
        check_noise(votes, stored.noise, left_out=True)
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


def drawn(
    source: VoteSource,
    draws: int,
    sizes: tuple[int, int],
    noise: Noise,
    left_out: tuple[int, ...] = (),
) -> VoteCounts:
    """Get new draws from the source. left_out: windows of a ``WindowSource`` without new votes.
    Raises InputError unless their number and shape are right."""
    if left_out:
        assert isinstance(source, WindowSource)
        votes = source.more(draws, left_out)
    else:
        votes = source.more(draws)
    if (votes.trials, votes.num_components, votes.num_classes) != (draws, *sizes):
        raise InputError(
            f"expected {draws} new draws of {sizes[0]} components and {sizes[1]} classes, got "
            f"{votes.trials} of {votes.num_components} and {votes.num_classes}; a source gives "
            "only the new draws"
        )
    check_noise(votes, noise, left_out=True)
    return votes


def evidence_of(votes: VoteCounts) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Most frequent labels and their vote counts, in the narrowest dtypes."""
    modes, hits = votes.top()
    narrow = counts_dtype(votes.num_classes - 1)
    return modes.astype(narrow), hits.astype(counts_dtype(votes.trials), copy=False)
