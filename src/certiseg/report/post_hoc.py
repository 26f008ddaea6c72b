"""Radius maps computed from the votes of a certificate, for radii chosen afterwards (theory T6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.radius_map import RadiusMap, radius_by_count
from certiseg.errors import InputError

_FIXED = ("segcertify", "radius_map", "hierarchical", "adaptive", "regions")
"""Methods whose number of draws does not depend on the votes, and whose votes are for classes."""


@dataclass(frozen=True)
class PostHocRadii:
    """A radius map, as a table over vote counts; all radii hold simultaneously.

    Args:
        labels: most frequent label of each component.
        hits: vote count of that label.
        trials: number of draws.
        radius: float64 (trials + 1,) by vote count, NaN where nothing is certified.
        alpha: error probability of this map.
        own: True if the certificate is itself a radius map.
    """

    labels: NDArray[np.signedinteger]
    hits: NDArray[np.integer]
    trials: int
    radius: NDArray[np.float64]
    alpha: float
    own: bool

    @property
    def largest(self) -> float:
        """The largest radius of any component, 0 if none is certified."""
        found = self.radius[np.isfinite(self.radius)]
        return float(found.max()) if found.size else 0.0

    def map(self) -> NDArray[np.float64]:
        """Radius of each component, 0 where it abstains."""
        return np.asarray(np.nan_to_num(self.radius, nan=0.0)[self.hits])


def post_hoc_radii(certificate: Certificate) -> PostHocRadii:
    """The radius map that follows from a certificate's testing draws, at its alpha (theory T6).

    Unless the certificate is itself a radius map, this is a second guarantee: both hold together
    with confidence 1 - 2 alpha. Raises InputError if the number of draws was not fixed beforehand,
    votes are not for classes, or there are too few draws.
    """
    if certificate.method not in _FIXED or certificate.looks is not None:
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
