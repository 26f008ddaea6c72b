"""Where the tasks of a run are done: the seam, and the choice of one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel

Progress = Callable[[int], None]
"""Called with the number of draws just done."""


class Task(Protocol):
    """A part of a run that is done in one go; it holds its input, and can be pickled."""

    @property
    def name(self) -> str:
        """Of the input, for errors."""
        ...

    @property
    def key(self) -> Hashable:
        """What tells it from the other tasks of the run."""
        ...


class Worker(Protocol):
    """Does tasks of a job, one at a time."""

    def do(self, task: Any, advance: Progress) -> Any:
        """The result of a task, which can be pickled and does not depend on the worker."""
        ...


@dataclass(frozen=True)
class Job:
    """What is fixed of a run. A subclass adds its settings, which can be pickled, and ``worker``.

    models: by their part in the run. device: that the user asked for.
    """

    models: Mapping[str, LoadedModel]
    device: str | None

    def worker(self) -> Worker:
        """What does the tasks, with the models that this job has."""
        raise NotImplementedError


Results = Generator[tuple[Any, Any], None, None]
"""Tasks with their results, as they come; closed, it ends its workers."""


class Executor(Protocol):
    """Does tasks. size: how many at a time.

    To add one: a class of this form, and a line in ``executor_for`` for its option.
    """

    size: int

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Results:
        """Do all tasks, in any order.

        Tasks are taken one by one as they can be begun, since each holds its input.

        Raises:
            Exception: that doing a task raised, with its traceback.
            InputError: a task could not be done for another reason.
        """
        ...


class SerialExecutor:
    """One task after another in this process, with the models that the caller has."""

    size = 1

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Results:
        """As ``Executor.work``."""
        worker = job.worker()
        for task in tasks:
            yield task, worker.do(task, advance)


def executor_for(
    workers: int | None, threads: int | None, ray: str | None, ranks: int | None
) -> Executor:
    """Actors of a Ray cluster, processes, or this process.

    ranks: how many processes torchrun began, which share the run already. Raises InputError for
    options that do not go together.
    """
    from certiseg.runs.executors.process_pool import ProcessExecutor
    from certiseg.runs.executors.ray_pool import RayExecutor

    given = {"--workers": workers, "--threads": threads, "--ray": ray}
    asked = [name for name, value in given.items() if value is not None]
    if ranks is not None and asked:
        raise InputError(
            f"expected no {asked[0]} under torchrun, got it (WORLD_SIZE is {ranks}); its "
            "processes share the run already"
        )
    if asked == ["--threads"]:
        raise InputError("expected --workers or --ray with --threads, got neither; add one")
    if ray is not None:
        return RayExecutor(ray, workers, threads)
    return SerialExecutor() if workers is None else ProcessExecutor(workers, threads)


def check_numbers(workers: int | None, threads: int | None) -> None:
    """Raises InputError where one is given and below 1."""
    for option, value in (("--workers", workers), ("--threads", threads)):
        if value is not None and value < 1:
            raise InputError(
                f"expected {option} of at least 1, got {value}; leave it out for the default"
            )
