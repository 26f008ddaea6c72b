"""The paper's synthetic model, sampled as histograms, at a cost independent of N.

Methods depend on the votes only through the histogram of vote counts. Components of the toy model
are independent, so that the histogram is multinomial and is sampled directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Outcomes of smaller probability are never drawn. A study draws some 1e10 components, in which one
# of these (at most 2001) outcomes would occur with probability below 2e-11.
_NEGLIGIBLE = 1e-24


@dataclass(frozen=True)
class Toy:
    """N independent components with two labels, of which 0 is the right one.

    N - 1 components get label 0 with probability 1 - gamma, and the odd one with 1 - 5 gamma.
    Source: Fischer, Baader, Vechev 2021, section 6.1.
    """

    components: int
    gamma: float

    @property
    def usual(self) -> float:
        """Probability of the right label for all components but one."""
        return 1.0 - self.gamma

    @property
    def odd(self) -> float:
        """Probability of the right label for the odd component."""
        return 1.0 - 5.0 * self.gamma


@dataclass(frozen=True, eq=False)
class Hits:
    """Vote counts of candidate labels in ``trials`` draws, for R repetitions.

    right, wrong: ints (R, trials + 1), histogram by hits of the N - 1 usual components whose
    candidate is the right (wrong) label. odd_hits: ints (R,), hits of the odd component, -1 if it
    is not tested. odd_right: bool (R,), True if its candidate is the right label.
    """

    toy: Toy
    trials: int
    right: Ints
    wrong: Ints
    odd_hits: Ints
    odd_right: NDArray[np.bool_]

    @cached_property
    def histogram(self) -> Ints:
        """Histogram of the hits of all tested components, ints (R, trials + 1)."""
        total = self.right + self.wrong
        tested = np.flatnonzero(self.odd_hits >= 0)
        total[tested, self.odd_hits[tested]] += 1
        return total

    def certified(self, cutoffs: Ints) -> Ints:
        """Number of components with at least ``cutoffs`` hits, in each repetition."""
        return _at_least(self.histogram, cutoffs)

    def false(self, cutoffs: Ints, level: float) -> Ints:
        """Number of these whose candidate has probability <= level, which are false."""
        usual = self.toy.usual
        count = np.zeros(len(self.right), dtype=np.int64)
        for histogram, probability in ((self.right, usual), (self.wrong, 1.0 - usual)):
            if probability <= level:
                count += _at_least(histogram, cutoffs)
        return count + ((self.odd_hits >= cutoffs) & (self.odd_probability <= level))

    @property
    def odd_probability(self) -> Floats:
        """Probability of the odd component's candidate, in each repetition."""
        return np.where(self.odd_right, self.toy.odd, 1.0 - self.toy.odd)


def split(
    toy: Toy, selection: int, trials: int, repetitions: int, rng: np.random.Generator
) -> Hits:
    """Sample split selection: ``selection`` draws choose, ``trials`` draws test (theory T2)."""
    missed = rng.binomial(toy.components - 1, wrong_mode(selection, toy.usual), repetitions)
    odd_right = 2 * rng.binomial(selection, toy.odd, repetitions) >= selection
    odd_votes = rng.binomial(trials, toy.odd, repetitions)
    return Hits(
        toy,
        trials,
        right=spread(rng, toy.components - 1 - missed, trials, toy.usual),
        wrong=spread(rng, missed, trials, 1.0 - toy.usual),
        odd_hits=np.where(odd_right, odd_votes, trials - odd_votes),
        odd_right=odd_right,
    )


def pooled(toy: Toy, trials: int, repetitions: int, rng: np.random.Generator) -> Hits:
    """Sample pooled selection: all draws choose and test (theory T3)."""
    usual = np.full(repetitions, toy.components - 1)
    return folded(
        toy,
        trials,
        spread(rng, usual, trials, toy.usual),
        rng.binomial(trials, toy.odd, repetitions),
    )


def folded(toy: Toy, trials: int, right_votes: Ints, odd_votes: Ints) -> Hits:
    """Hits of the most frequent label (label 0 on a tie, as in ``VoteCounts.mode``).

    right_votes: ints (R, trials + 1), histogram of usual components by votes for the right label.
    odd_votes: ints (R,), votes of the odd component for the right label.
    """
    tie = -(-trials // 2)
    right, wrong = right_votes.copy(), np.zeros_like(right_votes)
    right[:, :tie] = 0
    wrong[:, trials - tie + 1 :] = right_votes[:, :tie][:, ::-1]
    return Hits(
        toy, trials, right, wrong, np.maximum(odd_votes, trials - odd_votes), odd_votes >= tie
    )


def spread(rng: np.random.Generator, components: Ints, trials: int, probability: float) -> Ints:
    """Sample the histogram of hits of independent components, ints (..., trials + 1)."""
    first, table = _outcomes(trials, probability)
    hits = np.zeros((*components.shape, trials + 1), dtype=np.int64)
    hits[..., first : first + len(table)] = rng.multinomial(components, table)
    return hits


def wrong_mode(trials: int, probability: float) -> float:
    """Probability that the right label gets less than half of the votes."""
    return float(binom.cdf(-(-trials // 2) - 1, trials, probability))


@lru_cache(maxsize=256)
def _outcomes(trials: int, probability: float) -> tuple[int, Floats]:
    """First count with a non-negligible binomial probability, and the probabilities from it on."""
    table = binom.pmf(np.arange(trials + 1), trials, probability)
    kept = np.flatnonzero(table > _NEGLIGIBLE)
    first, last = int(kept[0]), int(kept[-1])
    return first, table[first : last + 1] / table[first : last + 1].sum()


def _at_least(histogram: Ints, cutoffs: Ints) -> Ints:
    counts = np.arange(histogram.shape[1])
    return np.asarray(np.where(counts >= cutoffs[:, None], histogram, 0).sum(axis=1))
