"""Cohen's CERTIFY for one classified input."""

from __future__ import annotations

import numpy as np

from certiseg.certify.certificate import Certificate, labels_dtype
from certiseg.certify.checks import check_noise, check_stages
from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.stats.binomial import lower_bound
from certiseg.stats.pvalues import check_level
from certiseg.votes import ABSTAIN, VoteCounts


def classify(
    votes: VoteCounts, *, noise: Gaussian, alpha: float = 1e-3, selection_votes: VoteCounts
) -> Certificate:
    """CERTIFY: the label of one input and the largest radius its votes prove.

    Guarantee: with probability >= 1 - alpha over the draws, the label (unless ABSTAIN) is the
    smoothed classifier's under every perturbation of norm < radius.
    votes: counts (C,) of the testing draws; selection_votes: counts (C,) of other draws, which
    choose the candidate. radius = sigma * PhiInv(p) with p the one-sided Clopper-Pearson bound;
    ABSTAIN and radius 0.0 when p <= 1/2.
    Raises InputError for votes of more than one component, or stages that share a draw.
    Source: Cohen, Rosenfeld, Kolter 2019, Algorithm CERTIFY; theory T1, T2.
    """
    check_level(0.5, alpha)
    if votes.num_components != 1:
        raise InputError(
            f"expected votes of one component, got {votes.num_components}; "
            "certify many at once with certiseg.certify"
        )
    check_noise(votes, noise)
    check_stages(votes, selection_votes)
    candidate = selection_votes.mode()
    bound = float(lower_bound(votes.hits(candidate), votes.trials, alpha).item())
    held = bound > 0.5
    labels = candidate if held else np.full(votes.shape, ABSTAIN)
    return Certificate(
        method="classify",
        labels=np.asarray(labels).astype(labels_dtype(votes.num_classes)),
        radius=noise.radius(bound) if held else 0.0,
        votes=votes,
        noise=noise,
        alpha=alpha,
        selection="split",
        selection_votes=selection_votes,
    )
