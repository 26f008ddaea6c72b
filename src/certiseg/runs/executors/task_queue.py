"""Tasks yet to be done, and those that a lost worker left behind."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import islice

from certiseg.errors import InputError
from certiseg.runs.executors.task import Task

ATTEMPTS = 3
"""Workers that may be lost over one task, or before their first one."""


class TaskQueue:
    """Hands out tasks as they are asked for; one that comes back is handed out next."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks: Iterator[Task] = iter(tasks)
        self._next: deque[Task] = deque()
        self._lost: Counter[tuple[int, tuple[int, int] | None]] = Counter()
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
        name = (task.number, task.draws)
        self._lost[name] += 1
        if self._lost[name] < ATTEMPTS:
            self._next.appendleft(task)
            return
        raise InputError(
            f"expected {task.sample.name} to be done by a worker, got {ATTEMPTS} workers that "
            f"ended over it ({reason}); use fewer workers or a smaller --batch-size, then --resume"
        )

    def ready(self) -> None:
        """A worker began well."""
        self._unready = 0
