"""SegCertify: which components keep their label within R = noise.radius(tau)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.checks import check_noise, check_stages, tested_tau
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.multiple_testing import bonferroni_cutoff, step_down_cutoff
from certiseg.stats.pvalues import (
    checked_alpha,
    checked_tau,
    dominant_tail,
    min_trials,
    pooled_pvalues,
    wrong_label_tail,
)
from certiseg.votes import ABSTAIN, VoteCounts, labels_dtype

CORRECTIONS = ("holm", "bonferroni", "k-fwer", "k-fwer-single")
SELECTIONS = ("pooled", "split")
Budget = int | float | None
"""Error budget k as users give it: a whole number, a fraction of the components, or None."""


def check_options(
    tau: float, alpha: float, correction: str, selection: str, budget: Budget = None
) -> None:
    """Raise InputError for parameters that no number of draws could make good."""
    checked_tau(tau), checked_alpha(alpha)
    if correction not in CORRECTIONS:
        raise InputError(
            f"expected correction {', '.join(CORRECTIONS[:-1])} or {CORRECTIONS[-1]}, got "
            f"{correction!r}; choose one"
        )
    if selection not in SELECTIONS:
        raise InputError(
            f"expected selection {' or '.join(SELECTIONS)}, got {selection!r}; choose one"
        )
    if correction.startswith("k-fwer") != (budget is not None):
        raise InputError(
            "expected a budget with the k-fwer corrections and only with them, got correction "
            f"{correction!r} and budget {budget!r}; pass both, such as k-fwer with 0.001"
        )
    if budget is not None:
        checked_budget(budget, None)


def checked_budget(budget: Budget, components: int | None) -> int:
    """The error budget k as a whole number of components; 1 where budget is None.

    budget: int in [1, N], or a float in (0, 1): that fraction of the N components, cut off, at
    least 1. components None: N is not known yet, and a fraction counts as 1. Raises InputError.
    """
    if budget is None:
        return 1
    most = "the number of components" if components is None else str(components)
    refused = InputError(
        f"expected a budget that is a whole number in [1, {most}] or a fraction in (0, 1), got "
        f"{budget!r}; with budget k up to k - 1 certified components may be wrong"
    )
    if isinstance(budget, (int, np.integer)) and not isinstance(budget, bool):
        if budget < 1 or (components is not None and budget > components):
            raise refused
        return int(budget)
    if not isinstance(budget, (float, np.floating)) or not 0.0 < budget < 1.0:
        raise refused
    return max(1, math.floor(float(budget) * (components or 0)))


def check_plan(
    components: int,
    trials: int,
    *,
    tau: float,
    alpha: float,
    correction: str = "holm",
    selection: str = "pooled",
    budget: Budget = None,
) -> None:
    """Raise InputError for parameters that cannot give a certificate, before anything is drawn.

    In particular for fewer than n_min draws (theory T7): then not even a unanimous component
    could be certified, and the message names the number that would do.
    """
    check_options(tau, alpha, correction, selection, budget)
    allowed = checked_budget(budget, components)
    needed = min_trials(components, tau, alpha, selection=selection, budget=allowed)
    if trials < needed:
        raise InputError(
            f"expected at least {needed} draws for {components} components at tau = {tau:g}, "
            f"alpha = {alpha:g}, got {trials}; with fewer nothing can be certified, "
            f"set num_samples (-n) to {needed} or more"
        )


def certify(
    votes: VoteCounts,
    *,
    noise: Noise,
    tau: float = 0.75,
    alpha: float = 1e-3,
    correction: str = "holm",
    budget: Budget = None,
    selection: str | None = None,
    selection_votes: VoteCounts | None = None,
) -> Certificate:
    """Certify every component whose label has probability > tau, family-wise error <= alpha.

    Guarantee: with probability >= 1 - alpha over the draws, every certified label has probability
    > tau under the noise, so it stays the majority label under every perturbation of norm
    < ``noise.radius(tau)``, for all certified components at once (theory T1). With an error
    budget k: all but at most k - 1 of the certified labels (T5).
    votes: counts (*components, C) of n draws. tau in [1/2, 1) and alpha in (0, 1) must be fixed
    before sampling.
    correction: "holm" or "bonferroni" (T4), or with a budget "k-fwer" (step-down) or
    "k-fwer-single" (T5). budget: k in [1, N], or a fraction of N in (0, 1).
    selection: "pooled", all draws choose and test (T3); "split", selection_votes choose the
    candidates and votes test them (T2), which is the paper's.
    Raises InputError for bad parameters, for n below n_min, for stages that share a draw, and for
    votes drawn from another noise.
    Source: Fischer, Baader, Vechev 2021, Algorithm SegCertify; Lehmann & Romano 2005; theory T2
    to T5.
    """
    if selection is None:
        selection = "pooled" if selection_votes is None else "split"
    if (selection == "split") != (selection_votes is not None):
        raise InputError(
            f"expected selection_votes with selection='split' and only then, got {selection!r} "
            f"{'without' if selection_votes is None else 'with'} them; pass both or neither"
        )
    check_options(tau, alpha, correction, selection, budget)
    tau, alpha = checked_tau(tau), checked_alpha(alpha)
    tested = tested_tau(tau, votes)
    check_plan(
        votes.num_components,
        votes.trials,
        tau=tested,
        alpha=alpha,
        correction=correction,
        selection=selection,
        budget=budget,
    )
    allowed = checked_budget(budget, votes.num_components)
    check_noise(votes, noise)
    if selection_votes is None:
        candidates, hits = votes.top()
    else:
        check_stages(votes, selection_votes)
        candidates, _ = selection_votes.top()
        hits = votes.hits(candidates)
    cutoff = flat_cutoff(
        hits,
        votes.trials,
        tau=tested,
        alpha=alpha,
        correction=correction,
        selection=selection,
        budget=allowed,
    )
    labels = candidates.astype(labels_dtype(votes.num_classes), copy=False)
    # ABSTAIN, -1, has all bits set; several times quicker than choosing with np.where.
    labels = labels | ABSTAIN * (hits < cutoff).astype(labels.dtype)
    return Certificate(
        method="segcertify",
        labels=labels,
        radius=noise.radius(tau),
        votes=votes,
        noise=noise,
        alpha=alpha,
        tau=tau,
        correction=correction,
        budget=None if budget is None else allowed,
        selection=selection,
        selection_votes=selection_votes,
        cutoff=cutoff,
    )


def flat_cutoff(
    hits: NDArray[np.integer],
    trials: int,
    *,
    tau: float,
    alpha: float,
    correction: str,
    selection: str = "pooled",
    budget: int = 1,
) -> int:
    """Smallest count that certifies a label, ``trials + 1`` when none does (theory T4, T5).

    hits: votes for the candidate of every component, any shape. budget: k.
    """
    histogram = np.bincount(hits.ravel(), minlength=trials + 1)
    pooled = selection == "pooled"
    if correction in ("bonferroni", "k-fwer-single"):
        table = pooled_pvalues(trials, tau) if pooled else dominant_tail(trials, tau)
        return bonferroni_cutoff(histogram, table, budget * alpha)
    stray = wrong_label_tail(trials, tau) if pooled else None
    return step_down_cutoff(
        histogram, dominant_tail(trials, tau), alpha, everywhere=stray, budget=budget
    )
