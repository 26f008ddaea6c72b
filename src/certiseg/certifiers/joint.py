"""JointClass, a baseline of the paper: the whole output is one class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.checks import check_fresh, check_noise, lowered
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.binomial import lower_bound
from certiseg.stats.pvalues import checked_alpha
from certiseg.votes import ABSTAIN, VoteCounts


def joint(
    votes: VoteCounts,
    *,
    candidates: ArrayLike,
    noise: Noise,
    alpha: float = 1e-3,
    selection_votes: VoteCounts | None = None,
) -> Certificate:
    """JointClass: CERTIFY on whole label maps; all components hold, or all abstain.

    Guarantee: with probability >= 1 - alpha over the draws, the whole label map is the most
    probable one under every perturbation of norm < radius.
    candidates: labels, ints (*components), chosen from *other* draws. selection_votes: the votes
    they were chosen from, to check that; without them the caller answers for it.
    votes: counts (2,): draws whose whole output equals candidates, and all other draws
    (``Smoothed.vote_joint`` counts them). They do not record which map was compared, so
    ``verify`` checks the count and the radius, not the map.
    Raises InputError for votes of another shape, and candidates that are no labels.
    Source: Fischer, Baader, Vechev 2021, section 4 (baseline JointClass); theory T1, T2.
    """
    alpha = checked_alpha(alpha)
    if votes.counts.shape != (2,):
        raise InputError(
            f"expected votes of shape (2,), equal and not equal, got {votes.counts.shape}; "
            "count them with Smoothed.vote_joint"
        )
    check_noise(votes, noise)
    if selection_votes is not None:
        check_fresh(votes, selection_votes)
    wanted = checked_labels(candidates)
    bound = lowered(float(lower_bound(int(votes.counts[0]), votes.trials, alpha)), votes.eta)
    held = bound > 0.5
    return Certificate(
        method="joint",
        labels=wanted if held else np.full_like(wanted, ABSTAIN),
        radius=noise.radius(bound) if held else 0.0,
        votes=votes,
        noise=noise,
        alpha=alpha,
        selection="split",
        candidates=wanted,
    )


def checked_labels(candidates: ArrayLike) -> NDArray[np.int32]:
    """A label map as int32; InputError unless it holds labels, without abstentions."""
    labels = np.asarray(candidates)
    if labels.dtype.kind not in "iu" or labels.size == 0:
        raise InputError(
            f"expected candidates that are integer labels, got {labels.dtype} of shape "
            f"{labels.shape}; pass a whole label map"
        )
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        raise InputError(
            f"expected candidates that are labels >= 0, got [{labels.min()}, {labels.max()}]; "
            "a joint label map has no abstentions"
        )
    return labels.astype(np.int32)
