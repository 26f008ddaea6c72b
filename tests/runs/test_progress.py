"""Progress: pace and time left, lines where there is no terminal."""

from __future__ import annotations

import io

import pytest

from certiseg.runs.progress import EVERY, Pace, RunBar


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_pace_and_time_left():
    clock = Clock()
    pace = Pace(10, draws=100, clock=clock)
    clock.now += 50  # workers begin
    pace.draws(10)
    assert pace.words() == ""
    for _ in range(9):
        clock.now += 1
        pace.draws(10)
    assert pace.completed == pytest.approx(1.0)
    pace.finish()
    assert pace.completed == pytest.approx(1.0)
    # 0.9 inputs in 9 s: 9 more take 90 s.
    assert pace.words() == "0.1 inputs/s, 10 draws/s, 0:01:30 left"


def test_what_was_done_before_is_no_part_of_the_pace():
    clock = Clock()
    pace = Pace(1000, draws=10, done=900, clock=clock)
    pace.draws(10)
    pace.finish()
    clock.now += 10
    pace.draws(10)
    pace.finish()
    assert pace.words() == "0.1 inputs/s, 1 draws/s, 0:16:20 left"


def test_draws_of_several_inputs_at_once_never_finish_them():
    pace = Pace(2, draws=10, clock=Clock())
    pace.draws(19)
    assert pace.completed == pytest.approx(1.9)
    pace.draws(1)
    assert pace.completed < 2
    pace.finish(2)
    assert pace.completed == 2


def test_lines_now_and_then_where_there_is_no_terminal():
    clock, to = Clock(), io.StringIO()
    with RunBar(True, 4, 10, clock=clock, to=to, what="cells") as bar:
        for _ in range(3):
            bar.draws(10)
            bar.finish()
            clock.now += EVERY / 2
    assert to.getvalue().splitlines() == [
        "2 of 4 cells, 0.0667 cells/s, 0.667 draws/s, 0:00:15 left"
    ]


@pytest.mark.parametrize("show", [True, False])
def test_short_runs_and_silent_ones_print_nothing(show):
    clock, to = Clock(), io.StringIO()
    with RunBar(show, 4, 10, clock=clock, to=to) as bar:
        for index in range(4):
            bar.start(index)
            bar.draws(10)
            clock.now += 1 if show else EVERY
    assert to.getvalue() == ""
