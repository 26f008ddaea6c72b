"""``Pool``: executes tasks on remote workers, and repeats the task of a worker that is lost.

The pools of the standard library and of Ray do not suffice: a worker that dies breaks a
``ProcessPoolExecutor``, and leaves an ``ActorPool`` for good; neither reports draws, takes tasks
only as workers become free, or ends busy workers.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Any, NoReturn

from certiseg.errors import InputError
from certiseg.runs.executors.executor import Job, Progress, Results, Task
from certiseg.runs.executors.recipe import Recipe

ATTEMPTS = 3
"""Number of workers lost on one task, or before their first one, after which the run fails."""


@dataclass(frozen=True)
class Ready:
    """A worker has loaded the models."""


@dataclass(frozen=True)
class Advanced:
    """A worker has done more draws."""

    draws: int


@dataclass(frozen=True)
class Lost:
    """A worker has died."""

    reason: str


class Remote(ABC):
    """A remote worker, which starts to load its models on construction. place: its index in the
    pool."""

    place: int

    @abstractmethod
    def give(self, task: Task) -> None:
        """Start a task; the worker is idle."""

    @abstractmethod
    def end(self) -> None:
        """End the worker, idle or busy."""


class Pool(ABC):
    """An executor with ``size`` remote workers.

    A lost worker is replaced and its task repeated, up to ``ATTEMPTS`` times. patience: seconds
    without any ready worker after which ``crowded`` is called.
    """

    size: int
    patience = inf

    @abstractmethod
    def begin(self, recipe: Recipe, place: int) -> Remote:
        """Start a worker."""

    @abstractmethod
    def answers(self, busy: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
        """Wait for messages of busy workers, and yield each worker with its messages in order.

        A message is Ready, Advanced, Lost, an Exception raised by loading the models or by the
        task, or the task's result. May return without any.
        """

    def crowded(self) -> NoReturn:
        """Raise InputError: there was no worker for ``patience`` seconds."""
        raise InputError(f"expected a worker, got none for {self.patience:g} s; then --resume")

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Results:
        """See ``Executor.work``. Workers load the models by name."""
        recipe, queue = Recipe.of(job), TaskQueue(tasks)
        # Task of each busy worker, None while it loads the models.
        busy: dict[Remote, Task | None] = {}
        idle: list[Remote] = []
        heard = time.monotonic()
        try:
            while True:
                while idle and queue.waiting():
                    worker, given = idle.pop(), queue.take()
                    busy[worker] = given
                    worker.give(given)
                loading = sum(task is None for task in busy.values())
                free = set(range(self.size)) - {worker.place for worker in (*busy, *idle)}
                for place in sorted(free)[: max(0, queue.waiting(self.size) - loading)]:
                    busy[self.begin(recipe, place)] = None
                    loading += 1
                if len(busy) == loading and not queue.waiting():
                    return
                answers = list(self.answers(list(busy)))
                if answers or len(busy) > loading:
                    heard = time.monotonic()
                elif time.monotonic() - heard > self.patience:
                    self.crowded()
                for worker, answer in answers:
                    if isinstance(answer, Advanced):
                        advance(answer.draws)
                        continue
                    task = busy.pop(worker)
                    if isinstance(answer, Lost):
                        worker.end()
                        queue.lost(task, answer.reason)
                        continue
                    idle.append(worker)
                    if isinstance(answer, Exception):
                        raise answer
                    if isinstance(answer, Ready):
                        queue.ready()
                    else:
                        yield task, answer
        finally:
            for worker in (*idle, *busy):
                worker.end()


class TaskQueue:
    """Queue of tasks, read from an iterable on demand; a lost task comes next."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks: Iterator[Task] = iter(tasks)
        self._next: deque[Task] = deque()
        self._lost: Counter[Hashable] = Counter()
        self._unready = 0

    def waiting(self, most: int = 1) -> int:
        """Number of waiting tasks, at most ``most``; reads up to that many."""
        self._next.extend(islice(self._tasks, max(0, most - len(self._next))))
        return min(most, len(self._next))

    def take(self) -> Task:
        """The next task; the queue must not be empty."""
        assert self.waiting()
        return self._next.popleft()

    def lost(self, task: Task | None, reason: str) -> None:
        """Record that a worker died on this task, or (None) before its first task.

        Raises InputError after ``ATTEMPTS`` times; for None, counted since the last ``ready``.
        """
        if task is None:
            self._unready += 1
            if self._unready < ATTEMPTS:
                return
            raise InputError(
                f"expected workers that begin, got {ATTEMPTS} that ended before their first task "
                f"({reason}); use fewer, and in a script call this under "
                "if __name__ == '__main__'"
            )
        self._lost[task.key] += 1
        if self._lost[task.key] < ATTEMPTS:
            self._next.appendleft(task)
            return
        raise InputError(
            f"expected {task.name} to be done by a worker, got {ATTEMPTS} workers that "
            f"ended over it ({reason}); use fewer workers or a smaller --batch-size, then --resume"
        )

    def ready(self) -> None:
        """Record that a worker has loaded its models."""
        self._unready = 0
