"""Checks shared by the methods: noise of the votes, separate draws, total variation margins."""

from __future__ import annotations

import math

import numpy as np

from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.votes import VoteCounts


def check_noise(votes: VoteCounts, noise: Noise, *, left_out: bool = False) -> None:
    """Raise InputError if the votes are known to be of another noise, if n eta > 1/2 (theory
    T12), which takes millions of draws of a huge input, and unless allowed, if windows were left
    out of some draws."""
    if votes.source is not None and votes.source.left_out and not left_out:
        raise InputError(
            "expected votes of all draws for each component, got windows that were left out once "
            "settled (early stopping); draw anew, for instance with Smoothed.vote"
        )
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
    """tau + eta, rounded up: the threshold for the drawn law that implies tau for the ideal noise
    (theory T12)."""
    tested = tau if votes.eta == 0.0 else math.nextafter(tau + votes.eta, 1.0)
    if not tested < 1.0:
        raise InputError(
            f"expected tau below 1 - eta = 1 - {votes.eta:.3g} (theory T12), got {tau!r}; choose a "
            "smaller one"
        )
    return tested


def lowered(bound: float, eta: float) -> float:
    """Convert a lower bound on a probability from the drawn law to the ideal noise (theory T12)."""
    return bound if eta == 0.0 else math.nextafter(bound - eta, 0.0)


def check_stages(votes: VoteCounts, selection_votes: VoteCounts) -> None:
    """Raise InputError unless both votes are of one experiment and share no draw (theory T2).

    Without sources only shared memory can be detected; the statement then says that the caller
    answers for the rest.
    """
    if votes.counts.shape != selection_votes.counts.shape:
        raise InputError(
            f"expected selection votes of shape {votes.counts.shape}, got "
            f"{selection_votes.counts.shape}; both stages must be of the same components"
        )
    check_fresh(votes, selection_votes)


def check_fresh(votes: VoteCounts, selection_votes: VoteCounts) -> None:
    """Raise InputError if both votes share a draw or are of different experiments, if known."""
    if votes is selection_votes or np.shares_memory(votes.counts, selection_votes.counts):
        raise InputError(
            "expected selection votes of other draws than the test votes, got the same votes "
            "twice; draw the test votes anew, or use the pooled selection"
        )
    if votes.source is not None and selection_votes.source is not None:
        votes.source.joined(selection_votes.source)
