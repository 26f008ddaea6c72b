"""Checks shared by the methods: that votes, noise and stages belong together."""

from __future__ import annotations

import math

import numpy as np

from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.votes import VoteCounts


def check_noise(votes: VoteCounts, noise: Noise) -> None:
    """Raise InputError when the votes are known to come from another noise, or, drawn by the
    million for a huge input, from too coarse a law."""
    if votes.source is not None and votes.source.noise != noise:
        raise InputError(
            f"expected the noise that was drawn, {votes.source.noise}, got {noise}; "
            "a certificate holds for the noise of its votes only"
        )
    if votes.trials * votes.eta > 0.5:
        raise InputError(
            f"expected draws with n eta <= 1/2 (theory T12), got {votes.trials} with eta = "
            f"{votes.eta:.3g}; certify the input in parts"
        )


def tested_tau(tau: float, votes: VoteCounts) -> float:
    """tau + eta, rounded up: a label that exceeds it under the law that was drawn exceeds tau
    under the law of the claim (theory T12)."""
    tested = tau if votes.eta == 0.0 else math.nextafter(tau + votes.eta, 1.0)
    if not tested < 1.0:
        raise InputError(
            f"expected tau below 1 - eta = 1 - {votes.eta:.3g} (theory T12), got {tau!r}; choose a "
            "smaller one"
        )
    return tested


def lowered(bound: float, eta: float) -> float:
    """A lower bound on a probability under the law that was drawn, as one under the law of the
    claim (theory T12)."""
    return bound if eta == 0.0 else math.nextafter(bound - eta, 0.0)


def check_stages(votes: VoteCounts, selection_votes: VoteCounts) -> None:
    """Raise InputError unless both stages are of one experiment and share no draw (theory T2).

    Where a source is unknown the draws cannot be told apart; then only the same array is refused,
    and the statement says that the caller answers for the rest.
    """
    if votes.counts.shape != selection_votes.counts.shape:
        raise InputError(
            f"expected selection votes of shape {votes.counts.shape}, got "
            f"{selection_votes.counts.shape}; both stages must be of the same components"
        )
    check_fresh(votes, selection_votes)


def check_fresh(votes: VoteCounts, selection_votes: VoteCounts) -> None:
    """Raise InputError when both are known to share a draw, or to be of different experiments."""
    if votes is selection_votes or np.shares_memory(votes.counts, selection_votes.counts):
        raise InputError(
            "expected selection votes of other draws than the test votes, got the same votes "
            "twice; draw the test votes anew, or use the pooled selection"
        )
    if votes.source is not None and selection_votes.source is not None:
        votes.source.joined(selection_votes.source)
