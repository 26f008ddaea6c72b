"""False certificates, counted with a reference set of draws: certified labels whose probability is
below tau with high confidence.

The reference draws are many, and were not used by any certificate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certiseg.stats.binomial import lower_bound
from certiseg.votes import ABSTAIN, VoteCounts

LEVEL = 1e-3
"""Error probability, for all pixels of an image together."""


@dataclass(frozen=True)
class Falsity:
    """Counts for one row, summed over images: pixels, certified pixels, certified pixels whose
    label has p < tau by the reference, and images with at least one of these."""

    images: int
    pixels: int
    certified: int
    false: int
    with_false: int

    def __add__(self, other: Falsity) -> Falsity:
        return Falsity(
            self.images + other.images,
            self.pixels + other.pixels,
            self.certified + other.certified,
            self.false + other.false,
            self.with_false + other.with_false,
        )


def surely_false(
    labels: NDArray[np.signedinteger], reference: VoteCounts, tau: float
) -> NDArray[np.bool_]:
    """Certified pixels whose label has probability < tau by the reference draws.

    labels: (*size), ABSTAIN where nothing is certified, computed without the reference draws.

    Guarantee: with probability >= 1 - LEVEL over the reference draws, every pixel returned has p <
    tau. Each is tested by the one-sided Clopper-Pearson bound at LEVEL / N (Bonferroni, theory T4).
    The count is therefore a lower bound.
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
    """Count the false certificates of one image."""
    false = int(np.count_nonzero(surely_false(labels, reference, tau)))
    return Falsity(1, labels.size, int(np.count_nonzero(labels != ABSTAIN)), false, int(false > 0))
