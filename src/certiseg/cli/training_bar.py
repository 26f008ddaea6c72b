"""The progress of a training: a bar with the loss, a line for each validation."""

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
from certiseg.runs.progress import Pace, tell
from certiseg.screen import Screen

if TYPE_CHECKING:
    from certiseg.training.loop import Report
    from certiseg.training.task import Measured


def training_bar() -> Progress:
    """Steps done, the loss, time taken and time left."""
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
    """A task of so many steps, and what a training calls after each.

    Losses are means over the steps since the last validation: single batches say little.
    """
    task = progress.add_task("loss -", total=steps)
    pace, since = Pace(steps, 1, what="steps"), list[float]()
    tell(pace)

    def report(done: int, epoch: float, loss: float, figures: Measured | None) -> None:
        since.append(loss)
        mean = sum(since) / len(since)
        progress.update(task, completed=done, description=f"loss {nearest(mean, 3)}")
        pace.finish(done - pace.done)
        validation = {} if figures is None else {"validation": figures.words()}
        tell(pace, epoch=epoch, loss=mean, **validation)
        if figures is not None:
            progress.console.print(
                f"epoch {nearest(epoch, 0)}: loss {nearest(mean, 3)}, val {figures.words()}"
            )
            since.clear()

    return report
