"""Progress of a run on standard error: a bar on a terminal, otherwise a line now and then."""

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
"""Seconds between two lines without a terminal; short runs print none."""


class Pace:
    """Inputs and draws per second, and the time left.

    inputs: total number, of which `done` were done before. draws: most draws per input; 0 if there
    are none. Rates count from the first advance, so that earlier work and the start of workers are
    left out. what: the plural noun for inputs.
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
        """Count further draws."""
        self._drawn += number
        self._open += number
        self._begin()

    def finish(self, number: int = 1) -> None:
        """Count further finished inputs."""
        self.done += number
        # Draws of unfinished inputs; an estimate with early stopping.
        self._open = max(0, self._open - number * self._draws_each)
        self._begin()

    @property
    def completed(self) -> float:
        """Finished inputs, plus the finished part of those in progress."""
        part = self._open / self._draws_each if self._draws_each else 0.0
        return self.done + min(part, 0.99 * (self.inputs - self.done))

    def words(self) -> str:
        """A text such as "0.244 inputs/s, 24.4 draws/s, 0:06:10 left"; empty at the beginning."""
        speed = self._speed()
        if speed is None:
            return ""
        made, drawn, left = speed
        figure = partial(significant, digits=3, way=nearest)
        draws = f"{figure(drawn)} draws/s, " if self._draws_each else ""
        return f"{figure(made)} {self.what}/s, {draws}{_clock_text(left)} left"

    def record(self) -> dict[str, Any]:
        """The same as plain values; None where nothing is known yet."""
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
        """Inputs per second, draws per second, and seconds left."""
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
"""Called after each advance with the pace, and further values such as the loss."""
_listener: ContextVar[Listener] = ContextVar("listener", default=lambda pace, known: None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call the listener at every advance inside: first when the work begins, after all checks."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def notify(pace: Pace, **known: Any) -> None:
    """Call the current listener."""
    _listener.get()(pace, known)


class RunBar:
    """Progress over inputs. show: True for a bar, or a function called with the number of draws
    just done; False for none.

    Use it as a context manager: ``draws`` as the sampler's progress, and ``finish`` after each
    input or ``start`` before it.
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
        self._clock, self._printed = clock, clock()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            console=console,
            transient=True,
            # Standard output of the caller is not redirected.
            redirect_stdout=False,
            disable=not (bar and console.is_terminal),
        )
        self._task = self._bar.add_task(what, total=inputs, completed=done, pace="")

    def start(self, index: int) -> None:
        """The input of this index begins, and those before it are done."""
        if index > self._pace.done:
            self.finish(index - self._pace.done)

    def draws(self, number: int) -> None:
        """Count further draws."""
        self._pace.draws(number)
        self._call(number)
        self._show()

    def finish(self, number: int = 1) -> None:
        """Count further finished inputs."""
        self._pace.finish(number)
        self._show()

    def _show(self) -> None:
        pace = self._pace
        notify(pace)
        if not self._bar.disable:
            self._bar.update(self._task, completed=pace.completed, pace=pace.words())
        elif self._lines and self._clock() - self._printed >= EVERY and (words := pace.words()):
            self._printed = self._clock()
            print(f"{pace.done} of {pace.inputs} {pace.what}, {words}", file=self._to, flush=True)

    def __enter__(self) -> RunBar:
        self._bar.start()
        notify(self._pace)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # With ``start`` alone, nothing reports that the last input is done.
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
