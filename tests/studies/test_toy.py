"""The toy model by histogram: the right distribution, folded as modes and hits are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

import certiseg as cs
from certiseg.studies.toy import Hits, Toy, folded, pooled, split, spread, wrong_mode

TOY = Toy(components=7, gamma=0.06)


def explicit(usual: np.ndarray, odd: np.ndarray, trials: int) -> list[cs.VoteCounts]:
    """One VoteCounts a repetition: component 0 is the odd one, label 0 the right one."""
    right = np.concatenate([odd[:, None], usual], axis=1)
    return [cs.VoteCounts(np.stack([row, trials - row], axis=-1), trials) for row in right]


def by_count(votes: np.ndarray, trials: int) -> np.ndarray:
    return np.stack([np.bincount(row, minlength=trials + 1) for row in votes])


@pytest.mark.parametrize("trials", [5, 6])
def test_folding_gives_the_hits_of_the_mode(trials: int) -> None:
    rng = np.random.default_rng(1)
    usual, odd = rng.integers(0, trials + 1, (40, 6)), rng.integers(0, trials + 1, 40)
    tested = folded(TOY, trials, by_count(usual, trials), odd)
    for row, votes in enumerate(explicit(usual, odd, trials)):
        modes = votes.mode()
        hits = votes.hits(modes)
        assert np.array_equal(tested.histogram[row], np.bincount(hits, minlength=trials + 1))
        right = np.bincount(hits[1:][modes[1:] == 0], minlength=trials + 1)
        assert np.array_equal(tested.right[row], right)
        assert (tested.odd_hits[row], tested.odd_right[row]) == (hits[0], modes[0] == 0)


def test_false_certificates_are_counted_one_by_one() -> None:
    trials, level = 6, 0.75
    rng = np.random.default_rng(2)
    for toy in (TOY, Toy(7, 0.3)):  # usual components above and below the level
        usual, odd = rng.integers(0, trials + 1, (40, 6)), rng.integers(0, trials + 1, 40)
        cutoffs = rng.integers(3, trials + 2, 40)
        tested = folded(toy, trials, by_count(usual, trials), odd)
        for row, votes in enumerate(explicit(usual, odd, trials)):
            modes = votes.mode()
            right = np.where(np.arange(7) == 0, toy.odd, toy.usual)
            probability = np.where(modes == 0, right, 1 - right)
            certified = votes.hits(modes) >= cutoffs[row]
            assert tested.certified(cutoffs)[row] == certified.sum()
            assert tested.false(cutoffs, level)[row] == (certified & (probability <= level)).sum()


def test_an_odd_component_that_is_out_is_not_counted() -> None:
    usual = np.zeros((1, 7), dtype=np.int64)
    usual[0, 6] = 6
    tested = Hits(TOY, 6, usual, 0 * usual, np.array([-1]), np.array([True]))
    assert tested.histogram.sum() == 6
    assert tested.false(np.array([0]), 0.99)[0] == 6
    assert tested.false(np.array([0]), 0.75)[0] == 0


def outside(histogram: np.ndarray, table: np.ndarray) -> bool:
    """Whether a histogram of independent components lies 6 standard errors from its expectation.

    False alarm: below 1e-6 over the 41 cells here (Bernstein; cells that expect less than 100 are
    pooled). It sees a probability that is wrong by 0.001.
    """
    components = histogram.sum()
    common = components * table >= 100
    observed = np.append(histogram[common], histogram[~common].sum())
    expected = np.append(table[common], table[~common].sum())
    error = np.sqrt(components * expected * (1 - expected)) + 1
    return bool(np.any(np.abs(observed - components * expected) > 6 * error))


def test_hits_are_binomial() -> None:
    components, trials, p = 4_000_000, 40, 0.94
    histogram = spread(np.random.default_rng(3), np.array(components), trials, p)
    assert histogram.sum() == components
    assert not outside(histogram, binom.pmf(np.arange(trials + 1), trials, p))


def test_another_probability_is_noticed() -> None:
    """Negative control: the same look at hits of a slightly other probability."""
    histogram = spread(np.random.default_rng(3), np.array(4_000_000), 40, 0.939)
    assert outside(histogram, binom.pmf(np.arange(41), 40, 0.94))


def test_both_ways_to_draw_test_every_component() -> None:
    rng = np.random.default_rng(4)
    for toy in (Toy(50, 0.0), Toy(50, 0.099), Toy(1, 0.05)):
        for tested in (split(toy, 3, 9, 20, rng), pooled(toy, 9, 20, rng)):
            assert tested.histogram.shape == (20, 10)
            assert np.all(tested.histogram.sum(axis=1) == toy.components)


def test_wrong_candidates_are_as_frequent_as_they_should_be() -> None:
    """500 x 2000 components with 3 selection draws; 6 standard errors: false alarm 2e-9."""
    toy = Toy(2001, 0.099)
    tested = split(toy, 3, 4, 500, np.random.default_rng(5))
    p = 0.099**3 + 3 * 0.099**2 * 0.901
    assert wrong_mode(3, toy.usual) == pytest.approx(p)
    wrong = tested.wrong.sum()
    assert abs(wrong - 1e6 * p) < 6 * np.sqrt(1e6 * p)
    # A tie goes to the right label, which is the first: with two draws both must be wrong.
    assert wrong_mode(2, toy.usual) == pytest.approx(0.099**2)
