"""How another process comes by the same job: models by their names, and proof that they are."""

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
    """How a model was opened, and the fingerprint of what came of it."""

    name: str
    arguments: dict[str, Any]
    fingerprint: str

    @staticmethod
    def of(loaded: LoadedModel) -> Opening:
        """Raises InputError for a model that was not opened by its name."""
        if loaded.opening is None:
            raise InputError(
                f"expected a model that workers can load by its name, got {loaded.name}, made in "
                "this process; open it with certiseg.load_model"
            )
        return Opening(loaded.name, dict(loaded.opening), identity(loaded))

    def open(self) -> LoadedModel:
        """The same model. Raises InputError where the name gives another one, or none."""
        loaded = open_model(**self.arguments)
        if identity(loaded) != self.fingerprint:
            raise InputError(
                f"expected {self.name} to be the same model each time it is loaded, got other "
                "weights or functions; load its weights from a file, or fix its seed"
            )
        return loaded


@dataclass(frozen=True)
class Recipe:
    """What makes a job in another process. job: without its models; folder: where names of files
    and modules lead from."""

    job: Job
    openings: Mapping[str, Opening]
    folder: str

    @staticmethod
    def of(job: Job) -> Recipe:
        """Raises InputError for a model that was not opened by its name."""
        openings = {part: Opening.of(loaded) for part, loaded in job.models.items()}
        return Recipe(replace(job, models={}), openings, str(Path.cwd()))

    def worker(self, threads: int, place: int) -> Worker:
        """A worker in this process, which is for nothing else. place: among those of its machine.

        Moves to the folder where there is one, and loads the models. Raises InputError.
        """
        torch.set_num_threads(threads)
        keep_freed_memory()
        if self.job.device == "cuda":
            torch.cuda.set_device(place % torch.cuda.device_count())
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        models: dict[str, LoadedModel] = {}
        for part, opening in self.openings.items():
            # One model may have several parts.
            same = next((p for p in models if self.openings[p] == opening), None)
            models[part] = opening.open() if same is None else models[same]
        return replace(self.job, models=models).worker()


def identity(loaded: LoadedModel) -> str:
    """What tells the model as it was loaded: its fingerprint, and of what the user's code made also
    that code, which makes alike what no fingerprint sees."""
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
    # Whatever goes wrong: it is somebody else's exception.
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
