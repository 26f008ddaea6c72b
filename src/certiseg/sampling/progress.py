"""Progress of draws: a bar, or the caller's function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = bool | Callable[[int], None]


@contextmanager
def draws_bar(progress: Progress, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the number of draws just done."""
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda done: None
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = ("draws", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("draws", total=total)
            yield lambda done: bar.advance(task, done)
