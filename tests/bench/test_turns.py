"""Sides timed in turn, and what is said of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from certiseg.bench.growth import log_slope
from certiseg.bench.turns import Spread, in_turn
from certiseg.errors import InputError


def test_every_side_once_a_turn_and_backwards_every_other() -> None:
    ran: list[str] = []
    times = in_turn({side: (lambda side=side: ran.append(side)) for side in "abc"}, 3)
    assert "".join(ran) == "abccbaabc"
    assert {side: len(found.wall) for side, found in times.items()} == {"a": 3, "b": 3, "c": 3}
    assert all(second >= 0 for found in times.values() for second in (*found.wall, *found.cpu))


def test_no_turn_is_refused() -> None:
    with pytest.raises(InputError, match="expected --turns 1 or more, got 0"):
        in_turn({"a": lambda: None}, 0)


def test_spread_is_median_least_and_largest() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)


def test_ratios_are_within_turns() -> None:
    """A turn that is ten times slower for both sides changes nothing; for the ratio of the medians
    it would."""
    over, under = [2.0, 40.0, 3.0], [1.0, 20.0, 3.0]
    assert Spread.ratio(over, under) == Spread(2.0, 1.0, 2.0)
    assert np.median(over) / np.median(under) == 1.0


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 2.0])
def test_slope_of_a_power(slope: float) -> None:
    x = [1.0, 3.0, 10.0, 70.0]
    assert math.isclose(log_slope(x, [7 * v**slope for v in x]), slope, abs_tol=1e-12)
