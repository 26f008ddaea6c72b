"""What a worker process runs: the job from its recipe, then one task after another."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from certiseg.runs.executors.job import Recipe
from certiseg.runs.executors.task import FinishedSample, PartialVotes
from certiseg.runs.executors.worker import Worker
from certiseg.runs.malloc import keep_freed_memory


@dataclass(frozen=True)
class Ready:
    """The models are loaded."""


@dataclass(frozen=True)
class Advanced:
    """So many more draws are done."""

    draws: int


@dataclass(frozen=True)
class Failed:
    """Doing a task, or loading the models, raised this."""

    error: Exception


Message = Ready | Advanced | Failed | FinishedSample | PartialVotes


def serve(connection: Connection, recipe: Recipe, threads: int, place: int) -> None:
    """Answer tasks until the connection ends. place: of this worker among its fellows."""
    try:
        worker = open_worker(recipe, threads, place)
        connection.send(Ready())
        while (task := connection.recv()) is not None:
            connection.send(worker.do(task, lambda draws: connection.send(Advanced(draws))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # The run has ended without this worker.
    except Exception as error:
        connection.send(Failed(sendable(error)))


def open_worker(recipe: Recipe, threads: int, place: int) -> Worker:
    """A worker in this process, which is for nothing else. Raises InputError."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    if recipe.settings.device == "cuda":
        torch.cuda.set_device(place % torch.cuda.device_count())
    return Worker(recipe.job())


def sendable(error: Exception) -> Exception:
    """The error with its traceback as a note; where it cannot be sent, one with its words."""
    error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    # Whatever goes wrong: it is somebody else's exception.
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
