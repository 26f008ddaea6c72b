"""SegCertify: which components keep their label within R = sigma * PhiInv(tau)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from certiseg.certify.certificate import Certificate, labels_dtype
from certiseg.certify.checks import check_noise, check_stages
from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.stats.multiple_testing import bonferroni_cutoff, holm_cutoff
from certiseg.stats.pvalues import (
    checked_alpha,
    checked_tau,
    dominant_tail,
    min_trials,
    pooled_pvalues,
    stray_tail,
)
from certiseg.votes import ABSTAIN, VoteCounts

CORRECTIONS = ("holm", "bonferroni")
SELECTIONS = ("pooled", "split")


def check_options(tau: float, alpha: float, correction: str, selection: str) -> None:
    """Raise InputError for parameters that no number of draws could make good."""
    checked_tau(tau), checked_alpha(alpha)
    if correction not in CORRECTIONS:
        raise InputError(
            f"expected correction {' or '.join(CORRECTIONS)}, got {correction!r}; choose one"
        )
    if selection not in SELECTIONS:
        raise InputError(
            f"expected selection {' or '.join(SELECTIONS)}, got {selection!r}; choose one"
        )


def check_plan(
    components: int,
    trials: int,
    *,
    tau: float,
    alpha: float,
    correction: str = "holm",
    selection: str = "pooled",
) -> None:
    """Raise InputError for parameters that cannot give a certificate, before anything is drawn.

    In particular for fewer than n_min draws (theory T7): then not even a unanimous component
    could be certified, and the message names the number that would do.
    """
    check_options(tau, alpha, correction, selection)
    needed = min_trials(components, tau, alpha, selection=selection)
    if trials < needed:
        raise InputError(
            f"expected at least {needed} draws for {components} components at tau = {tau:g}, "
            f"alpha = {alpha:g}, got {trials}; with fewer nothing can be certified, "
            f"set num_samples (-n) to {needed} or more"
        )


def certify(
    votes: VoteCounts,
    *,
    noise: Gaussian,
    tau: float = 0.75,
    alpha: float = 1e-3,
    correction: str = "holm",
    selection: str | None = None,
    selection_votes: VoteCounts | None = None,
) -> Certificate:
    """Certify every component whose label has probability > tau, family-wise error <= alpha.

    Guarantee: with probability >= 1 - alpha over the draws, every certified label has probability
    > tau under the noise, so it stays the majority label under every perturbation of norm
    < ``noise.radius(tau)``, for all certified components at once (theory T1).
    votes: counts (*components, C) of n draws. tau in [1/2, 1) and alpha in (0, 1) must be fixed
    before sampling.
    correction: "holm" or "bonferroni" (T4). selection: "pooled", all draws choose and test (T3);
    "split", selection_votes choose the candidates and votes test them (T2), which is the paper's.
    Raises InputError for bad parameters, for n below n_min, for stages that share a draw, and for
    votes drawn from another noise.
    Source: Fischer, Baader, Vechev 2021, Algorithm SegCertify; theory T2, T3, T4.
    """
    if selection is None:
        selection = "pooled" if selection_votes is None else "split"
    if (selection == "split") != (selection_votes is not None):
        raise InputError(
            f"expected selection_votes with selection='split' and only then, got {selection!r} "
            f"{'without' if selection_votes is None else 'with'} them; pass both or neither"
        )
    check_plan(
        votes.num_components,
        votes.trials,
        tau=tau,
        alpha=alpha,
        correction=correction,
        selection=selection,
    )
    tau, alpha = checked_tau(tau), checked_alpha(alpha)
    check_noise(votes, noise)
    chooser = votes
    if selection_votes is not None:
        check_stages(votes, selection_votes)
        chooser = selection_votes
    candidates = chooser.mode()
    hits = votes.hits(candidates)
    cutoff = _cutoff(hits, votes.trials, tau, alpha, correction, selection)
    labels = np.where(hits >= cutoff, candidates, ABSTAIN)
    return Certificate(
        method="segcertify",
        labels=labels.astype(labels_dtype(votes.num_classes)),
        radius=noise.radius(tau),
        votes=votes,
        noise=noise,
        alpha=alpha,
        tau=tau,
        correction=correction,
        selection=selection,
        selection_votes=selection_votes,
        cutoff=cutoff,
    )


def _cutoff(
    hits: NDArray[np.int64], trials: int, tau: float, alpha: float, correction: str, selection: str
) -> int:
    """Smallest count that certifies: ``trials + 1`` when none does."""
    histogram = np.bincount(hits.ravel(), minlength=trials + 1)
    pooled = selection == "pooled"
    if correction == "bonferroni":
        table = pooled_pvalues(trials, tau) if pooled else dominant_tail(trials, tau)
        return bonferroni_cutoff(histogram, table, alpha)
    stray = stray_tail(trials, tau) if pooled else None
    return holm_cutoff(histogram, dominant_tail(trials, tau), alpha, everywhere=stray)
