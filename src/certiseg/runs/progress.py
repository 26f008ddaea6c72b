"""Progress of a run on standard error: a bar on a terminal, else now and then a line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Any, TextIO, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from certiseg.rounding import nearest, significant
from certiseg.screen import Screen

EVERY = 30.0
"""Seconds between two lines where there is no terminal: short runs stay silent."""


class Pace:
    """Inputs and draws per second, and the time left.

    inputs: in all, ``done`` of them before. draws: that an input takes, at most; 0 where none are
    made. It runs from the first news on: what was done before, and starting workers, are no part
    of it. what: the word for inputs.
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
        part = self._open / self._draws_each if self._draws_each else 0.0
        return self.done + min(part, 0.99 * (self.inputs - self.done))

    def words(self) -> str:
        """Such as "0.244 inputs/s, 24.4 draws/s, 0:06:10 left"; nothing at the beginning."""
        speed = self._speed()
        if speed is None:
            return ""
        made, drawn, left = speed
        figure = partial(significant, digits=3, way=nearest)
        draws = f"{figure(drawn)} draws/s, " if self._draws_each else ""
        return f"{figure(made)} {self.what}/s, {draws}{_clock_text(left)} left"

    def record(self) -> dict[str, Any]:
        """The same as plain values; None where nothing can be said yet."""
        made, drawn, left = self._speed() or (None, None, None)
        return {
            "what": self.what,
            "done": self.done,
            "total": self.inputs,
            "draws": self._drawn,
            "per_second": made,
            "draws_per_second": drawn,
            "seconds_left": left,
        }

    def _speed(self) -> tuple[float, float, float] | None:
        """Inputs and draws a second, and the seconds left."""
        if self._began is None:
            return None
        began, completed, drawn = self._began
        passed, made = self._clock() - began, self.completed - completed
        if passed <= 0 or made <= 0:
            return None
        left = passed / made * (self.inputs - self.completed)
        return made / passed, (self._drawn - drawn) / passed, left

    def _begin(self) -> None:
        if self._began is None:
            self._began = self._clock(), self.completed, self._drawn


def _clock_text(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


Listener = Callable[[Pace, dict[str, Any]], None]
"""Told of every advance: how far it is, and what else is known (a loss)."""
_listener: ContextVar[Listener] = ContextVar("listener", default=lambda pace, known: None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Whatever shows its progress inside tells the listener as well: first when the work begins,
    after all checks."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(pace: Pace, **known: Any) -> None:
    """Tell who listens."""
    _listener.get()(pace, known)


class RunBar:
    """Progress over inputs; silent unless shown. show: True for a bar, or a function called with
    the number of draws just done.

    Use as a context manager: ``draws`` as the sampler's progress, ``finish`` after each input, or
    ``start`` before it.
    """

    def __init__(
        self,
        show: bool | Callable[[int], None],
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
        console = Screen(file=self._to)
        self._call = show if callable(show) else lambda done: None
        bar = show is True
        self._lines = bar and not console.is_terminal
        self._clock, self._told = clock, clock()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            console=console,
            transient=True,
            # What the caller prints between two inputs stays on standard output.
            redirect_stdout=False,
            disable=not (bar and console.is_terminal),
        )
        self._task = self._bar.add_task(what, total=inputs, completed=done, pace="")

    def start(self, index: int) -> None:
        """The input of this index begins: those before it are done."""
        if index > self._pace.done:
            self.finish(index - self._pace.done)

    def draws(self, number: int) -> None:
        """So many more draws are done."""
        self._pace.draws(number)
        self._call(number)
        self._tell()

    def finish(self, number: int = 1) -> None:
        """So many more inputs are done."""
        self._pace.finish(number)
        self._tell()

    def _tell(self) -> None:
        pace = self._pace
        tell(pace)
        if not self._bar.disable:
            self._bar.update(self._task, completed=pace.completed, pace=pace.words())
        elif self._lines and self._clock() - self._told >= EVERY and (words := pace.words()):
            self._told = self._clock()
            print(f"{pace.done} of {pace.inputs} {pace.what}, {words}", file=self._to, flush=True)

    def __enter__(self) -> RunBar:
        self._bar.start()
        tell(self._pace)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Where inputs are only started, nobody says that the last one is done.
        if kind is None and self._pace.done < self._pace.inputs:
            self.finish(self._pace.inputs - self._pace.done)
        self._bar.stop()


T = TypeVar("T")


def steps(work: Iterable[T], total: int, name: str, *, show: bool) -> Iterator[T]:
    """Pass the items on as they come, counted by a bar."""
    with RunBar(show, total, 0, what=name) as bar:
        for item in work:
            yield item
            bar.finish()
