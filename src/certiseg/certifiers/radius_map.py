"""The radius map: for every component the largest radius its votes prove, all valid at once."""

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
    """A radius map with its level; ``radius_map`` states the guarantee."""

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
        """Refuses draws of which not even a unanimous component could exceed 1/2 at
        alpha / (2 N)."""
        # At tau = 1/2 the pooled p-value is 2 h(k, n, 1/2): the same condition.
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
        """Tau and correction have no part in it."""
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
    """Certify every component at the largest radius that its own votes prove.

    Guarantee: with probability >= 1 - alpha over the draws, every certified label of every
    component i is the majority label under every perturbation of norm < radius[i], for all
    components and for all radii at once. So a radius may be chosen after looking at the map
    (``Certificate.at``), which is not so for ``certify`` at many tau.

    Args:
        votes: counts (*components, C) of n draws.
        noise: that the votes were drawn under.
        alpha: error probability in (0, 1), fixed before sampling.

    Returns:
        The certificate: radius[i] = noise.radius(p_i) with p_i the one-sided Clopper-Pearson bound
        of the mode's votes at alpha / (2 N); ABSTAIN and 0.0 where p_i <= 1/2.

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
    """Radius (n + 1,) by count of hits, NaN where nothing is certified (theory T6).

    hits: votes for the mode of each of N components; only counts that occur are computed. eta: as
    ``VoteCounts.eta``.
    """
    table = np.full(trials + 1, np.nan)
    level = alpha / hits.size / 2
    present = np.flatnonzero(np.bincount(hits.ravel(), minlength=trials + 1))
    for count, bound in zip(present, lower_bound(present, trials, level), strict=True):
        held = lowered(float(bound), eta)
        if held > 0.5:
            table[count] = noise.radius(held)
    return table
