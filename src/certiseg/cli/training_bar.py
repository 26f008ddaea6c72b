"""Progress of a training: a bar with the loss, and a line for each validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from certiseg.rounding import nearest
from certiseg.runs.progress import Pace, notify
from certiseg.screen import Screen

if TYPE_CHECKING:
    from certiseg.training.loop import Report
    from certiseg.training.task import Measured


def training_bar() -> Progress:
    """A bar with the number of steps, the loss, elapsed time and time left."""
    return Progress(
        SpinnerColumn(),
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Screen(),
    )


def steps_bar(progress: Progress, steps: int) -> Report:
    """Add a task with this number of steps to the bar. Returns the function that a training calls
    after each step.

    Losses shown are means over the steps since the last validation, since losses of single batches
    vary too much.
    """
    task = progress.add_task("loss -", total=steps)
    pace, since = Pace(steps, 1, what="steps"), list[float]()
    notify(pace)

    def report(done: int, epoch: float, loss: float, figures: Measured | None) -> None:
        since.append(loss)
        mean = sum(since) / len(since)
        progress.update(task, completed=done, description=f"loss {nearest(mean, 3)}")
        pace.finish(done - pace.done)
        validation = {} if figures is None else {"validation": figures.words()}
        notify(pace, epoch=epoch, loss=mean, **validation)
        if figures is not None:
            progress.console.print(
                f"epoch {nearest(epoch, 0)}: loss {nearest(mean, 3)}, val {figures.words()}"
            )
            since.clear()

    return report
