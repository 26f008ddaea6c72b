"""Radii that may be chosen after a look at the votes: one for each count of votes (theory T6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.radius_map import RadiusMap, radius_by_count
from certiseg.errors import InputError

_FIXED = ("segcertify", "radius_map", "hierarchical", "adaptive")
"""Methods whose number of draws does not depend on the votes."""


@dataclass(frozen=True)
class PostHocRadii:
    """A radius for every count of votes; all hold at once.

    Args:
        labels: most frequent label of each component.
        hits: votes for that label.
        trials: votes in all.
        radius: float64 (trials + 1,) by count, NaN where nothing is certified.
        alpha: of this map of radii, beside the certificate's own.
        own: whether the certificate is such a map itself.
    """

    labels: NDArray[np.signedinteger]
    hits: NDArray[np.integer]
    trials: int
    radius: NDArray[np.float64]
    alpha: float
    own: bool

    @property
    def largest(self) -> float:
        """The largest radius of a component, 0 where none is certified."""
        found = self.radius[np.isfinite(self.radius)]
        return float(found.max()) if found.size else 0.0

    def map(self) -> NDArray[np.float64]:
        """Radius of each component, 0 where it abstains."""
        return np.asarray(np.nan_to_num(self.radius, nan=0.0)[self.hits])


def post_hoc_radii(certificate: Certificate) -> PostHocRadii:
    """The map of radii that the certificate's votes carry, at the certificate's alpha.

    It is a statement of its own, by theory T6 on the test draws, whatever method made the
    certificate: both hold together with confidence 1 - 2 alpha, unless they are the same.
    Raises InputError where the votes carry none: the number of draws was not fixed beforehand, the
    votes are no counts of classes, or they are too few.
    """
    if certificate.method not in _FIXED:
        given = (
            "one that depended on the votes (early stopping)"
            if certificate.looks is not None
            else f"{certificate.method}, which is another kind of statement"
        )
        raise InputError(
            "expected a number of draws that was fixed beforehand, as a radius chosen after a look "
            f"needs (theory T6), got {given}"
        )
    votes = certificate.votes
    RadiusMap(alpha=certificate.alpha).check_draws(votes.num_components, votes.trials)
    labels, hits = votes.top()
    return PostHocRadii(
        labels=labels,
        hits=hits,
        trials=votes.trials,
        radius=radius_by_count(
            hits,
            votes.trials,
            noise=certificate.noise,
            alpha=certificate.alpha,
            eta=certificate.eta,
        ),
        alpha=certificate.alpha,
        own=certificate.method == "radius_map",
    )
