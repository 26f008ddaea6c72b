"""Cohen's CERTIFY for one classified input."""

from __future__ import annotations

from dataclasses import replace

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.individual import individual
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.votes import VoteCounts


def classify(
    votes: VoteCounts,
    *,
    noise: Noise,
    alpha: float = 1e-3,
    selection_votes: VoteCounts | None = None,
) -> Certificate:
    """CERTIFY: the label of one input and the largest radius its votes prove.

    Guarantee: with probability >= 1 - alpha over the draws, the label (unless ABSTAIN) is the
    smoothed classifier's under every perturbation of norm < radius.
    votes: counts (C,) of the testing draws; selection_votes: counts (C,) of other draws, which
    choose the candidate, as Cohen's does; without them the mode of the testing draws is the
    candidate, at half the level (T6). radius = sigma * PhiInv(p) with p the one-sided
    Clopper-Pearson bound; ABSTAIN and radius 0.0 when p <= 1/2. It is IndivClass on a single
    component.
    Raises InputError for votes of more than one component, or stages that share a draw.
    Source: Cohen, Rosenfeld, Kolter 2019, Algorithm CERTIFY; theory T1, T2, T6.
    """
    if votes.num_components != 1:
        raise InputError(
            f"expected votes of one component, got {votes.num_components}; "
            "certify many at once with certiseg.certifiers"
        )
    only = individual(votes, noise=noise, alpha=alpha, selection_votes=selection_votes)
    return replace(only, method="classify")
