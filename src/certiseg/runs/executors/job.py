"""What is fixed of a run, and how another process comes by the same."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certiseg.datasets.card import Card
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runs.model import open_model
from certiseg.runs.settings import Settings
from certiseg.sampling.fingerprint import made_by, model_fingerprint


@dataclass(frozen=True)
class Job:
    """The models, the settings with the run's seed, and what samples are of."""

    loaded: LoadedModel
    plain: LoadedModel | None
    settings: Settings
    card: Card
    percentile: bool = False

    def recipe(self) -> Recipe:
        """For processes that load the models by their names."""
        return Recipe(
            loaded=Opening.of(self.loaded),
            plain=None if self.plain is None else Opening.of(self.plain),
            settings=self.settings,
            card=self.card,
            percentile=self.percentile,
            folder=str(Path.cwd()),
        )


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
                "this process; open it with certiseg.runs.model.open_model"
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
    """What makes a job in another process. folder: where names of files and modules lead from."""

    loaded: Opening
    plain: Opening | None
    settings: Settings
    card: Card
    percentile: bool
    folder: str

    def job(self) -> Job:
        """Moves to the folder where there is one, and loads the models. Raises InputError."""
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        return Job(
            loaded=self.loaded.open(),
            plain=None if self.plain is None else self.plain.open(),
            settings=self.settings,
            card=self.card,
            percentile=self.percentile,
        )


def identity(loaded: LoadedModel) -> str:
    """What tells the model as it was loaded: its fingerprint, and of what the user's code made also
    that code, which makes alike what no fingerprint sees."""
    if loaded.origin is None:
        return model_fingerprint(loaded.model)[0]
    made_by(loaded.model, loaded.origin)
    found = f"{loaded.origin.text} {model_fingerprint(loaded.model)[0]}"
    return hashlib.sha256(found.encode()).hexdigest()
