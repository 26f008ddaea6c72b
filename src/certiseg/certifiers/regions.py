"""Regions: a lower bound on the number of robust labels in any region, simultaneously (T16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.method import Method
from certiseg.certifiers.checks import check_noise, tested_tau
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.pvalues import (
    checked_alpha,
    checked_tau,
    dominant_tail,
    min_trials,
    wrong_label_tail,
)
from certiseg.votes import ABSTAIN, VoteCounts, labels_dtype

Cutoffs = Literal["spread"] | Sequence[int]
SPREAD: Literal["spread"] = "spread"
_MOST_CUTOFFS = 8


@dataclass(frozen=True, eq=False)
class Evidence:
    """Evidence for the labels of a certificate: that for all false ones sums to less than a bound.

    Args:
        levels: ints in the shape of the labels, 0 where no label is given.
        values: evidence of levels 1, 2, ..., increasing.
        bound: on the sum over the false labels, B of theory T16.
    """

    levels: NDArray[np.integer]
    values: tuple[Fraction, ...]
    bound: Fraction

    def counts(self, region: NDArray[np.bool_] | None = None) -> NDArray[np.integer]:
        """Number of labels in a region (None: everything) at levels 1, 2, ..."""
        inside = self.levels.ravel() if region is None else self.levels[region]
        return np.bincount(inside, minlength=len(self.values) + 1)[1:]

    def __call__(self, region: NDArray[np.bool_] | None) -> int:
        """The number of labels in a region that may be false, m(S) of theory T16."""
        return _most_below(self.counts(region), self.values, self.bound)


@dataclass(frozen=True, kw_only=True)
class Regions(Method):
    """The method of ``regions`` with its parameters; ``regions`` states the guarantee.

    Raises InputError for invalid parameters.
    """

    name: ClassVar[str] = "regions"
    title: ClassVar[str] = "regions"
    option: ClassVar[str] = "--regions"
    counts_regions: ClassVar[bool] = True

    tau: float = 0.75
    alpha: float = 1e-3
    cutoffs: Cutoffs = SPREAD

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", checked_tau(self.tau))
        object.__setattr__(self, "alpha", checked_alpha(self.alpha))
        if isinstance(self.cutoffs, str) and self.cutoffs == SPREAD:
            return
        given = [] if isinstance(self.cutoffs, str) else list(self.cutoffs)
        # Tables are read at these counts, and Python would read a negative one from their end.
        whole = all(isinstance(c, (int, np.integer)) and c > 0 and c is not True for c in given)
        if not whole or not 0 < len(given) <= _MOST_CUTOFFS or given != sorted(set(given)):
            raise InputError(
                f"expected cutoffs {SPREAD!r} or 1 to {_MOST_CUTOFFS} rising counts, got "
                f"{self.cutoffs!r}; fix them before sampling"
            )
        object.__setattr__(self, "cutoffs", tuple(int(c) for c in given))

    def check_draws(
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> None:
        """Raise InputError for too few draws to give any component a label."""
        share = _MOST_CUTOFFS if self.cutoffs == SPREAD else 1
        needed = min_trials(share, self.tau, self.alpha)
        if num_samples < needed:
            raise InputError(
                f"expected at least {needed} draws for regions at tau = {self.tau:g}, alpha = "
                f"{self.alpha:g}, got {num_samples}; with fewer nothing can be certified, set "
                f"num_samples (-n) to {needed} or more"
            )

    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """See ``regions``."""
        tested = tested_tau(self.tau, votes)
        self.check_draws(votes.num_components, votes.trials)
        check_noise(votes, noise)
        candidates, hits = votes.top()
        evidence = self._evidence(votes, tested)
        cutoff = next(
            (c for c, value in evidence.items() if value >= 1 / Fraction(self.alpha)),
            votes.trials + 1,
        )
        labels = np.where(hits >= cutoff, candidates, ABSTAIN)
        chosen = self.cutoffs if isinstance(self.cutoffs, str) else list(self.cutoffs)
        return Certificate(
            method=self.name,
            labels=labels.astype(labels_dtype(votes.num_classes)),
            radius=noise.radius(self.tau),
            votes=votes,
            noise=noise,
            alpha=self.alpha,
            tau=self.tau,
            cutoff=cutoff,
            parameters={"cutoffs": chosen},
        )

    def _evidence(self, votes: VoteCounts, tested: float) -> dict[int, Fraction]:
        """E-value of theory T16 by cutoff reached, in exact rationals of the rounded-up tails."""
        pooled, _ = _tails(votes.trials, tested)
        if isinstance(self.cutoffs, str):
            chosen = spread_cutoffs(pooled, votes.num_components, self.alpha)
        else:
            chosen = list(self.cutoffs)
            bad = [c for c in chosen if not c <= votes.trials or pooled[c] > self.alpha]
            if bad:
                raise InputError(
                    f"expected cutoffs of at most {votes.trials} votes whose p-value is at most "
                    f"alpha, got {bad[0]}; leave it out"
                )
        terms = (1 / (len(chosen) * Fraction(float(pooled[c]))) for c in chosen)
        return dict(zip(chosen, accumulate(terms), strict=True))

    @classmethod
    def errors(cls, certificate: Certificate) -> Evidence:
        """The evidence, a function of a region S that returns m(S) of theory T16."""
        method, votes = cls.of(certificate), certificate.votes
        tested = tested_tau(method.tau, votes)
        evidence = method._evidence(votes, tested)
        _, stray = _tails(votes.trials, tested)
        values = [Fraction(0), *evidence.values()]
        share = sum(
            (
                (value - before) * Fraction(float(stray[cutoff]))
                for cutoff, value, before in zip(evidence, values[1:], values, strict=False)
            ),
            Fraction(0),
        )
        reached = np.searchsorted(list(evidence), votes.hits(certificate.labels), side="right")
        reached = np.where(certificate.certified, reached, 0)
        listed = np.bincount(reached.ravel(), minlength=len(values))[1:]
        given = int(listed.sum())
        # The sum of E over false labels is below start + v * slope if v labels are false.
        alpha, share = Fraction(method.alpha), min(share, Fraction(1))
        start, slope = (
            (certificate.labels.size - given + given * share) / alpha,
            (1 - share) / alpha,
        )
        most = _most_below(listed, values[1:], start, slope)
        return Evidence(reached, tuple(values[1:]), start + most * slope)

    @classmethod
    def of(cls, stored: Certificate) -> Self:
        parameters = stored.parameters or {}
        if set(parameters) != {"cutoffs"}:
            raise InputError(f"expected the cutoffs as the parameters, got {parameters!r:.80}")
        return super().of(stored)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """Selected by regions; a correction is refused."""
        if not settings.get("regions"):
            return None
        if settings["correction"] != "holm":
            raise InputError(
                f"expected no --correction with --regions, got {settings['correction']!r}; leave "
                "it out"
            )
        return cls(tau=settings["tau"], alpha=settings["alpha"])

    @classmethod
    def tested_by(cls, certificate: Certificate) -> str:
        chosen = (certificate.parameters or {}).get("cutoffs")
        return f" by evidence over cutoffs ({chosen}), tau = {certificate.tau!r}"

    @classmethod
    def theorem(cls, certificate: Certificate) -> str:
        return "T16"

    @classmethod
    def whole_claim(cls, certificate: Certificate) -> str | None:
        given, total = int(certificate.certified.sum()), certificate.labels.size
        sure = given - certificate.allowed_errors
        return (
            f"of the {given} labels given to {total} components at least {sure} are the majority "
            "label of the smoothed model, and of those given in any region, whenever and however "
            "it was chosen, at least as many as follow from the counts by theory T16, all regions "
            "at once,"
        )


def regions(
    votes: VoteCounts,
    *,
    noise: Noise,
    tau: float = 0.75,
    alpha: float = 1e-3,
    cutoffs: Cutoffs = SPREAD,
) -> Certificate:
    """Bound the number of robust labels in any region, simultaneously for all regions.

    Guarantee: with probability >= 1 - alpha over the draws, for every set S of components at once,
    at least ``certificate.at_least(S)`` of the labels given in S have probability > tau under the
    noise, so each of these stays the majority label under every perturbation of norm
    < ``noise.radius(tau)``. S may be chosen after seeing the certificate, the truth, or anything
    else. The certificate does not say *which* labels in S these are, and therefore gives more
    labels than ``certify``.

    Args:
        votes: counts (*components, C) of n draws.
        noise: noise of the draws.
        tau: in [1/2, 1), fixed before sampling.
        alpha: error probability in (0, 1), fixed before sampling.
        cutoffs: increasing vote counts among whose p-values the e-value is split evenly, fixed
            before sampling. "spread": up to eight, from the cutoff for a single component to that
            for one of N, as a function of N, n, tau and alpha.

    Returns:
        The certificate; ``at_least(mask)`` gives the bound for a region.

    Raises:
        InputError: for bad parameters, for too few draws, and for votes of another noise.

    Example:
        >>> import numpy as np
        >>> import certiseg as cs
        >>> counts = np.repeat([[100, 0], [88, 12], [50, 50]], [80, 15, 5], axis=0)
        >>> certificate = cs.regions(cs.VoteCounts(counts, 100), noise=cs.Gaussian(0.25))
        >>> int(certificate.certified.sum()), certificate.at_least(np.arange(100) < 90)
        (80, 80)

    Reference:
        Theory T16; Goeman, Meijer, Krebs 2021, Only closed testing procedures are admissible for
        controlling false discovery proportions; Vovk, Wang 2021, E-values.
    """
    return Regions(tau=tau, alpha=alpha, cutoffs=cutoffs).certify(votes, noise=noise)


def spread_cutoffs(pvalues: NDArray[np.float64], components: int, alpha: float) -> list[int]:
    """Up to eight increasing cutoffs with p-values from alpha / 8 to alpha / N in equal ratios.

    pvalues: float64 (n + 1,), by count. Levels that no count reaches are left out, and equal
    cutoffs are merged.
    """
    most = _MOST_CUTOFFS
    levels = np.geomspace(alpha / most, alpha / max(components, most), most)
    passed = pvalues[:, None] <= levels
    first = passed.shape[0] - np.logical_and.accumulate(passed[::-1]).sum(axis=0)
    return sorted({int(cutoff) for cutoff in first if cutoff < len(pvalues)})


def _tails(trials: int, tau: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tables (n + 1,) of g and s of theory T4 over the count."""
    stray = wrong_label_tail(trials, tau)
    # One step up covers the rounding of the sum.
    pooled = np.nextafter(dominant_tail(trials, tau) + stray, np.inf)
    return np.minimum(pooled, 1.0), stray


def _most_below(
    groups: NDArray[np.integer],
    values: Sequence[Fraction],
    start: Fraction,
    slope: Fraction = Fraction(0),
) -> int:
    """Largest m such that the m smallest values sum to less than start + m * slope; 0 if none.

    groups: number of labels with each value. values: increasing.
    """
    taken, total = 0, Fraction(0)
    for size, value in zip(groups.tolist(), values, strict=True):
        # total + j value < start + (taken + j) slope, for the largest j.
        gap, step = start + taken * slope - total, value - slope
        if gap <= 0:
            break
        fitting = size if step <= 0 else min(size, -(-gap // step) - 1)
        taken, total = taken + fitting, total + fitting * value
        if fitting < size:
            break
    return taken
