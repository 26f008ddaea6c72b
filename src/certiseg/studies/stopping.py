"""Early stopping in the toy model: looks, certificates and draws used (theory T7)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from certiseg.stats.binomial import upper_tail
from certiseg.stats.multiple_testing import step_down_cutoff
from certiseg.stats.spending import plan_looks
from certiseg.studies.methods import UNIT, Outcome, dominant, stray
from certiseg.studies.toy import Floats, Ints, Toy, folded, spread

MIN_GAIN = 0.001
"""Stop if no remaining look is expected to certify this share of the components anew."""


def early_stopping(
    toy: Toy, repetitions: int, rng: np.random.Generator, *, tau: float, alpha: float, draws: int
) -> Outcome:
    """Sequential SegCertify with Holm's test, at most ``draws`` draws (theory T7).

    Tracks the histogram of undecided components by votes for the right label. Components with equal
    counts are exchangeable, so that their further votes are multinomial.
    """
    looks = plan_looks(toy.components, draws, tau=tau, alpha=alpha)
    certified, false = (np.zeros(repetitions, dtype=np.int64) for _ in range(2))
    used = np.zeros(repetitions, dtype=np.int64)
    running = np.ones(repetitions, dtype=bool)
    usual = np.full((repetitions, 1), toy.components - 1)
    odd, odd_open = np.zeros(repetitions, dtype=np.int64), np.ones(repetitions, dtype=bool)
    for position, (trials, share) in enumerate(looks):
        extra = trials - usual.shape[1] + 1
        used[running] = trials
        usual = continued(rng, usual, extra, toy.usual)
        odd = odd + rng.binomial(extra, toy.odd, repetitions)
        tested = folded(toy, trials, usual, odd)
        tested = replace(tested, odd_hits=np.where(odd_open, tested.odd_hits, -1))
        cutoffs = np.full(repetitions, trials + 1)
        for row in np.flatnonzero(running):
            cutoffs[row] = _cutoff(tested.histogram[row], trials, tau, share, int(certified[row]))
        certified += tested.certified(cutoffs)
        false += tested.false(cutoffs, tau)
        odd_open &= tested.odd_hits < cutoffs
        votes = np.arange(trials + 1)
        usual[np.maximum(votes, trials - votes) >= cutoffs[:, None]] = 0
        if position + 1 == len(looks):
            break
        for row in np.flatnonzero(running):
            left = tested.histogram[row, : cutoffs[row]]
            running[row] = any(
                _expected(left, trials, *ahead, tau, int(certified[row]))
                >= MIN_GAIN * toy.components
                for ahead in looks[position + 1 :]
            )
        usual[~running] = 0
    share_certified = certified / toy.components
    return Outcome(
        share=share_certified,
        share_at_radius=share_certified,
        false=false,
        radius=share_certified * UNIT.radius(tau),
        draws=used,
    )


def continued(rng: np.random.Generator, votes: Ints, extra: int, probability: float) -> Ints:
    """Histogram after ``extra`` more draws: ints (R, n + 1) -> (R, n + 1 + extra)."""
    after = np.zeros((len(votes), votes.shape[1] + extra), dtype=np.int64)
    for count in np.flatnonzero(votes.any(axis=0)):
        there = np.flatnonzero(votes[:, count])
        after[there, count : count + extra + 1] += spread(
            rng, votes[there, count], extra, probability
        )
    return after


def _cutoff(histogram: Ints, trials: int, tau: float, alpha: float, certified: int) -> int:
    return step_down_cutoff(
        histogram, dominant(trials, tau), alpha, everywhere=stray(trials, tau), certified=certified
    )


def _expected(
    left: Ints, trials: int, ahead: int, alpha: float, tau: float, certified: int
) -> float:
    """Expected number of components that the look at ``ahead`` draws certifies anew.

    left: histogram of undecided components by hits of ``trials`` draws.
    """
    nobody = np.zeros(ahead + 1, dtype=np.int64)
    nobody[0] = left.sum()
    needed = _cutoff(nobody, ahead, tau, alpha, certified)
    return float(left @ _chance(trials, ahead, needed)[: len(left)])


@lru_cache(maxsize=512)
def _chance(trials: int, ahead: int, needed: int) -> Floats:
    """Plug-in probability of ``needed`` hits of ``ahead`` draws, by hits of ``trials`` draws."""
    hits = np.arange(trials + 1)
    more = needed - hits
    tail = upper_tail(np.clip(more, 0, ahead - trials), ahead - trials, (hits + 0.5) / (trials + 1))
    return np.where(more > ahead - trials, 0.0, tail)
