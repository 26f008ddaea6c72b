"""Early stopping by histogram: draw for draw what the sequential method does on explicit votes."""

from __future__ import annotations

import numpy as np
import pytest

import certiseg as cs
from certiseg.certifiers.sequential import sequential
from certiseg.noise import Gaussian
from certiseg.studies import stopping
from certiseg.studies.toy import Toy

TOY, TAU, ALPHA, DRAWS = Toy(components=60, gamma=0.07), 0.75, 0.01, 150


class Script:
    """Labels of all draws, written beforehand: right[i, j] says whether draw j of component i is
    right; component 0 is the odd one. A VoteSource for the method itself."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        chance = np.r_[TOY.odd, np.full(TOY.components - 1, TOY.usual)]
        self.right = rng.random((TOY.components, DRAWS)) < chance[:, None]
        self.drawn = 0

    def sizes(self) -> tuple[int, int]:
        return TOY.components, 2

    def more(self, draws: int) -> cs.VoteCounts:
        hits = self.right[:, self.drawn : self.drawn + draws].sum(axis=1)
        self.drawn += draws
        return cs.VoteCounts(np.stack([hits, draws - hits], axis=-1), draws)


class Replay:
    """Stands in for the random parts of the study: the same script, read as histograms."""

    def __init__(self, script: Script) -> None:
        self.usual, self.odd = script.right[1:], script.right[0]
        self.open = np.ones(TOY.components - 1, dtype=bool)
        self.drawn = 0

    def continued(self, rng: object, votes: np.ndarray, extra: int, p: float) -> np.ndarray:
        assert p == TOY.usual
        before = self.usual[:, : self.drawn].sum(axis=1)
        # What the study took out of its histogram is closed.
        self.open &= votes[0, before] > 0
        assert np.array_equal(votes[0], np.bincount(before[self.open], minlength=self.drawn + 1))
        after = self.usual[self.open, : self.drawn + extra].sum(axis=1)
        return np.bincount(after, minlength=self.drawn + extra + 1)[None]

    def binomial(self, extra: int, p: float, size: int) -> np.ndarray:
        assert (p, size) == (TOY.odd, 1)
        hits = self.odd[self.drawn : self.drawn + extra].sum()
        self.drawn += extra
        return np.array([hits])


def both(
    seed: int, monkeypatch: pytest.MonkeyPatch, min_gain: float
) -> tuple[stopping.Outcome, cs.Certificate]:
    """The study's outcome, and the certificate of the same draws that stops at ``min_gain``."""
    script = Script(seed)
    certificate = sequential(
        script,
        noise=Gaussian(1.0),
        num_samples=DRAWS,
        tau=TAU,
        alpha=ALPHA,
        min_gain=min_gain,
    )
    replay = Replay(script)
    monkeypatch.setattr(stopping, "continued", replay.continued)
    outcome = stopping.early_stopping(TOY, 1, replay, tau=TAU, alpha=ALPHA, draws=DRAWS)
    return outcome, certificate


@pytest.mark.parametrize("min_gain", [0.001, 0.03])
def test_histograms_do_what_the_method_does(min_gain: float, monkeypatch) -> None:
    monkeypatch.setattr(stopping, "MIN_GAIN", min_gain)
    ends = set()
    for seed in range(25):
        outcome, certificate = both(seed, monkeypatch, min_gain)
        assert outcome.draws[0] == certificate.votes.trials
        assert outcome.share[0] == pytest.approx(certificate.certified.mean())
        probability = np.r_[TOY.odd, np.full(TOY.components - 1, TOY.usual)]
        probability = np.where(certificate.labels == 0, probability, 1 - probability)
        assert outcome.false[0] == np.sum(certificate.certified & (probability <= TAU))
        ends.add(certificate.votes.trials)
    # The script covers runs of several lengths.
    assert len(ends) > 1


def test_another_end_is_noticed(monkeypatch) -> None:
    """Negative control: the study stops by another rule than the method."""
    monkeypatch.setattr(stopping, "MIN_GAIN", 0.03)
    pairs = [both(seed, monkeypatch, 0.001) for seed in range(25)]
    assert any(outcome.draws[0] != found.votes.trials for outcome, found in pairs)


def test_no_component_is_lost() -> None:
    rng = np.random.default_rng(1)
    votes = rng.integers(0, 50, (6, 11))
    after = stopping.continued(rng, votes, 7, 0.9)
    assert after.shape == (6, 18)
    assert np.array_equal(after.sum(axis=1), votes.sum(axis=1))
    # Nobody loses votes: below any count there are at most as many as before.
    assert np.all(np.cumsum(after, axis=1)[:, :11] <= np.cumsum(votes, axis=1))
    certain = stopping.continued(rng, votes, 7, 1.0)
    assert np.array_equal(certain[:, 7:], votes)


def test_it_never_draws_more_than_it_may() -> None:
    outcome = stopping.early_stopping(
        Toy(100, 0.03), 50, np.random.default_rng(2), tau=TAU, alpha=ALPHA, draws=DRAWS
    )
    assert np.all(outcome.draws <= DRAWS)
    assert outcome.draws.min() < DRAWS
    assert np.all((outcome.share > 0) & (outcome.share <= 1))
