"""Tasks done by processes on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from certiseg.runs.executors.job import Job, Recipe
from certiseg.runs.executors.task import Parts, Progress, Task, check_numbers
from certiseg.runs.executors.task_queue import TaskQueue
from certiseg.runs.executors.worker_process import Advanced, Failed, Message, Ready, serve

_PATIENCE = 5.0
"""Seconds a process gets to end by itself."""


def cores() -> int:
    """Of this machine, those that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


@dataclass
class _Member:
    process: Any
    connection: Connection
    place: int
    ready: bool = False
    task: Task | None = None


class ProcessExecutor:
    """``size`` processes, each of which loads the models once, by their names.

    threads: of each; default: the cores shared out. A process that is lost is replaced and its
    task begun anew, up to ``queue.ATTEMPTS`` times.
    """

    def __init__(self, size: int, threads: int | None = None) -> None:
        check_numbers(size, threads)
        self.size = size
        self.threads = max(1, cores() // size) if threads is None else threads
        # Forked threads and locks of torch would hang.
        self._context = multiprocessing.get_context("spawn")

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Parts:
        """As ``Executor.work``. The models must be loadable by the names they have."""
        recipe, queue = job.recipe(), TaskQueue(tasks)
        members: dict[Connection, _Member] = {}
        try:
            while True:
                self._hand_out(recipe, queue, members)
                if not any(m.task for m in members.values()) and not queue.waiting():
                    return
                for connection in wait(list(members)):
                    assert isinstance(connection, Connection)
                    member = members[connection]
                    try:
                        message: Message = connection.recv()
                    except (EOFError, OSError):
                        del members[connection]
                        _lost(member, queue)
                        continue
                    if isinstance(message, Failed):
                        raise message.error
                    if isinstance(message, Ready):
                        member.ready = True
                        queue.ready()
                    elif isinstance(message, Advanced):
                        advance(message.draws)
                    else:
                        task, member.task = member.task, None
                        assert task is not None
                        yield task, message
        finally:
            _dismiss(list(members.values()))

    def _hand_out(
        self, recipe: Recipe, queue: TaskQueue, members: dict[Connection, _Member]
    ) -> None:
        """A task to each that waits for one, and new members while there is more to do."""
        for member in members.values():
            if member.ready and member.task is None and queue.waiting():
                member.task = queue.take()
                # Of one that has just ended, the loss is noticed by its silence.
                with contextlib.suppress(OSError):
                    member.connection.send(member.task)
        beginning = sum(not member.ready for member in members.values())
        free = self.size - len(members)
        for _ in range(min(free, queue.waiting(self.size) - beginning)):
            member = self._begin(recipe, {m.place for m in members.values()})
            members[member.connection] = member

    def _begin(self, recipe: Recipe, taken: set[int]) -> _Member:
        place = min(set(range(self.size)) - taken)
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve, args=(theirs, recipe, self.threads, place), daemon=True
        )
        with _deaf_to_interrupts():
            process.start()
        theirs.close()
        return _Member(process, ours, place)


def _lost(member: _Member, queue: TaskQueue) -> None:
    member.process.join(_PATIENCE)
    code = member.process.exitcode
    by = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    often = ", as the system does where memory runs out" if code == -signal.SIGKILL else ""
    if member.task is not None or not member.ready:
        queue.lost(member.task, by + often)


def _dismiss(members: list[_Member]) -> None:
    """End them: the idle ones by word, the others by force."""
    for member in members:
        if member.ready and member.task is None:
            with contextlib.suppress(OSError):
                member.connection.send(None)
        else:
            member.process.terminate()
        member.connection.close()
    for member in members:
        member.process.join(_PATIENCE)
        if member.process.is_alive():
            member.process.kill()
            member.process.join()


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes begun inside take no Ctrl-C: it goes to all of a terminal's processes, and the one
    that began them ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
