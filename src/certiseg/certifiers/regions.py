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
from certiseg.certificates.statement import quoted
from certiseg.certifiers.checks import check_noise, tested_tau
from certiseg.certifiers.hierarchical import along, check_hierarchy, finest_nodes, node_hits
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.noise import Noise
from certiseg.stats.pvalues import (
    checked_alpha,
    checked_tau,
    dominant_tail,
    min_trials,
    wrong_label_tail,
)
from certiseg.votes import ABSTAIN, VoteCounts

Cutoffs = Literal["spread"] | Sequence[int]
SPREAD: Literal["spread"] = "spread"
MOST_CUTOFFS = 8


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

    @staticmethod
    def of(
        levels: NDArray[np.integer],
        values: tuple[Fraction, ...],
        stray: Fraction,
        alpha: float,
        classes: NDArray[np.bool_] | None = None,
    ) -> Evidence:
        """Evidence with the bound of theory T16. stray: as in ``Steps``. classes: where the label
        is a class, if others are inner nodes of a hierarchy."""
        leaves = levels.ravel() if classes is None else levels[classes]
        listed = np.bincount(leaves, minlength=len(values) + 1)[1:]
        given, share = int(listed.sum()), min(stray, Fraction(1))
        # The sum over the false labels is below start + v * slope if v labels are false.
        start = (levels.size - given + given * share) / Fraction(alpha)
        slope = (1 - share) / Fraction(alpha)
        most = _most_below(listed, values, start, slope)
        return Evidence(levels, values, start + most * slope)

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
    hierarchy: Hierarchy | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", checked_tau(self.tau))
        object.__setattr__(self, "alpha", checked_alpha(self.alpha))
        if self.hierarchy is not None:
            check_hierarchy(self.hierarchy)
        if isinstance(self.cutoffs, str) and self.cutoffs == SPREAD:
            return
        given = [] if isinstance(self.cutoffs, str) else list(self.cutoffs)
        # Tables are read at these counts, and Python would read a negative one from their end.
        whole = all(isinstance(c, (int, np.integer)) and c > 0 and c is not True for c in given)
        if not whole or not 0 < len(given) <= MOST_CUTOFFS or given != sorted(set(given)):
            raise InputError(
                f"expected cutoffs {SPREAD!r} or 1 to {MOST_CUTOFFS} rising counts, got "
                f"{self.cutoffs!r}; fix them before sampling"
            )
        object.__setattr__(self, "cutoffs", tuple(int(c) for c in given))

    def check_draws(
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> None:
        """Raise InputError for too few draws to give any component a label."""
        share = MOST_CUTOFFS if self.cutoffs == SPREAD else 1
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
        self.check_draws(votes.num_components, votes.trials)
        check_noise(votes, noise)
        if self.hierarchy is not None:
            check_hierarchy(self.hierarchy, votes)
        candidates, hits = votes.top()
        cutoff = self._steps(votes).alone(votes.trials, self.alpha)
        labels = np.where(hits >= cutoff, candidates, ABSTAIN).astype(candidates.dtype)
        if self.hierarchy is not None:
            labels = finest_nodes(votes, labels, cutoff, self.hierarchy)
        chosen = self.cutoffs if isinstance(self.cutoffs, str) else list(self.cutoffs)
        return Certificate(
            method=self.name,
            labels=labels,
            radius=noise.radius(self.tau),
            votes=votes,
            noise=noise,
            alpha=self.alpha,
            tau=self.tau,
            cutoff=cutoff,
            hierarchy=self.hierarchy,
            parameters={"cutoffs": chosen},
        )

    def _steps(self, votes: VoteCounts) -> Steps:
        tested, components = tested_tau(self.tau, votes), votes.num_components
        return Steps.of(votes.trials, tested, components, self.alpha, cutoffs=self.cutoffs)

    @classmethod
    def errors(cls, certificate: Certificate) -> Evidence:
        """The evidence, a function of a region S that returns m(S) of theory T16."""
        method, votes, labels = cls.of(certificate), certificate.votes, certificate.labels
        steps, tree, classes = method._steps(votes), method.hierarchy, None
        if tree is None:
            hits = votes.hits(labels)
        else:
            hits, classes = node_hits(votes, labels, tree), labels < tree.num_classes
        levels = np.where(certificate.certified, steps.reached(hits), 0)
        return Evidence.of(levels, steps.values[1:], steps.stray, method.alpha, classes)

    @classmethod
    def of(cls, stored: Certificate) -> Self:
        parameters = stored.parameters or {}
        if set(parameters) != {"cutoffs"}:
            raise InputError(f"expected the cutoffs as the parameters, got {parameters!r:.80}")
        return super().of(stored)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """Selected by regions without early stopping; a correction is refused."""
        if not settings.get("regions") or settings["stopping"] is not None:
            return None
        check_alone(settings)
        return cls(**{name: settings[name] for name in ("tau", "alpha", "hierarchy")})

    @classmethod
    def tested_by(cls, certificate: Certificate) -> str:
        chosen, tree = (certificate.parameters or {}).get("cutoffs"), certificate.hierarchy
        tested = f" by evidence over cutoffs ({chosen}), tau = {certificate.tau!r}"
        return tested if tree is None else f"{tested}{along(tree, 'T8')}"

    @classmethod
    def theorem(cls, certificate: Certificate) -> str:
        return "T16"

    @classmethod
    def whole_claim(cls, certificate: Certificate) -> str | None:
        given, total = int(certificate.certified.sum()), certificate.labels.size
        sure, tree = given - certificate.allowed_errors, certificate.hierarchy
        true = (
            f"of the {given} labels given to {total} components at least {sure} are the majority "
            "label of the smoothed model"
        )
        if tree is not None:
            classes = int((certificate.labels[certificate.certified] < tree.num_classes).sum())
            true = (
                f"of the {given} nodes given to {total} components, {classes} classes and "
                f"{given - classes} groups of the hierarchy {quoted(tree.name)}, at least {sure} "
                "contain the base model's label with probability above 1/2 under the noise"
            )
        return (
            f"{true}, and of those given in any region, whenever and however it was chosen, at "
            "least as many as follow from the counts by theory T16, all regions at once,"
        )


def regions(
    votes: VoteCounts,
    *,
    noise: Noise,
    tau: float = 0.75,
    alpha: float = 1e-3,
    cutoffs: Cutoffs = SPREAD,
    hierarchy: Hierarchy | None = None,
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
        hierarchy: over the classes of the votes, fixed before sampling. Where no class gets a
            label, the finest node with enough evidence does (theory T8); a node holds if its
            probability exceeds tau.

    Returns:
        The certificate; ``at_least(mask)`` gives the bound for a region.

    Raises:
        InputError: for bad parameters, for too few draws, for votes of another noise, and for a
            hierarchy over other classes.

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
    method = Regions(tau=tau, alpha=alpha, cutoffs=cutoffs, hierarchy=hierarchy)
    return method.certify(votes, noise=noise)


@dataclass(frozen=True)
class Steps:
    """The function E of theory T16 for one number of draws, in exact rationals of the rounded-up
    tails.

    cutoffs: increasing counts. values: E before the first cutoff, which is 0, and from each cutoff
    on. stray: bound on the mean of E for components that have a label of probability > tau.
    """

    cutoffs: tuple[int, ...]
    values: tuple[Fraction, ...]
    stray: Fraction

    @staticmethod
    def of(
        trials: int,
        tau: float,
        components: int,
        level: float,
        *,
        weight: Fraction = Fraction(1),
        cutoffs: Cutoffs = SPREAD,
    ) -> Steps:
        """Steps of total weight ``weight``, split evenly over the cutoffs.

        Raises InputError for a cutoff with a p-value above level.
        """
        pooled, stray = _tails(trials, tau)
        if isinstance(cutoffs, str):
            cutoffs = spread_cutoffs(pooled, components, level)
        bad = [c for c in cutoffs if not c <= trials or pooled[c] > level]
        if bad:
            raise InputError(
                f"expected cutoffs of at most {trials} votes whose p-value is at most "
                f"alpha, got {bad[0]}; leave it out"
            )
        heights = [weight / (len(cutoffs) * Fraction(float(pooled[c]))) for c in cutoffs]
        strays = (h * Fraction(float(stray[c])) for h, c in zip(heights, cutoffs, strict=True))
        values = tuple(accumulate(heights, initial=Fraction(0)))
        return Steps(tuple(cutoffs), values, sum(strays, Fraction(0)))

    def reached(self, hits: NDArray[np.integer]) -> NDArray[np.int64]:
        """Number of cutoffs that each count reaches, an index into ``values``."""
        return np.searchsorted(self.cutoffs, hits, side="right")

    def alone(self, trials: int, alpha: float) -> int:
        """Smallest count whose evidence alone is enough for a label, trials + 1 for none."""
        pairs = zip(self.cutoffs, self.values[1:], strict=True)
        return next((c for c, value in pairs if value >= 1 / Fraction(alpha)), trials + 1)


def check_alone(settings: Mapping[str, Any]) -> None:
    """Raise InputError if settings with regions name a correction or thresholds."""
    if settings["correction"] != "holm":
        raise InputError(
            f"expected no --correction with --regions, got {settings['correction']!r}; leave it out"
        )
    if settings["thresholds"] is not None:
        raise InputError(
            "expected --hierarchy without --thresholds with --regions, got thresholds "
            f"{settings['thresholds']}; leave them out, then each component gets the finest node "
            "that has enough votes"
        )


def spread_cutoffs(pvalues: NDArray[np.float64], components: int, alpha: float) -> list[int]:
    """Up to eight increasing cutoffs with p-values from alpha / 8 to alpha / N in equal ratios.

    pvalues: float64 (n + 1,), by count. Levels that no count reaches are left out, and equal
    cutoffs are merged.
    """
    most = MOST_CUTOFFS
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
