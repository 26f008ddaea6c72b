"""Progress of a run on standard error: a bar on a terminal, else now and then a line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
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

from certiseg.rounding import nearest, significant

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
    """Inputs and draws per second, and the time left.

    inputs: in all, ``done`` of them before. draws: that an input takes, at most. It runs from the
    first news on: what was done before, and starting workers, are no part of it. what: the word
    for inputs.
    """

    def __init__(
        self,
        inputs: int,
        draws: int,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
        what: str = "inputs",
    ) -> None:
        self.inputs, self.done, self.what = inputs, done, what
        self._draws_each, self._clock = draws, clock
        self._drawn, self._open = 0, 0
        self._began: tuple[float, float, int] | None = None

    def draws(self, number: int) -> None:
        """So many more draws are done."""
        self._drawn += number
        self._open += number
        self._begin()

    def finish(self, number: int = 1) -> None:
        """So many more inputs are done."""
        self.done += number
        # Draws of inputs that are not done yet; with early stopping a guess.
        self._open = max(0, self._open - number * self._draws_each)
        self._begin()

    @property
    def completed(self) -> float:
        """Inputs, those in work in part."""
        part = min(self._open / self._draws_each, 0.99 * (self.inputs - self.done))
        return self.done + part

    def words(self) -> str:
        """Such as "0.244 inputs/s, 24.4 draws/s, 0:06:10 left"; nothing at the beginning."""
        if self._began is None:
            return ""
        began, completed, drawn = self._began
        passed, made = self._clock() - began, self.completed - completed
        if passed <= 0 or made <= 0:
            return ""
        speed = partial(significant, digits=3, way=nearest)
        left = passed / made * (self.inputs - self.completed)
        return (
            f"{speed(made / passed)} {self.what}/s, "
            f"{speed((self._drawn - drawn) / passed)} draws/s, {_clock_text(left)} left"
        )

    def _begin(self) -> None:
        if self._began is None:
            self._began = self._clock(), self.completed, self._drawn


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
        what: str = "inputs",
    ) -> None:
        self._pace = Pace(inputs, draws, done, clock, what)
        self._to = sys.stderr if to is None else to
        console = Console(file=self._to)
        self._lines = show and not console.is_terminal
        self._clock, self._told = clock, clock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            console=console,
            transient=True,
            disable=not (show and console.is_terminal),
        )
        self._task = self._bar.add_task(what, total=inputs, completed=done, pace="")

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
        if not self._bar.disable:
            self._bar.update(self._task, completed=pace.completed, pace=pace.words())
        elif self._lines and self._clock() - self._told >= EVERY and (words := pace.words()):
            self._told = self._clock()
            print(f"{pace.done} of {pace.inputs} {pace.what}, {words}", file=self._to, flush=True)

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
