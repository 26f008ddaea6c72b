"""The radius map: for every component the largest radius its votes prove, all valid at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.checks import check_noise, lowered
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.binomial import lower_bound
from certiseg.stats.pvalues import checked_alpha, min_trials
from certiseg.votes import ABSTAIN, VoteCounts, labels_dtype


def radius_map(votes: VoteCounts, *, noise: Noise, alpha: float = 1e-3) -> Certificate:
    """Certify every component at the largest radius that its own votes prove.

    Guarantee: with probability >= 1 - alpha over the draws, every certified label of every
    component i is the majority label under every perturbation of norm < radius[i], for all
    components and for all radii at once. So a radius may be chosen after looking at the map
    (``Certificate.at``), which is not so for ``certify`` at many tau.
    votes: counts (*components, C) of n draws. radius[i] = noise.radius(p_i) with p_i the
    one-sided Clopper-Pearson bound of the mode's votes at alpha / (2 N); ABSTAIN and 0.0 where
    p_i <= 1/2.
    Raises InputError for bad parameters, for too few draws to certify anything, and for votes
    drawn from another noise. Source: Cohen et al. 2019, Algorithm CERTIFY; theory T6.
    """
    alpha = checked_alpha(alpha)
    check_radius_plan(votes.num_components, votes.trials, alpha)
    check_noise(votes, noise)
    candidates, hits = votes.top()
    radius = radius_by_count(hits, votes.trials, noise=noise, alpha=alpha, eta=votes.eta)[hits]
    labels = np.where(np.isnan(radius), ABSTAIN, candidates)
    return Certificate(
        method="radius_map",
        labels=labels.astype(labels_dtype(votes.num_classes)),
        radius=np.asarray(np.where(np.isnan(radius), 0.0, radius)),
        votes=votes,
        noise=noise,
        alpha=alpha,
    )


def check_radius_plan(components: int, trials: int, alpha: float) -> None:
    """Raise InputError when not even a unanimous component could exceed 1/2 at alpha / (2 N)."""
    # At tau = 1/2 the pooled p-value is 2 h(k, n, 1/2): the same condition.
    needed = min_trials(components, 0.5, checked_alpha(alpha))
    if trials < needed:
        raise InputError(
            f"expected at least {needed} draws for a radius map of {components} components at "
            f"alpha = {alpha:g}, got {trials}; with fewer nothing can be certified, "
            f"set num_samples (-n) to {needed} or more"
        )


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
