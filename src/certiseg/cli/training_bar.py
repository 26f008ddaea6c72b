"""The progress of a training: a bar with the loss, a line for each validation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from certiseg.rounding import nearest
from certiseg.runs.progress import RunBar
from certiseg.screen import Screen

if TYPE_CHECKING:
    from certiseg.training.descent import Measured, Report


@contextmanager
def training_bar() -> Iterator[ExitStack]:
    """Where ``steps_bar`` shows a bar until the end."""
    with ExitStack() as shown:
        yield shown


def steps_bar(shown: ExitStack, steps: int) -> Report:
    """A bar of so many steps, and what a training calls after each.

    Losses are means over the steps since the last validation: single batches say little.
    """
    bar = shown.enter_context(RunBar(True, steps, 0, what="steps"))
    since, before = list[float](), 0

    def report(done: int, epoch: float, loss: float, figures: Measured | None) -> None:
        nonlocal before
        since.append(loss)
        mean = sum(since) / len(since)
        bar.describe(f"loss {nearest(mean, 3)}")
        validation = {} if figures is None else {"validation": figures.words()}
        bar.finish(done - before, epoch=epoch, loss=mean, **validation)
        before = done
        if figures is not None:
            Screen().print(
                f"epoch {nearest(epoch, 0)}: loss {nearest(mean, 3)}, val {figures.words()}"
            )
            since.clear()

    return report
