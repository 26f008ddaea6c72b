"""The progress of a training: a bar with the loss, a line for each validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from certiseg.training.descent import Measured, Report


def training_bar() -> Progress:
    """Steps done, time left, and the loss."""
    return Progress(
        SpinnerColumn(),
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )


def steps_bar(progress: Progress, steps: int) -> Report:
    """A task of so many steps, and what a training calls after each."""
    task = progress.add_task("loss -", total=steps)

    def report(done: int, epoch: float, loss: float, figures: Measured | None) -> None:
        progress.update(task, completed=done, description=f"loss {loss:.3f}")
        if figures is not None:
            progress.console.print(
                f"epoch {epoch:.0f}: loss {loss:.3f}, val {figures.words()}", highlight=False
            )

    return report
