"""Regions with early stopping: evidence mixed over interim looks (theory T16 with T7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
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
from certiseg.certifiers.regions import (
    MOST_CUTOFFS,
    SPREAD,
    Evidence,
    Regions,
    Steps,
    check_alone,
)
from certiseg.certifiers.remaining import expected_new
from certiseg.certifiers.replay import check_votes
from certiseg.certifiers.sequential import (
    Sequential,
    drawn,
    evidence_of,
    stopping_of,
)
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.spending import ANYTIME, Spending, plan_looks
from certiseg.votes import ABSTAIN, VoteCounts, VoteSource, labels_dtype

Plan = Sequence[tuple[int, float]]
_MOST_PLANNED = 20_000_000
"""Draws of all planned looks, whose tables are computed."""


@dataclass(frozen=True, kw_only=True)
class SequentialRegions(Regions):
    """``regions`` with interim looks at the votes, after any of which it may stop.

    Guarantee: that of ``regions``, for any stopping rule. The evidence for a label is the sum of
    its evidence at the looks taken, weighted by the looks' shares of alpha. Parameters: as in
    ``sequential``, where the coverage is the share of components whose label holds. Raises
    InputError for invalid parameters.

    Example:
        >>> import numpy as np
        >>> import certiseg as cs
        >>> from certiseg.certifiers.sequential_regions import SequentialRegions
        >>> model = lambda x: np.concatenate([1 - x, x], axis=1)
        >>> smooth = cs.Smoothed(cs.NumpyModel(model, num_classes=2), cs.Gaussian(0.25))
        >>> x = np.full((1, 4, 4), 0.9, dtype=np.float32)
        >>> method = SequentialRegions(target_coverage=0.9)
        >>> certificate = smooth.certify_with(x, method, 500, seed=0)
        >>> certificate.at_least(np.ones((4, 4), dtype=bool)), certificate.votes.trials < 500
        (16, True)

    Reference:
        Theory T16, T7.
    """

    name: ClassVar[str] = "sequential_regions"
    title: ClassVar[str] = "regions with early stopping"
    option: ClassVar[str] = "--regions with early stopping"
    fixed_draws: ClassVar[bool] = False
    stops_early: ClassVar[bool] = True

    looks: int = 5
    spending: Spending = "late"
    min_gain: float | None = None
    target_coverage: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hierarchy is not None:
            # Looks record the votes of the leading classes alone.
            raise InputError(
                "expected a hierarchy with regions of fixed draws, got it with early stopping; "
                "leave --min-gain and --target-coverage out, or --hierarchy"
            )
        if self.cutoffs != SPREAD or self.spending == ANYTIME:
            got = f"cutoffs {self.cutoffs!r}" if self.cutoffs != SPREAD else "the e-process"
            raise InputError(
                f"expected regions with early stopping at spread cutoffs and shares of alpha, got "
                f"{got}; leave it out"
            )
        # The parameters of stopping are checked there.
        names = ("looks", "spending", "min_gain", "target_coverage")
        Sequential(**{name: getattr(self, name) for name in names})

    def check_draws(
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> None:
        """Raise InputError for too few draws to give any component a label at some look."""
        self.plan(components, num_samples, num_classes)

    def plan(
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> tuple[tuple[int, float], ...]:
        """Plan the looks ((n_1, alpha_1), ...) by ``plan_looks``, the same for any components."""
        # The lowest cutoff of a look is that of a component among as many as there are cutoffs.
        return plan_looks(
            MOST_CUTOFFS,
            num_samples,
            tau=self.tau,
            alpha=self.alpha,
            looks=self.looks,
            spending=self.spending,
            tested="regions",
        )

    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """Raise InputError: early stopping needs a source of draws (``ask``)."""
        raise InputError(
            "expected a source of draws with early stopping, got votes; pass them to regions"
        )

    def ask(
        self, source: VoteSource, *, noise: Noise, num_samples: int, selection_samples: int = 0
    ) -> Certificate:
        """Draw from the source up to a look at which the rule of stopping holds, and certify."""
        sizes = source.sizes()
        plan = self.plan(sizes[0], num_samples)
        # A copy, since the source may reuse its array.
        votes = drawn(source, plan[0][0], sizes, noise).copy()
        steps = self._steps_of(plan, votes)
        taken: list[Look] = []
        stopped: str | None = None
        seen: list[tuple[NDArray[np.integer], NDArray[np.integer]]] = []
        for number, (trials, level) in enumerate(plan):
            if trials > votes.trials:
                votes = votes + drawn(source, trials - votes.trials, sizes, noise)
            seen.append(evidence_of(votes))
            all_modes, all_hits = (np.stack(arrays) for arrays in zip(*seen, strict=True))
            evidence = self._evidence(steps, all_modes, all_hits)
            given = int(np.count_nonzero(evidence.levels))
            taken.append(Look(trials, level, steps[number].alone(trials, self.alpha), given))
            stopped = self._reason(evidence, seen[-1][1], trials, plan[number + 1 :], steps)
            if stopped is not None:
                break
        assert stopped is not None
        spending = SHARES if isinstance(self.spending, tuple) else self.spending
        looks = Looks(spending, tuple(plan), tuple(taken), all_modes, all_hits, stopped)
        return self._made(votes, noise, looks, evidence)

    def _steps_of(self, plan: Plan, votes: VoteCounts) -> list[Steps]:
        """Steps of each planned look, whose weights are the looks' shares of alpha."""
        if (total := sum(trials for trials, _ in plan)) > _MOST_PLANNED:
            raise InputError(
                f"expected planned looks with at most {_MOST_PLANNED} draws together, got {total}; "
                "plan fewer looks"
            )
        tested, components = tested_tau(self.tau, votes), votes.num_components
        return [
            Steps.of(
                trials, tested, components, level, weight=Fraction(level) / Fraction(self.alpha)
            )
            for trials, level in plan
        ]

    def _evidence(
        self, steps: Sequence[Steps], modes: NDArray[np.integer], hits: NDArray[np.integer]
    ) -> Evidence:
        """Evidence for the most frequent label of the last look, where it is enough for a label.

        modes, hits: (L, *components), of the looks taken. steps: of all planned looks.
        """
        # Combinations of levels that occur, and their sums of evidence.
        found, sums = np.zeros(modes.shape[1:], dtype=np.int64), [Fraction(0)]
        for look, own_modes, own_hits in zip(steps, modes, hits, strict=False):
            width = len(look.values)
            level = np.where(own_modes == modes[-1], look.reached(own_hits), 0)
            codes = found * width + level
            used = np.flatnonzero(np.bincount(codes.ravel()))
            place = np.zeros(used[-1] + 1, dtype=np.int64)
            place[used] = np.arange(len(used))
            found = place[codes]
            pairs = (divmod(int(code), width) for code in used)
            sums = [sums[before] + look.values[reached] for before, reached in pairs]
        enough = 1 / Fraction(self.alpha)
        values = tuple(sorted({value for value in sums if value >= enough}))
        rank = {value: number for number, value in enumerate(values, 1)}
        levels = np.array([rank.get(value, 0) for value in sums])[found]
        stray = sum((look.stray for look in steps), Fraction(0))
        return Evidence.of(levels, values, stray, self.alpha)

    def _made(
        self, votes: VoteCounts, noise: Noise, looks: Looks, evidence: Evidence
    ) -> Certificate:
        # Signed first: evidence is stored in unsigned integers.
        modes = looks.modes[-1].astype(labels_dtype(votes.num_classes))
        labels = np.where(evidence.levels > 0, modes, ABSTAIN).astype(modes.dtype)
        return Certificate(
            method=self.name,
            labels=labels,
            radius=noise.radius(self.tau),
            votes=votes,
            noise=noise,
            alpha=self.alpha,
            tau=self.tau,
            looks=looks,
            parameters={"cutoffs": SPREAD},
        )

    def _reason(
        self,
        evidence: Evidence,
        hits: NDArray[np.integer],
        trials: int,
        left: Plan,
        steps: Sequence[Steps],
    ) -> str | None:
        """Reason to stop after this look, or None. Any stopping rule is valid (theory T16)."""
        given = int(np.count_nonzero(evidence.levels))
        target, gain = self.target_coverage, self.min_gain
        if target is not None and given - evidence(None) >= target * hits.size:
            return TARGET_REACHED
        if given == hits.size:
            return NONE_OPEN
        if not left:
            return USED
        if gain is not None:
            open_to = np.bincount(hits[evidence.levels == 0], minlength=trials + 1)
            later = zip(left, steps[len(steps) - len(left) :], strict=True)
            if all(
                expected_new(open_to, trials, n, look.alone(n, self.alpha)) < gain * hits.size
                for (n, _), look in later
            ):
                return NOT_WORTH
        return None

    @classmethod
    def _of_looks(cls, stored: Certificate) -> tuple[Self, Looks, Evidence]:
        method, looks, votes = cls.of(stored), stored.looks, stored.votes
        assert looks is not None
        check_noise(votes, stored.noise)
        check_votes(looks, votes)
        levels = [level for _, level in looks.shares]
        if looks.anytime or sum(map(Fraction, levels)) > method.alpha:
            raise InputError(
                f"expected looks that spend at most alpha = {method.alpha!r}, got {levels}; each "
                "look has its own share"
            )
        steps = method._steps_of(looks.shares, votes)
        for number, (look, own) in enumerate(zip(looks.looks, steps, strict=False), 1):
            part = method._evidence(steps, looks.modes[:number], looks.hits[:number])
            seen = own.alone(look.trials, method.alpha), int(np.count_nonzero(part.levels))
            if (look.cutoff, look.certified) != seen:
                raise InputError(
                    f"expected cutoff {seen[0]} and {seen[1]} labels at {look.trials} draws, got "
                    f"{look.cutoff} and {look.certified}; the record was changed"
                )
        return method, looks, part

    @classmethod
    def errors(cls, certificate: Certificate) -> Evidence:
        """The evidence, a function of a region S that returns m(S) of theory T16."""
        return cls._of_looks(certificate)[2]

    def recompute(self, stored: Certificate) -> Certificate:
        """Recompute from looks and votes. Raises InputError if they contradict each other."""
        _, looks, evidence = self._of_looks(stored)
        return self._made(stored.votes, stored.noise, looks, evidence)

    @classmethod
    def of(cls, stored: Certificate) -> Self:
        """The method with stored parameters; without the rules of stopping and spending, whose
        results are the stored looks. Raises InputError for a certificate without looks."""
        if stored.looks is None or stored.parameters != {"cutoffs": SPREAD}:
            raise InputError("expected looks and spread cutoffs, got others; the file is damaged")
        if stored.tau is None:
            raise InputError("expected a tau, got none; the file is damaged")
        return cls(tau=stored.tau, alpha=stored.alpha)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """Selected by regions with early stopping; a hierarchy is refused."""
        if not settings.get("regions") or settings["stopping"] is None:
            return None
        check_alone(settings)
        names = ("tau", "alpha", "hierarchy")
        return cls(**{name: settings[name] for name in names}, **stopping_of(settings))

    @classmethod
    def tested_by(cls, certificate: Certificate) -> str:
        looks, flat = certificate.looks, super().tested_by(certificate)
        # A damaged file may lack the looks; verify refuses it later.
        return flat if looks is None else f"{flat}, mixed over looks {looks.described()}"
