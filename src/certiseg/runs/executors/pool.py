"""Tasks handed out to workers elsewhere, and started again if a worker is lost.

The pools of the standard library and of Ray lose what is promised here: a worker that ends breaks
a ``ProcessPoolExecutor`` with all its tasks, and drops out of an ``ActorPool``; neither tells of
draws, reads tasks as they can be begun, or ends workers that are busy.
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
"""Workers that may be lost over one task, or before their first one."""


@dataclass(frozen=True)
class Ready:
    """The models are loaded."""


@dataclass(frozen=True)
class Advanced:
    """So many more draws are done."""

    draws: int


@dataclass(frozen=True)
class Lost:
    """The worker has ended."""

    reason: str


class Remote(ABC):
    """A worker elsewhere, that began to load its models when it was made. place: among those of
    its pool."""

    place: int

    @abstractmethod
    def give(self, task: Task) -> None:
        """Let it do the task; it does nothing else."""

    @abstractmethod
    def end(self) -> None:
        """End it, idle or busy."""


class Pool(ABC):
    """An executor with ``size`` workers elsewhere.

    A lost worker is replaced and its task started again, up to ``ATTEMPTS`` times. patience:
    seconds without any worker after which the run ends.
    """

    size: int
    patience = inf

    @abstractmethod
    def begin(self, recipe: Recipe, place: int) -> Remote:
        """A new worker."""

    @abstractmethod
    def answers(self, busy: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
        """Workers with what they say, in its order: Ready, Advanced, Lost, an Exception that
        loading the models or doing the task raised, or the task's result. Waits for some, but may
        come back without any."""

    def crowded(self) -> NoReturn:
        """There was no worker for ``patience`` seconds. Raises InputError."""
        raise NotImplementedError

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Results:
        """As ``Executor.work``. The models must be loadable by the names they have."""
        recipe, queue = Recipe.of(job), TaskQueue(tasks)
        # By worker its task, None while it loads the models.
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
    """Hands out tasks as they are asked for; one that comes back is handed out next."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks: Iterator[Task] = iter(tasks)
        self._next: deque[Task] = deque()
        self._lost: Counter[Hashable] = Counter()
        self._unready = 0

    def waiting(self, most: int = 1) -> int:
        """How many tasks there are to hand out, up to ``most``, which it reads."""
        self._next.extend(islice(self._tasks, max(0, most - len(self._next))))
        return min(most, len(self._next))

    def take(self) -> Task:
        """The next task. There is one."""
        assert self.waiting()
        return self._next.popleft()

    def lost(self, task: Task | None, reason: str) -> None:
        """A worker ended over this task, or before it had one, which then counts until one is
        ready. Raises InputError when that happened too often."""
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
        """A worker began well."""
        self._unready = 0
