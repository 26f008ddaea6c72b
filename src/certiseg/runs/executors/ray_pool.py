"""Tasks done by actors of a Ray cluster."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

from certiseg.errors import InputError
from certiseg.runs.executors.job import Job, Recipe
from certiseg.runs.executors.task import (
    FinishedSample,
    PartialVotes,
    Parts,
    Progress,
    Task,
    check_numbers,
)
from certiseg.runs.executors.task_queue import TaskQueue
from certiseg.runs.executors.worker_process import open_worker, sendable

LOCAL = "local"
_PATIENCE = 600.0
_TURN, _TO_ANSWER = 1.0, 10.0


class RayExecutor:
    """Actors of the cluster at ``address`` ("local" starts one here), each with the models.

    size: how many; default: as many as the cluster has room for. threads: processors that each
    takes, and with device "cuda" a GPU. One that is lost is replaced wherever there is room and its
    task begun anew, up to ``queue.ATTEMPTS`` times; where there is no room, those that are left
    go on, and without any for ``patience`` seconds the run ends. Inputs are sent to the actors and
    results come back; nodes need certiseg, and the models under the names they have here.
    Raises InputError: no Ray, no cluster there.
    """

    def __init__(
        self,
        address: str,
        size: int | None = None,
        threads: int | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        check_numbers(size, threads)
        self._ray = _connected(address)
        self._patience, self.threads = patience, threads or 1
        room = int(self._ray.cluster_resources().get("CPU", 0)) // self.threads
        self.size = size or max(1, room)

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Parts:
        """As ``Executor.work``; draws are told of once their task is done."""
        ray, queue = self._ray, TaskQueue(tasks)
        recipe = ray.put(job.recipe())
        idle: list[Any] = []
        # By what each actor was asked for: itself and its task, None while it loads the models.
        asked: dict[Any, tuple[Any, Task | None]] = {}
        heard = time.monotonic()
        try:
            while True:
                while idle and queue.waiting():
                    actor, given = idle.pop(), queue.take()
                    asked[actor.do.remote(given)] = (actor, given)
                free = self.size - len(asked) - len(idle)
                loading = sum(task is None for _, task in asked.values())
                for _ in range(min(free, queue.waiting(self.size) - loading)):
                    actor = self._begin(job, recipe)
                    asked[actor.begin.remote()] = (actor, None)
                if len(asked) == loading and not queue.waiting():
                    return
                answers, _ = ray.wait(list(asked), timeout=_TURN)
                if answers or len(asked) > loading:
                    heard = time.monotonic()
                elif time.monotonic() - heard > self._patience:
                    raise InputError(
                        f"expected room for a worker with {self.threads} threads on the cluster, "
                        f"got none for {self._patience:g} s; add nodes or take fewer --threads, "
                        "then --resume"
                    )
                for answer in answers:
                    actor, task = asked.pop(answer)
                    try:
                        answered = ray.get(answer)
                    except ray.exceptions.RayTaskError as error:
                        raise InputError(
                            "expected certiseg and its model on every node, got "
                            f"{_line(error.cause)}; install what this node has"
                        ) from None
                    except ray.exceptions.RayError as error:
                        _end(ray, actor)
                        queue.lost(task, _line(error))
                        continue
                    if isinstance(answered, Exception):
                        raise answered
                    idle.append(actor)
                    if task is None:
                        queue.ready()
                    else:
                        advance(_draws(task, job))
                        yield task, answered
        finally:
            for actor in [*idle, *(actor for actor, _ in asked.values())]:
                _end(ray, actor)

    def _begin(self, job: Job, recipe: Any) -> Any:
        """An actor, once the cluster has room for it."""
        cuda = (job.settings.device or "").startswith("cuda")
        kind = self._ray.remote(num_cpus=self.threads, num_gpus=1 if cuda else 0)(_Actor)
        return kind.remote(recipe, self.threads)


class _Actor:
    """A worker on a node. Its answers are exceptions where something was wrong: Ray would wrap
    those that are raised in words of its own."""

    def __init__(self, recipe: Recipe, threads: int) -> None:
        self._recipe, self._threads = recipe, threads

    def begin(self) -> Exception | None:
        """Load the models."""
        try:
            self._desk = open_worker(self._recipe, self._threads, 0)
        except Exception as error:
            return sendable(error)
        return None

    def do(self, task: Task) -> FinishedSample | PartialVotes | Exception:
        """One task."""
        try:
            return self._desk.do(task, lambda draws: None)
        except Exception as error:
            return sendable(error)


def _draws(task: Task, job: Job) -> int:
    if task.draws is None:
        return job.settings.draws
    start, stop = task.draws
    return stop - start


def _knock(address: str) -> None:
    """Raise OSError where nobody answers at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_TO_ANSWER).close()


def _end(ray: Any, actor: Any) -> None:
    # Of one that is gone already, or a cluster that is.
    with contextlib.suppress(Exception):
        ray.kill(actor)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _connected(address: str) -> Any:
    """Ray, in touch with the cluster; it is left as it is where this process already is."""
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise InputError(
            "expected Ray for --ray, got none installed; pip install 'certiseg[ray]'"
        ) from None
    # Ray would otherwise tell its makers of every cluster it starts.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not ray.is_initialized():
        own = {"include_dashboard": False} if address == LOCAL else {}
        ending = signal.getsignal(signal.SIGTERM)
        try:
            _knock(address)
            ray.init(address, **own, log_to_driver=False, logging_level="ERROR")
        # It may fail in any way: no such host, another version, no answer.
        except Exception as error:
            raise InputError(
                f"expected a Ray cluster at {address!r}, got none ({_line(error)}); start one with "
                "ray start --head, or pass local"
            ) from None
        finally:
            # Ray puts a handler of its own there, after which no run would say how it ended.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, ending)
    return ray
