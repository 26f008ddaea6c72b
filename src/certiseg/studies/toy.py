"""The paper's synthetic model, drawn by histogram: a million components cost as much as a hundred.

What the methods of this package certify depends on the votes only through how many components got
how many hits. Components of the toy model are independent, so these numbers are multinomial and
are drawn as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Probabilities below this are left out of a draw. A study draws some 1e10 components: the chance
# that one of the up to 2001 outcomes left out would have occurred anywhere is below 2e-11.
_NEGLIGIBLE = 1e-24


@dataclass(frozen=True)
class Toy:
    """N components with two labels; one draw gives each its right label, 0, independently.

    N - 1 components are right with probability 1 - gamma and one, the odd one, with 1 - 5 gamma.
    Source: Fischer, Baader, Vechev 2021, section 6.1.
    """

    components: int
    gamma: float

    @property
    def usual(self) -> float:
        """Probability of the right label, all components but one."""
        return 1.0 - self.gamma

    @property
    def odd(self) -> float:
        """Probability of the right label, the odd component."""
        return 1.0 - 5.0 * self.gamma


@dataclass(frozen=True, eq=False)
class Hits:
    """Candidates and their hits in ``trials`` draws, for R repetitions at once.

    right, wrong: ints (R, trials + 1), the N - 1 usual components whose candidate is the right
    (wrong) label, by hits. odd_hits: ints (R,), -1 where the odd component is not among those
    tested. odd_right: bool (R,).
    """

    toy: Toy
    trials: int
    right: Ints
    wrong: Ints
    odd_hits: Ints
    odd_right: NDArray[np.bool_]

    @cached_property
    def histogram(self) -> Ints:
        """Ints (R, trials + 1): all components by hits of their candidates."""
        everyone = self.right + self.wrong
        there = np.flatnonzero(self.odd_hits >= 0)
        everyone[there, self.odd_hits[there]] += 1
        return everyone

    def certified(self, cutoffs: Ints) -> Ints:
        """How many components have at least so many hits, for each repetition."""
        return _at_least(self.histogram, cutoffs)

    def false(self, cutoffs: Ints, level: float) -> Ints:
        """How many of these are false: their candidate's probability is at most level."""
        usual = self.toy.usual
        count = np.zeros(len(self.right), dtype=np.int64)
        for histogram, probability in ((self.right, usual), (self.wrong, 1.0 - usual)):
            if probability <= level:
                count += _at_least(histogram, cutoffs)
        return count + ((self.odd_hits >= cutoffs) & (self.odd_probability <= level))

    @property
    def odd_probability(self) -> Floats:
        """Probability of the odd component's candidate, for each repetition."""
        return np.where(self.odd_right, self.toy.odd, 1.0 - self.toy.odd)


def split(
    toy: Toy, selection: int, trials: int, repetitions: int, rng: np.random.Generator
) -> Hits:
    """``selection`` draws choose the candidates, ``trials`` others test them (theory T2)."""
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
    """All draws choose and test (theory T3)."""
    usual = np.full(repetitions, toy.components - 1)
    return folded(
        toy,
        trials,
        spread(rng, usual, trials, toy.usual),
        rng.binomial(trials, toy.odd, repetitions),
    )


def folded(toy: Toy, trials: int, right_votes: Ints, odd_votes: Ints) -> Hits:
    """The mode is the candidate, label 0 on a tie, as ``VoteCounts.mode`` has it.

    right_votes: ints (R, trials + 1), usual components by votes for the right label.
    odd_votes: ints (R,), votes for the right label of the odd component.
    """
    tie = -(-trials // 2)
    right, wrong = right_votes.copy(), np.zeros_like(right_votes)
    right[:, :tie] = 0
    wrong[:, trials - tie + 1 :] = right_votes[:, :tie][:, ::-1]
    return Hits(
        toy, trials, right, wrong, np.maximum(odd_votes, trials - odd_votes), odd_votes >= tie
    )


def spread(rng: np.random.Generator, components: Ints, trials: int, probability: float) -> Ints:
    """Hits of independent components with one probability: ints (..., trials + 1), by hits."""
    first, table = _outcomes(trials, probability)
    hits = np.zeros((*components.shape, trials + 1), dtype=np.int64)
    hits[..., first : first + len(table)] = rng.multinomial(components, table)
    return hits


def wrong_mode(trials: int, probability: float) -> float:
    """Chance that a component's mode is wrong: its right label got less than half of the votes."""
    return float(binom.cdf(-(-trials // 2) - 1, trials, probability))


@lru_cache(maxsize=256)
def _outcomes(trials: int, probability: float) -> tuple[int, Floats]:
    """The binomial probabilities that matter, and the count of hits they begin at."""
    table = binom.pmf(np.arange(trials + 1), trials, probability)
    kept = np.flatnonzero(table > _NEGLIGIBLE)
    first, last = int(kept[0]), int(kept[-1])
    return first, table[first : last + 1] / table[first : last + 1].sum()


def _at_least(histogram: Ints, cutoffs: Ints) -> Ints:
    counts = np.arange(histogram.shape[1])
    return np.asarray(np.where(counts >= cutoffs[:, None], histogram, 0).sum(axis=1))
