"""The interface between the training loop and its tasks: images, clouds and denoisers."""

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
"""The model as called by losses: in the training's precision, on all processes."""


class Measured(Protocol):
    """Result of a validation: a score (higher is better), and a description."""

    @property
    def score(self) -> float: ...
    def words(self) -> str: ...


@dataclass(frozen=True)
class Figures:
    """Accuracy and mIoU pooled over all labelled pixels or points of a data set."""

    accuracy: float
    miou: float

    @property
    def score(self) -> float:
        """The score for choosing a checkpoint."""
        return self.miou

    def words(self) -> str:
        """A description for the line printed after a validation."""
        return f"accuracy {share_down(self.accuracy)}, mIoU {share_down(self.miou)}"

    @classmethod
    def pooled(cls, counts: Iterable[Confusion]) -> Figures:
        """Pool the counts of parts of the data set, at least one."""
        total = reduce(add, counts)
        return cls(float(total.accuracy), float(total.miou))


class Task(ABC):
    """One kind of training: its data, loss, validation, and its part of the card.

    To add one, write a subclass and a record in ``training.settings``. model: the class that is
    trained, made from a card. about: name, source, licence and channels of the data. inputs: the
    plural noun for them; size: their number in the training split. parallel: whether torchrun may
    start several processes. check: what the error about a loss that is not finite suggests to
    check, beside --lr.
    """

    model: ClassVar[type[Trained]]
    command: ClassVar[str]
    inputs: ClassVar[str] = "images"
    parallel: ClassVar[bool] = True
    check: ClassVar[str]
    settings: Settings
    about: Card | ImageFolder
    size: int

    @abstractmethod
    def prepare(self, device: torch.device) -> None:
        """Read the data. Raises InputError for data that cannot be trained on."""

    def notes(self) -> list[str]:
        """Warnings about the data, after they were read."""
        return []

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.size / self.settings.batch_size)

    @abstractmethod
    def losses(self, forward: Forward, randomness: Randomness) -> Iterator[Tensor]:
        """Yield the losses of one epoch, steps_per_epoch of them, each computed on demand with the
        model in training mode.

        All randomness comes from `randomness`.
        """

    @abstractmethod
    def validate(self, model: nn.Module) -> Measured:
        """Validate the averaged model."""

    def facts(self) -> dict[str, Any]:
        """Settings and data that must be the same on resuming, beside the numbers of inputs and
        processes."""
        return {"data": self.about.name, **asdict(self.settings)}

    @abstractmethod
    def describe_model(self) -> dict[str, Any]:
        """Architecture of the model and meaning of its outputs, to rebuild it."""

    @abstractmethod
    def describe_figures(self, stored: nn.Module) -> dict[str, Any]:
        """Metrics of the weights as stored."""

    @abstractmethod
    def describe_splits(self) -> dict[str, Any]:
        """The role of each split, and how the checkpoint was chosen."""

    def describe_training(self) -> dict[str, Any]:
        """The settings without those of the architecture."""
        return {k: v for k, v in asdict(self.settings).items() if k not in ("widths", "blocks")}

    @abstractmethod
    def page(self, card: dict[str, Any]) -> str:
        """CARD.md as text."""

    @abstractmethod
    def summary(self, card: dict[str, Any]) -> list[str]:
        """Last lines printed by the command."""
