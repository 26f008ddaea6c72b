"""What a training is of: the seam between the one trainer and pictures, clouds and denoisers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from certiseg.datasets.card import Card
from certiseg.datasets.folder import ImageFolder
from certiseg.metrics.confusion import Confusion
from certiseg.models.serialization import Trained
from certiseg.rounding import share_down
from certiseg.training.randomness import Randomness
from certiseg.training.settings import Settings

Forward = Callable[..., Tensor]
"""The model as losses are to call it: in the training's precision, on all its processes."""


class Measured(Protocol):
    """What a validation found: a score, the higher the better, and words for a line."""

    @property
    def score(self) -> float: ...
    def words(self) -> str: ...


@dataclass(frozen=True)
class Figures:
    """Pooled over all labelled pixels or points of a data set."""

    accuracy: float
    miou: float

    @property
    def score(self) -> float:
        """What checkpoints are chosen by."""
        return self.miou

    def words(self) -> str:
        """For the line of a validation."""
        return f"accuracy {share_down(self.accuracy)}, mIoU {share_down(self.miou)}"

    @classmethod
    def pooled(cls, counts: Iterable[Confusion]) -> Figures:
        """Of counts of parts of the data set, at least one."""
        total = reduce(add, counts)
        return cls(float(total.accuracy), float(total.miou))


class Task(ABC):
    """One kind of training: its data, loss, validation, and its part of the card.

    To add one, write a subclass and a record in ``training.settings``. model: what is trained, made
    from a card. about: name, source, licence and channels of the data. inputs: what they are
    counted in; size: how many there are to learn from. parallel: whether torchrun may start several
    processes. check: what to look at beside --lr where a loss stops being finite.
    """

    model: ClassVar[type[Trained]]
    command: ClassVar[str]
    inputs: ClassVar[str] = "pictures"
    parallel: ClassVar[bool] = True
    check: ClassVar[str]
    settings: Settings
    about: Card | ImageFolder
    size: int

    @abstractmethod
    def prepare(self, device: torch.device) -> None:
        """Read the data. Raises InputError for what cannot be learnt from."""

    def notes(self) -> list[str]:
        """What is no error but should be known of the data, once they were read."""
        return []

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.size / self.settings.batch_size)

    @abstractmethod
    def losses(self, forward: Forward, randomness: Randomness) -> Iterator[Tensor]:
        """Those of an epoch's batches, steps_per_epoch of them, each computed when its turn comes,
        with the model in training mode; all chance in them comes from `randomness`."""

    @abstractmethod
    def validate(self, model: nn.Module) -> Measured:
        """Scores of the averaged model, by which checkpoints are chosen."""

    def facts(self) -> dict[str, Any]:
        """What must be the same when an interrupted training resumes, beside the numbers of inputs
        and of processes."""
        return {"data": self.about.name, **asdict(self.settings)}

    @abstractmethod
    def describe_model(self) -> dict[str, Any]:
        """What rebuilds the model: its architecture, and what its outputs mean."""

    @abstractmethod
    def describe_figures(self, stored: nn.Module) -> dict[str, Any]:
        """Figures of the weights as stored."""

    @abstractmethod
    def describe_splits(self) -> dict[str, Any]:
        """Which data were for what, and how the checkpoint was chosen."""

    def describe_training(self) -> dict[str, Any]:
        """The settings, but for those that the architecture tells."""
        return {k: v for k, v in asdict(self.settings).items() if k not in ("widths", "blocks")}

    @abstractmethod
    def page(self, card: dict[str, Any]) -> str:
        """CARD.md: the facts of the card for a reader."""

    @abstractmethod
    def summary(self, card: dict[str, Any]) -> list[str]:
        """Lines that the command ends with."""
