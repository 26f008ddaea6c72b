"""What a run is divided into, what comes of each part, and who does them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from certiseg.datasets.card import Sample
from certiseg.errors import InputError
from certiseg.runs.executors.job import Job
from certiseg.votes import VoteCounts


@dataclass(frozen=True)
class Task:
    """A sample, or some of its draws. view, certificate: which of its files are kept.

    draws: a half-open range of the test draws, where the sample is one of several tasks; the task
    whose range begins at 0 also makes the draws that only choose, and asks the models that have no
    certificate.
    """

    number: int
    sample: Sample
    view: bool = False
    certificate: bool = False
    draws: tuple[int, int] | None = None


@dataclass(frozen=True)
class Prediction:
    """What a model without a certificate says: labels, on its own grid (theory T14); seconds."""

    labels: NDArray[Any]
    seconds: float


@dataclass(frozen=True)
class BaselinePredictions:
    """What the models without a certificate say, by the name of their row; the view as a file,
    where it is kept."""

    predictions: Mapping[str, Prediction]
    view: bytes | None


@dataclass(frozen=True)
class PartialVotes:
    """Votes of a task that is a range of draws. chosen, baseline: of the first range alone."""

    votes: VoteCounts
    chosen: VoteCounts | None
    baseline: BaselinePredictions | None
    seconds: float


@dataclass(frozen=True)
class FinishedSample:
    """A sample that is done: its record, and the files that are kept of it."""

    record: dict[str, Any]
    view: bytes | None
    certificate: bytes | None


Progress = Callable[[int], None]
"""Called with the number of draws just done."""


Parts = Generator[tuple[Task, FinishedSample | PartialVotes], None, None]
"""What comes of tasks, as it comes; closed, it ends whatever was started."""


class Executor(Protocol):
    """Who does the tasks. size: how many they do at a time."""

    size: int

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Parts:
        """Do all tasks, in any order; what a task gives does not depend on who does it.

        Tasks are taken one by one as they can be begun, since each holds its input. Raises what
        doing a task raises; InputError where it could not be done for another reason.
        """
        ...


def check_numbers(workers: int | None, threads: int | None) -> None:
    """Raises InputError where one is given and below 1."""
    for option, value in (("--workers", workers), ("--threads", threads)):
        if value is not None and value < 1:
            raise InputError(
                f"expected {option} of at least 1, got {value}; leave it out for the default"
            )
