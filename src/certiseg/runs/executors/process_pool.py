"""``ProcessExecutor``: worker processes on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from certiseg.runs.executors.executor import Task, check_numbers
from certiseg.runs.executors.pool import Advanced, Lost, Pool, Ready, Remote
from certiseg.runs.executors.recipe import Recipe, sendable

_PATIENCE = 5.0
"""Seconds to wait for a process to end by itself."""
# Not "fork": threads and locks of torch do not survive it.
_CONTEXT = multiprocessing.get_context("spawn")


def cores() -> int:
    """Number of CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


class ProcessExecutor(Pool):
    """Worker processes, each of which loads the models once, by name.

    Args:
        size: number of processes.
        threads: threads of each; default: cores / size.

    Raises:
        InputError: for a number below 1.

    Example:
        >>> ProcessExecutor(2, threads=1).size
        2
    """

    def __init__(self, size: int, threads: int | None = None) -> None:
        check_numbers(size, threads)
        self.size = size
        self.threads = max(1, cores() // size) if threads is None else threads

    def begin(self, recipe: Recipe, place: int) -> _Process:
        """See ``Pool``."""
        return _Process(recipe, self.threads, place)

    def answers(self, busy: Sequence[_Process]) -> Iterator[tuple[_Process, Any]]:
        """See ``Pool``."""
        by_connection = {worker.connection: worker for worker in busy}
        for connection in wait(list(by_connection)):
            worker = by_connection[connection]  # type: ignore[index]
            yield worker, worker.answer()


class _Process(Remote):
    def __init__(self, recipe: Recipe, threads: int, place: int) -> None:
        self.place = place
        self.connection, theirs = _CONTEXT.Pipe()
        arguments = (theirs, recipe, threads, place)
        self._process = _CONTEXT.Process(target=_serve, args=arguments, daemon=True)
        with _deaf_to_interrupts():
            self._process.start()
        theirs.close()

    def give(self, task: Task) -> None:
        # A process that has just died is noticed by ``answer``.
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def answer(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self._process.join(_PATIENCE)
            code = self._process.exitcode
        by = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        often = ", as the system does where memory runs out" if code == -signal.SIGKILL else ""
        return Lost(by + often)

    def end(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection, recipe: Recipe, threads: int, place: int) -> None:
    """Main function of a worker process: execute tasks until the connection closes."""
    try:
        worker = recipe.worker(threads, place)
        connection.send(Ready())
        while True:
            task = connection.recv()
            connection.send(worker.do(task, lambda draws: connection.send(Advanced(draws))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # The run has ended.
    except Exception as error:
        connection.send(sendable(error))


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C, which terminals send to all; the parent ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
