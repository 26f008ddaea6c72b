"""Progress of a run on standard error: a bar on a terminal, else now and then a line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

EVERY = 30.0
"""Seconds between two lines where there is no terminal: short runs stay silent."""


def new_bar(show: bool) -> Progress:
    """A bar on standard error, silent unless that is a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (show and console.is_terminal),
    )


class Pace:
    """Inputs and draws per second, and the time left: of this run alone, not of one that it goes
    on with.

    inputs: in all, ``done`` of them before. draws: that an input takes, at most.
    """

    def __init__(
        self, inputs: int, draws: int, done: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.inputs, self.done = inputs, done
        self._draws_each, self._before, self._clock = draws, done, clock
        self._began, self._drawn, self._open = clock(), 0, 0

    def draws(self, number: int) -> None:
        """So many more draws are done."""
        self._drawn += number
        self._open += number

    def finish(self, number: int = 1) -> None:
        """So many more inputs are done."""
        self.done += number
        # Draws of inputs that are not done yet; with early stopping a guess.
        self._open = max(0, self._open - number * self._draws_each)

    @property
    def completed(self) -> float:
        """Inputs, those in work in part."""
        part = min(self._open / self._draws_each, 0.99 * (self.inputs - self.done))
        return self.done + part

    @property
    def seconds(self) -> float:
        return self._clock() - self._began

    @property
    def left(self) -> float | None:
        """Seconds, at this pace; None before anything was done."""
        made = self.completed - self._before
        return None if made <= 0 else self.seconds / made * (self.inputs - self.completed)

    def rates(self) -> str:
        """Such as "0.244 images/s, 24.4 draws/s, 0:06:10 left"."""
        passed = max(self.seconds, 1e-9)
        made, left = self.completed - self._before, self.left
        rest = "" if left is None else f", {_clock_text(left)} left"
        return f"{made / passed:.3g} inputs/s, {self._drawn / passed:.3g} draws/s{rest}"


def _clock_text(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class RunBar:
    """Progress over inputs; silent unless shown.

    Use as a context manager: ``draws`` as the sampler's progress, ``finish`` after each input, or
    ``start`` before it.
    """

    def __init__(
        self,
        show: bool,
        inputs: int,
        draws: int,
        done: int = 0,
        *,
        clock: Callable[[], float] = time.monotonic,
        to: TextIO | None = None,
    ) -> None:
        self._pace = Pace(inputs, draws, done, clock)
        self._to = sys.stderr if to is None else to
        console = Console(file=self._to)
        self._lines = show and not console.is_terminal
        self._told = self._pace.seconds
        self._bar = Progress(
            TextColumn("inputs"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}"),
            console=console,
            transient=True,
            disable=not (show and console.is_terminal),
        )
        self._task = self._bar.add_task("inputs", total=inputs, completed=done, rates="")

    def start(self, index: int) -> None:
        """The input of this index begins: those before it are done."""
        if index > self._pace.done:
            self.finish(index - self._pace.done)

    def draws(self, number: int) -> None:
        """So many more draws are done."""
        self._pace.draws(number)
        self._tell()

    def finish(self, number: int = 1) -> None:
        """So many more inputs are done."""
        self._pace.finish(number)
        self._tell()

    def _tell(self) -> None:
        pace = self._pace
        if self._lines:
            if pace.seconds - self._told >= EVERY:
                self._told = pace.seconds
                line = f"{pace.done} of {pace.inputs} inputs, {pace.rates()}"
                print(line, file=self._to, flush=True)
        elif not self._bar.disable:
            self._bar.update(self._task, completed=pace.completed, rates=pace.rates())

    def __enter__(self) -> RunBar:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
