"""IndivClass, a baseline of the paper: every component classified on its own, one radius."""

from __future__ import annotations

import numpy as np

from certiseg.certify.certificate import Certificate, labels_dtype
from certiseg.certify.checks import check_noise, check_stages
from certiseg.noise import Gaussian
from certiseg.stats.binomial import lower_bound
from certiseg.stats.pvalues import checked_alpha
from certiseg.votes import ABSTAIN, VoteCounts


def individual(
    votes: VoteCounts, *, noise: Gaussian, alpha: float = 1e-3, selection_votes: VoteCounts
) -> Certificate:
    """IndivClass: CERTIFY at alpha / N for each component; the worst one sets the radius.

    Guarantee: with probability >= 1 - alpha over the draws, all labels stay under every
    perturbation of norm < radius. One component at or below 1/2 makes it abstain everywhere,
    which is why the paper replaced it by SegCertify.
    votes: counts (*components, C) of the testing draws; selection_votes: of other draws.
    Source: Fischer, Baader, Vechev 2021, section 4 (baseline IndivClass); theory T1, T2.
    """
    alpha = checked_alpha(alpha)
    check_noise(votes, noise)
    check_stages(votes, selection_votes)
    candidates = selection_votes.mode()
    worst = votes.hits(candidates).min()
    # The bound grows with the hits, so the smallest count has the smallest bound.
    bound = float(lower_bound(worst, votes.trials, alpha / votes.num_components))
    held = bound > 0.5
    labels = candidates if held else np.full(votes.shape, ABSTAIN)
    return Certificate(
        method="individual",
        labels=np.asarray(labels).astype(labels_dtype(votes.num_classes)),
        radius=noise.radius(bound) if held else 0.0,
        votes=votes,
        noise=noise,
        alpha=alpha,
        selection="split",
        selection_votes=selection_votes,
    )
