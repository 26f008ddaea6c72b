"""``Recipe``: rebuilds a job in another process, loading models by name and checking their
fingerprints."""

from __future__ import annotations

import hashlib
import os
import pickle
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.own_code import own_failure
from certiseg.runs.executors.executor import Job, Worker
from certiseg.runs.malloc import keep_freed_memory
from certiseg.runs.model import open_model
from certiseg.sampling.fingerprint import made_by, model_fingerprint


@dataclass(frozen=True)
class Opening:
    """How a model was loaded, and its fingerprint."""

    name: str
    arguments: dict[str, Any]
    fingerprint: str

    @staticmethod
    def of(loaded: LoadedModel) -> Opening:
        """Opening of a loaded model. Raises InputError if it was not loaded by name."""
        if loaded.opening is None:
            raise InputError(
                f"expected a model that workers can load by its name, got {loaded.name}, made in "
                "this process; open it with certiseg.load_model"
            )
        return Opening(loaded.name, dict(loaded.opening), identity(loaded))

    def open(self) -> LoadedModel:
        """Load the model again. Raises InputError if this fails or gives another model."""
        loaded = open_model(**self.arguments)
        if identity(loaded) != self.fingerprint:
            raise InputError(
                f"expected {self.name} to be the same model each time it is loaded, got other "
                "weights or functions; load its weights from a file, or fix its seed"
            )
        return loaded


@dataclass(frozen=True)
class Recipe:
    """A job for another process. job: without models. folder: base of relative names."""

    job: Job
    openings: Mapping[str, Opening]
    folder: str

    @staticmethod
    def of(job: Job) -> Recipe:
        """Recipe of a job. Raises InputError for a model that was not loaded by name."""
        openings = {part: Opening.of(loaded) for part, loaded in job.models.items()}
        return Recipe(replace(job, models={}), openings, str(Path.cwd()))

    def worker(self, threads: int, place: int) -> Worker:
        """Set up this process as a worker: change to the folder if it exists, load the models.

        place: index of the worker on its machine. Raises InputError as ``Opening.open``.
        """
        torch.set_num_threads(threads)
        keep_freed_memory()
        if self.job.device == "cuda":
            torch.cuda.set_device(place % torch.cuda.device_count())
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        models: dict[str, LoadedModel] = {}
        for part, opening in self.openings.items():
            # One model may have several roles.
            same = next((p for p in models if self.openings[p] == opening), None)
            models[part] = opening.open() if same is None else models[same]
        return replace(self.job, models=models).worker()


def identity(loaded: LoadedModel) -> str:
    """Identity of a loaded model: its fingerprint and, if the user's code made it, that code, which
    determines what the fingerprint does not cover."""
    if loaded.origin is None:
        return model_fingerprint(loaded.model)[0]
    made_by(loaded.model, loaded.origin)
    found = f"{loaded.origin.text} {model_fingerprint(loaded.model)[0]}"
    return hashlib.sha256(found.encode()).hexdigest()


def sendable(error: Exception) -> Exception:
    """The error with its traceback as a note, in words that say where the user's own code failed;
    where it cannot be sent, one with its words."""
    where = "in a worker:\n" + "".join(traceback.format_exception(error))
    failure = None if isinstance(error, InputError) else own_failure(error)
    if failure is not None:
        error = InputError(failure)
    error.add_note(where)
    try:
        pickle.loads(pickle.dumps(error))
    # Exceptions of other libraries can fail to pickle in any way.
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
