"""Checks shared by the methods: that votes, noise and stages belong together."""

from __future__ import annotations

from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.votes import VoteCounts


def check_noise(votes: VoteCounts, noise: Gaussian) -> None:
    """Raise InputError when the votes are known to come from another noise."""
    if votes.source is not None and votes.source.noise != noise:
        raise InputError(
            f"expected the noise that was drawn, {votes.source.noise}, got {noise}; "
            "a certificate holds for the noise of its votes only"
        )


def check_stages(votes: VoteCounts, selection_votes: VoteCounts) -> None:
    """Raise InputError unless both stages are of one experiment and share no draw (theory T2)."""
    if votes.counts.shape != selection_votes.counts.shape:
        raise InputError(
            f"expected selection votes of shape {votes.counts.shape}, got "
            f"{selection_votes.counts.shape}; both stages must be of the same components"
        )
    if votes.source is not None and selection_votes.source is not None:
        votes.source.joined(selection_votes.source)
