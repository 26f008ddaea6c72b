"""False certificates, counted: certified labels whose probability surely is below tau.

The probabilities are those of a large set of draws that no certificate looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certiseg.stats.binomial import lower_bound
from certiseg.votes import ABSTAIN, VoteCounts

LEVEL = 1e-3
"""Error probability of "surely", for all pixels of a picture together."""


@dataclass(frozen=True)
class Falsity:
    """Of one line, added up over pictures: pixels, certified ones, those certified although their
    label surely has p < tau, and pictures with at least one of these."""

    pictures: int
    pixels: int
    certified: int
    false: int
    with_false: int

    def __add__(self, other: Falsity) -> Falsity:
        return Falsity(
            self.pictures + other.pictures,
            self.pixels + other.pixels,
            self.certified + other.certified,
            self.false + other.false,
            self.with_false + other.with_false,
        )


def surely_false(
    labels: NDArray[np.signedinteger], reference: VoteCounts, tau: float
) -> NDArray[np.bool_]:
    """Certified pixels whose label surely has probability < tau.

    labels: (*size), ABSTAIN where nothing is certified, made without the reference's draws.
    Guarantee: with probability >= 1 - LEVEL over the reference, all pixels given have p < tau: each
    is tested by the one-sided Clopper-Pearson bound at LEVEL / N, and Bonferroni does the rest
    (theory T4). So what is counted is fewer than there are.
    """
    certified = labels != ABSTAIN
    hits = reference.hits(np.where(certified, labels, 0))
    counts = np.arange(reference.trials + 1)
    # An upper bound on p is one minus a lower bound on 1 - p, which is rounded down.
    low = lower_bound(reference.trials - counts, reference.trials, LEVEL / labels.size)
    upper = np.nextafter(1.0 - low, 2.0)
    found: NDArray[np.bool_] = certified & (upper + reference.eta < tau)[hits]
    return found


def falsity(labels: NDArray[np.signedinteger], reference: VoteCounts, tau: float) -> Falsity:
    """The count of one picture."""
    false = int(np.count_nonzero(surely_false(labels, reference, tau)))
    return Falsity(1, labels.size, int(np.count_nonzero(labels != ABSTAIN)), false, int(false > 0))
