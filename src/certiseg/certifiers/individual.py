"""IndivClass, a baseline of the paper: every component classified on its own, one radius."""

from __future__ import annotations

import numpy as np

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.checks import check_noise, check_stages, lowered
from certiseg.noise import Noise
from certiseg.stats.binomial import lower_bound
from certiseg.stats.pvalues import checked_alpha
from certiseg.votes import ABSTAIN, VoteCounts, labels_dtype


def individual(
    votes: VoteCounts,
    *,
    noise: Noise,
    alpha: float = 1e-3,
    selection_votes: VoteCounts | None = None,
) -> Certificate:
    """IndivClass: CERTIFY at alpha / N for each component; the worst one sets the radius.

    Guarantee: with probability >= 1 - alpha over the draws, all labels stay under every
    perturbation of norm < radius. One component at or below 1/2 makes it abstain everywhere,
    which is why the paper replaced it by SegCertify.
    votes: counts (*components, C) of the testing draws. selection_votes: counts of other draws,
    which choose the candidates (the paper's two stages, T2); without them the mode of the testing
    draws is the candidate, at half the level (T6).
    Source: Fischer, Baader, Vechev 2021, section 4 (baseline IndivClass); theory T1, T2, T6.
    """
    alpha = checked_alpha(alpha)
    check_noise(votes, noise)
    level = alpha / votes.num_components
    if selection_votes is None:
        candidates, level = votes.mode(), level / 2
    else:
        check_stages(votes, selection_votes)
        candidates = selection_votes.mode()
    worst = votes.hits(candidates).min()
    # The bound grows with the hits, so the smallest count has the smallest bound.
    bound = lowered(float(lower_bound(worst, votes.trials, level)), votes.eta)
    held = bound > 0.5
    labels = candidates if held else np.full(votes.shape, ABSTAIN)
    return Certificate(
        method="individual",
        labels=np.asarray(labels).astype(labels_dtype(votes.num_classes)),
        radius=noise.radius(bound) if held else 0.0,
        votes=votes,
        noise=noise,
        alpha=alpha,
        selection="pooled" if selection_votes is None else "split",
        selection_votes=selection_votes,
    )
