"""Radius map: the largest radius that the votes of each component prove, simultaneously valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.method import Method
from certiseg.certifiers.checks import check_noise, lowered
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.binomial import lower_bound
from certiseg.stats.pvalues import checked_alpha, min_trials
from certiseg.votes import ABSTAIN, VoteCounts, labels_dtype


@dataclass(frozen=True, kw_only=True)
class RadiusMap(Method):
    """Radius map with its alpha; ``radius_map`` states the guarantee."""

    name: ClassVar[str] = "radius_map"
    title: ClassVar[str] = "radius map"
    option: ClassVar[str] = "--radius-map"
    mapped: ClassVar[bool] = True

    alpha: float = 1e-3

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checked_alpha(self.alpha))

    def check_draws(
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> None:
        """Raise InputError if n of n votes do not give a bound above 1/2 at alpha / (2 N)."""
        # The same condition as for pooled p-values at tau = 1/2, which are 2 h(k, n, 1/2).
        needed = min_trials(components, 0.5, self.alpha)
        if num_samples < needed:
            raise InputError(
                f"expected at least {needed} draws for a radius map of {components} components at "
                f"alpha = {self.alpha:g}, got {num_samples}; with fewer nothing can be certified, "
                f"set num_samples (-n) to {needed} or more"
            )

    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """See ``radius_map``."""
        self.check_draws(votes.num_components, votes.trials)
        check_noise(votes, noise)
        candidates, hits = votes.top()
        table = radius_by_count(hits, votes.trials, noise=noise, alpha=self.alpha, eta=votes.eta)
        radius = table[hits]
        labels = np.where(np.isnan(radius), ABSTAIN, candidates)
        return Certificate(
            method=self.name,
            labels=labels.astype(labels_dtype(votes.num_classes)),
            radius=np.asarray(np.where(np.isnan(radius), 0.0, radius)),
            votes=votes,
            noise=noise,
            alpha=self.alpha,
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """Selected by radius_map; tau does not matter, and a correction is refused."""
        if not settings["radius_map"]:
            return None
        if settings["correction"] != "holm":
            raise InputError(
                f"expected no --correction with --radius-map, got {settings['correction']!r}; "
                "a map has its own level, leave it out"
            )
        return cls(alpha=settings["alpha"])

    @classmethod
    def tested_by(cls, certificate: Certificate) -> str:
        return f" by a {cls.title}"

    @classmethod
    def theorem(cls, certificate: Certificate) -> str:
        return "T6"


def radius_map(votes: VoteCounts, *, noise: Noise, alpha: float = 1e-3) -> Certificate:
    """Certify every component at the largest radius that its votes prove.

    Guarantee: with probability >= 1 - alpha over the draws, the certified label of each component i
    is the majority label under every perturbation of norm < radius[i], for all components at once.
    So a radius may be chosen after seeing the map (``Certificate.at``); choosing among several runs
    of ``certify`` at different tau would not be valid.

    Args:
        votes: counts (*components, C) of n draws.
        noise: noise of the draws.
        alpha: error probability in (0, 1), fixed before sampling.

    Returns:
        The certificate: radius[i] = noise.radius(p_i), with p_i the one-sided Clopper-Pearson bound
        for the most frequent label at level alpha / (2 N); ABSTAIN and 0.0 where p_i <= 1/2.

    Raises:
        InputError: for bad parameters, for too few draws to certify anything, and for votes drawn
            from another noise.

    Example:
        >>> import certiseg as cs
        >>> votes = cs.VoteCounts([[98, 2], [80, 20], [50, 50]], 100)
        >>> cs.radius_map(votes, noise=cs.Gaussian(0.25)).radius.round(2)
        array([0.29, 0.08, 0.  ])

    Reference:
        Cohen, Rosenfeld, Kolter 2019, Algorithm CERTIFY; theory T6.
    """
    return RadiusMap(alpha=alpha).certify(votes, noise=noise)


def radius_by_count(
    hits: NDArray[np.integer], trials: int, *, noise: Noise, alpha: float, eta: float = 0.0
) -> NDArray[np.float64]:
    """Table (n + 1,) of the radius by vote count, NaN where nothing is certified (theory T6).

    hits: vote count of the most frequent label of each of N components; only counts that occur are
    computed, the others are NaN. eta: as ``VoteCounts.eta``.
    """
    table = np.full(trials + 1, np.nan)
    level = alpha / hits.size / 2
    present = np.flatnonzero(np.bincount(hits.ravel(), minlength=trials + 1))
    for count, bound in zip(present, lower_bound(present, trials, level), strict=True):
        held = lowered(float(bound), eta)
        if held > 0.5:
            table[count] = noise.radius(held)
    return table
