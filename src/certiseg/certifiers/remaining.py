"""What a sequential run still draws: the windows of its input that are worth it (theory T7)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from certiseg.certifiers.replay import LookRule, Standing
from certiseg.stats.binomial import upper_tail
from certiseg.votes import VoteSource, WindowSource


class Remaining:
    """The windows that are still drawn; one, the whole input, for a source without windows.

    A window is left out of further draws once all its components are certified, or once no later
    look is expected to certify the share ``gain`` of them. Any rule is valid (theory T7).
    """

    def __init__(self, source: VoteSource, components: tuple[int, ...]) -> None:
        numbers = source.windows() if isinstance(source, WindowSource) else None
        self._numbers = np.broadcast_to(np.int64(0) if numbers is None else numbers, components)
        self._sizes = (
            np.array([math.prod(components)])
            if numbers is None
            else np.bincount(numbers.ravel()) * (math.prod(components) // numbers.size)
        )
        self._drawn = np.ones(len(self._sizes), dtype=bool)

    @property
    def left_out(self) -> tuple[int, ...]:
        """Numbers of the windows that are no longer drawn."""
        return tuple(np.flatnonzero(~self._drawn).tolist())

    def after(
        self,
        standing: Standing,
        hits: NDArray[np.integer],
        trials: int,
        later: tuple[tuple[int, float], ...],
        rule: LookRule,
        gain: float | None,
    ) -> bool:
        """Leave out windows after a look; False if no more draws are worth it.

        standing, hits, trials: after the look. later: the planned looks that follow. gain: as
        ``min_gain`` of ``sequential``; None: only what is certified is left out.
        """
        components = math.prod(standing.closed.shape)
        undecided = ~standing.closed
        codes = self._numbers[undecided] * (trials + 1) + hits[undecided]
        open_to = np.bincount(codes, minlength=self._drawn.size * (trials + 1))
        open_to = open_to.reshape(-1, trials + 1)
        open_to[~self._drawn] = 0
        if gain is None:
            self._drawn &= open_to.any(axis=1)
            return True
        # All remaining looks are considered, since cutoffs are integers: the next look may certify
        # nothing new and the one after it a lot.
        expected = np.stack(
            [
                expected_new(open_to, trials, look[0], _cutoff(look, rule, undecided))
                for look in later
            ]
        )
        self._drawn &= (expected >= gain * self._sizes).any(axis=0)
        return bool(self._drawn.any() and (expected.sum(axis=1) >= gain * components).any())


def _cutoff(look: tuple[int, float], rule: LookRule, undecided: NDArray[np.bool_]) -> int:
    """Cutoff of a later look for the present number of certified components, although it may fall
    as more are certified."""
    trials, level = look
    # All undecided components at count 0, so that none is rejected at this look.
    waiting = np.zeros(trials + 1, dtype=np.int64)
    waiting[0] = np.count_nonzero(undecided)
    return rule.cutoff(waiting, trials, level, undecided.size - int(waiting[0]))


def expected_new(
    open_to: NDArray[np.integer], trials: int, later: int, cutoff: int
) -> NDArray[np.float64]:
    """Expected number of undecided components whose hits reach a cutoff after ``later`` draws.

    open_to: their number by count of hits, (..., trials + 1); the result is (...). A component with
    k of n hits is taken to get further hits with probability (k + 1/2) / (n + 1).
    """
    count, new = np.flatnonzero(open_to.reshape(-1, trials + 1).any(axis=0)), later - trials
    needed = np.maximum(cutoff - count, 0)
    reached = upper_tail(np.minimum(needed, new), new, (count + 0.5) / (trials + 1))
    return np.asarray(open_to[..., count] @ np.where(needed <= new, reached, 0.0))
