"""Progress of a table: cells done, pictures a second, time left; on standard error."""

from __future__ import annotations

import time
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


class TableBar:
    """Two bars, cells and draws of the current one; silent unless shown on a terminal.

    A cell is one picture at one scale and sigma. Use as a context manager.
    """

    def __init__(self, show: bool, cells: int) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (show and console.is_terminal),
        )
        self._cells = self._progress.add_task("pictures x scales x sigmas", total=cells, pace="")
        self._draws = self._progress.add_task("draws", total=None, pace="")
        self._made, self._started = 0, time.perf_counter()

    def start(self, draws: int) -> None:
        """The next cell, of so many draws, begins."""
        self._progress.reset(self._draws, total=draws)

    def draws(self, done: int) -> None:
        """So many more draws are done."""
        self._progress.advance(self._draws, done)

    def done(self, *, made: bool) -> None:
        """The cell is there. made: by this run, not found from an earlier one."""
        self._made += made
        pace = self._made / max(time.perf_counter() - self._started, 1e-9)
        shown = f"{pace:.2f}/s" if pace >= 0.1 or not self._made else f"{1 / pace:.0f} s each"
        self._progress.update(self._cells, advance=1, pace=shown)

    def __enter__(self) -> TableBar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
