"""Checks shared by the methods: that votes, noise and stages belong together."""

from __future__ import annotations

import numpy as np

from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.votes import VoteCounts


def check_noise(votes: VoteCounts, noise: Noise) -> None:
    """Raise InputError when the votes are known to come from another noise."""
    if votes.source is not None and votes.source.noise != noise:
        raise InputError(
            f"expected the noise that was drawn, {votes.source.noise}, got {noise}; "
            "a certificate holds for the noise of its votes only"
        )


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
