"""Sides timed in turn, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from certiseg.bench.timing import Spread, bare, interleaved
from certiseg.errors import InputError


def test_every_side_once_a_turn_and_backwards_every_other() -> None:
    ran: list[str] = []
    times = interleaved({side: (lambda side=side: ran.append(side)) for side in "abc"}, 3)
    assert "".join(ran) == "abccbaabc"
    assert {side: len(found.wall) for side, found in times.items()} == {"a": 3, "b": 3, "c": 3}
    assert all(second >= 0 for found in times.values() for second in (*found.wall, *found.cpu))


def test_no_turn_is_refused() -> None:
    with pytest.raises(InputError, match="expected --turns 1 or more, got 0"):
        interleaved({"a": lambda: None}, 0)


def test_spread_is_median_least_and_largest() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)


def test_ratios_are_within_turns() -> None:
    """A turn that is ten times slower for both sides changes nothing; for the ratio of the medians
    it would."""
    over, under = [2.0, 40.0, 3.0], [1.0, 20.0, 3.0]
    assert Spread.ratio(over, under) == Spread(2.0, 1.0, 2.0)
    assert np.median(over) / np.median(under) == 1.0


def test_bare_passes_are_as_many_as_draws() -> None:
    seen: list[int] = []
    bare(lambda batch: seen.append(len(batch)), torch.zeros(4, 1), 10)
    assert seen == [4, 4, 2]
