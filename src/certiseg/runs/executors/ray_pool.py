"""``RayExecutor``: actors of a Ray cluster."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from certiseg.errors import InputError
from certiseg.runs.executors.executor import Job, Progress, Results, Task, check_numbers
from certiseg.runs.executors.pool import Advanced, Lost, Pool, Ready, Remote
from certiseg.runs.executors.recipe import Recipe, sendable

LOCAL = "local"
_PATIENCE = 600.0
_TURN, _TO_ANSWER = 1.0, 10.0


class RayExecutor(Pool):
    """Actors of a Ray cluster, each of which loads the models by name.

    A lost actor is replaced if the cluster has room; otherwise the others continue. Inputs are sent
    to the actors; nodes need certiseg and the models under the same names. Draws are reported when
    their task is done.

    Args:
        address: of the cluster; "local" starts one on this machine.
        size: number of actors; default: as many as the cluster has room for.
        threads: CPUs of each actor; with device "cuda" each also takes a GPU.
        patience: seconds without any actor after which the run fails.

    Raises:
        InputError: without Ray, without a cluster at the address, or for a number below 1.
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
        self.patience, self.threads = patience, threads or 1
        room = int(self._ray.cluster_resources().get("CPU", 0)) // self.threads
        self.size = size or max(1, room)

    def work(self, job: Job, tasks: Any, advance: Progress) -> Results:
        """See ``Executor.work``."""
        cuda = (job.device or "").startswith("cuda")
        self._kind = self._ray.remote(num_cpus=self.threads, num_gpus=int(cuda))(_Actor)
        return super().work(job, tasks, advance)

    def begin(self, recipe: Recipe, place: int) -> _Handle:
        """See ``Pool``; the actor starts once the cluster has room for it."""
        return _Handle(self._ray, self._kind.remote(recipe, self.threads), place)

    def answers(self, busy: Sequence[_Handle]) -> Iterator[tuple[_Handle, Any]]:
        """See ``Pool``."""
        ray, asked = self._ray, {worker.asked: worker for worker in busy}
        for answer in ray.wait(list(asked), timeout=_TURN)[0]:
            worker = asked[answer]
            try:
                draws, result = ray.get(answer)
            except ray.exceptions.RayTaskError as error:
                yield (
                    worker,
                    InputError(
                        "expected certiseg and its model on every node, got "
                        f"{_line(error.cause)}; install what this node has"
                    ),
                )
            except ray.exceptions.RayError as error:
                yield worker, Lost(_line(error))
            else:
                if draws:
                    yield worker, Advanced(draws)
                yield worker, result

    def crowded(self) -> NoReturn:
        """See ``Pool``."""
        raise InputError(
            f"expected room for a worker with {self.threads} threads on the cluster, "
            f"got none for {self.patience:g} s; add nodes or take fewer --threads, "
            "then --resume"
        )


class _Handle(Remote):
    """asked: Ray's reference to the pending answer."""

    def __init__(self, ray: Any, actor: Any, place: int) -> None:
        self.place, self._ray, self._actor = place, ray, actor
        self.asked = actor.begin.remote()

    def give(self, task: Task) -> None:
        self.asked = self._actor.do.remote(task)

    def end(self) -> None:
        # The actor or the cluster may be gone already.
        with contextlib.suppress(Exception):
            self._ray.kill(self._actor)


class _Actor:
    """A worker on a node. Its answers are (draws, result); exceptions are returned as results,
    since Ray would wrap them."""

    def __init__(self, recipe: Recipe, threads: int) -> None:
        self._recipe, self._threads = recipe, threads

    def begin(self) -> tuple[int, Any]:
        """Load the models."""
        try:
            self._worker = self._recipe.worker(self._threads, 0)
        except Exception as error:
            return 0, sendable(error)
        return 0, Ready()

    def do(self, task: Task) -> tuple[int, Any]:
        """Execute a task."""
        draws: list[int] = []
        try:
            result = self._worker.do(task, draws.append)
        except Exception as error:
            result = sendable(error)
        return sum(draws), result


def _knock(address: str) -> None:
    """Raise OSError if nothing answers at HOST:PORT, since Ray would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_TO_ANSWER).close()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _connected(address: str) -> Any:
    """Import Ray and connect to the cluster, unless this process is already connected."""
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise InputError(
            "expected Ray for --ray, got none installed; pip install 'certiseg[ray]'"
        ) from None
    # By default Ray reports usage statistics over the network.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not ray.is_initialized():
        options = {"include_dashboard": False} if address == LOCAL else {}
        ending = signal.getsignal(signal.SIGTERM)
        try:
            _knock(address)
            ray.init(address, **options, log_to_driver=False, logging_level="ERROR")
        # Connecting can raise anything: unknown host, another version, no answer.
        except Exception as error:
            raise InputError(
                f"expected a Ray cluster at {address!r}, got none ({_line(error)}); start one with "
                "ray start --head, or pass local"
            ) from None
        finally:
            # Ray installs a handler of its own, which would hide how a run ended.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, ending)
    return ray
