"""JointClass, a baseline of the paper: the whole output is one class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from certiseg.certify.certificate import Certificate
from certiseg.certify.checks import check_noise
from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.stats.binomial import lower_bound
from certiseg.stats.pvalues import check_level
from certiseg.votes import ABSTAIN, VoteCounts


def joint(
    votes: VoteCounts, *, candidates: ArrayLike, noise: Gaussian, alpha: float = 1e-3
) -> Certificate:
    """JointClass: CERTIFY on whole label maps; all components hold, or all abstain.

    Guarantee: with probability >= 1 - alpha over the draws, the whole label map is the most
    probable one under every perturbation of norm < radius.
    candidates: labels (*components) chosen from *other* draws. votes: counts (2,): draws whose
    whole output equals candidates, and all other draws (``Smoothed.vote_joint`` counts them).
    Raises InputError for votes of another shape.
    Source: Fischer, Baader, Vechev 2021, section 4 (baseline JointClass); theory T1, T2.
    """
    check_level(0.5, alpha)
    if votes.counts.shape != (2,):
        raise InputError(
            f"expected votes of shape (2,), equal and not equal, got {votes.counts.shape}; "
            "count them with Smoothed.vote_joint"
        )
    check_noise(votes, noise)
    wanted = np.asarray(candidates)
    bound = float(lower_bound(int(votes.counts[0]), votes.trials, alpha))
    held = bound > 0.5
    labels = wanted if held else np.full(wanted.shape, ABSTAIN)
    return Certificate(
        method="joint",
        labels=np.asarray(labels).astype(np.int32),
        radius=noise.radius(bound) if held else 0.0,
        votes=votes,
        noise=noise,
        alpha=alpha,
        selection="split",
        candidates=wanted.astype(np.int32),
    )
