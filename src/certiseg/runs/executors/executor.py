"""``Executor``: the interface by which a run's tasks are executed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel

Progress = Callable[[int], None]
"""Called with the number of draws just done."""


class Task(Protocol):
    """A unit of work of a run, with its input; picklable."""

    @property
    def name(self) -> str:
        """Name of the input, for errors."""
        ...

    @property
    def key(self) -> Hashable:
        """Identifies the task within the run."""
        ...


class Worker(Protocol):
    """Executes tasks of a job, one at a time."""

    def do(self, task: Any, advance: Progress) -> Any:
        """Result of a task, picklable and independent of the worker."""
        ...


@dataclass(frozen=True)
class Job(ABC):
    """The fixed part of a run. Subclasses add picklable settings, and ``worker``.

    models: by role in the run. device: as the user gave it.
    """

    models: Mapping[str, LoadedModel]
    device: str | None

    @abstractmethod
    def worker(self) -> Worker:
        """A worker for the tasks, with the models of this job."""


Results = Generator[tuple[Any, Any], None, None]
"""Tasks with their results, in order of completion; closing the generator ends the workers."""


class Executor(Protocol):
    """Executes tasks. size: number of workers.

    To add one: a class with this interface, and a line in ``choice.executor_for`` for its option.
    """

    size: int

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Results:
        """Execute all tasks, in any order.

        Tasks are taken from the iterable only as workers become free, since each holds its input.

        Raises:
            Exception: raised by a task, with its traceback.
            InputError: if a task could not be executed for another reason.
        """
        ...


class SerialExecutor:
    """Executes tasks one after another in this process, with the caller's models."""

    size = 1

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Results:
        """See ``Executor.work``."""
        worker = job.worker()
        for task in tasks:
            yield task, worker.do(task, advance)


def check_numbers(workers: int | None, threads: int | None) -> None:
    """Raise InputError if either is given and below 1."""
    for option, value in (("--workers", workers), ("--threads", threads)):
        if value is not None and value < 1:
            raise InputError(
                f"expected {option} of at least 1, got {value}; leave it out for the default"
            )
