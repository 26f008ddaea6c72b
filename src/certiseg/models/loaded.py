"""A model as a command knows it: what it is called, and what is known about its classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from certiseg.datasets.card import Colour
from certiseg.errors import InputError


@dataclass(frozen=True)
class Origin:
    """The user's code that made a model: what named it, and SHA-256 of its files by name."""

    spec: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return f"{self.spec} {sorted(self.files.items())}"


@dataclass(frozen=True)
class LoadedModel:
    """A base model: callable (B, channels, *size) -> logits (B, classes, *size), or labels
    (B, *size), of pictures in [0, 1] or of point clouds.

    num_classes, classes, palette, channels: None where the source does not tell. kind: "pictures",
    "clouds" or None. parts: of clouds, the labels of each category the model knows. notes: what is
    well but should be known before a run. origin: of what the user's code made, what made it.
    opening: arguments of ``runs.model.open_model`` that give the model again, in any process.
    """

    name: str
    model: nn.Module | Callable[..., Any]
    num_classes: int | None = None
    classes: tuple[str, ...] | None = None
    palette: tuple[Colour, ...] | None = None
    channels: int | None = None
    kind: str | None = None
    parts: Mapping[str, tuple[int, ...]] | None = None
    notes: tuple[str, ...] = ()
    origin: Origin | None = None
    opening: Mapping[str, Any] | None = None

    def of(self, category: str | None) -> nn.Module | Callable[..., Any]:
        """What labels samples of this category; the model itself where it knows no categories.

        Raises InputError for a category that the model does not know, or none where it needs one.
        """
        choose = getattr(self.model, "of", None)
        if not callable(choose):
            return self.model
        if category is None:
            raise InputError(
                f"expected samples with a category for {self.name}, got none; use a data set of "
                "clouds with parts"
            )
        return choose(category)


def reason(error: BaseException) -> str:
    """What went wrong in somebody else's code, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
