"""Progress of a run, inputs above draws, on standard error."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


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


class RunBar:
    """Two bars, inputs and draws of the current one; silent unless shown on a terminal.

    Use as a context manager: ``start`` before each input, ``draws`` as the sampler's progress.
    """

    def __init__(self, show: bool, inputs: int, draws: int) -> None:
        self._progress = new_bar(show)
        self._inputs = self._progress.add_task("inputs", total=inputs)
        self._draws = self._progress.add_task("draws", total=draws)

    def start(self, index: int) -> None:
        """The input of this index begins."""
        self._progress.update(self._inputs, completed=index)
        self._progress.reset(self._draws)

    def draws(self, done: int) -> None:
        """So many more draws are done."""
        self._progress.advance(self._draws, done)

    def __enter__(self) -> RunBar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
