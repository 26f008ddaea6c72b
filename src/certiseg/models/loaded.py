"""A model as a command knows it: what it is called, and what is known about its classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from torch import nn

from certiseg.binary import CLASSES, BinaryOutput
from certiseg.datasets.card import Colour
from certiseg.errors import InputError

Kind = Literal["pictures", "clouds", "volumes"]


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
    (B, *size), of pictures or volumes in [0, 1] or of point clouds.

    num_classes, classes, palette, channels, kind: None where the source does not tell. parts: of
    clouds, the labels of each category the model knows. binary: how its declared binary output is
    read; maps: names of the maps of a multi-label one, where known. notes: what to tell before a
    run. origin: of a model that the user's code made. opening: arguments of
    ``runs.model.open_model`` that give the model again, in any process.
    """

    name: str
    model: nn.Module | Callable[..., Any]
    num_classes: int | None = None
    classes: tuple[str, ...] | None = None
    palette: tuple[Colour, ...] | None = None
    channels: int | None = None
    kind: Kind | None = None
    parts: Mapping[str, tuple[int, ...]] | None = None
    binary: BinaryOutput | None = None
    maps: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    origin: Origin | None = None
    opening: Mapping[str, Any] | None = None

    @classmethod
    def of_model(cls, name: str, model: nn.Module | Callable[..., Any]) -> LoadedModel:
        """What a model tells about itself: num_classes and parts; and if its attribute ``kind`` is
        a ``Kind``, also classes, palette, channels and notes."""
        known = getattr(model, "num_classes", None)
        told: dict[str, Any] = {}
        if getattr(model, "kind", None) in get_args(Kind):
            fields = ("kind", "classes", "palette", "channels", "notes")
            told = {name: getattr(model, name) for name in fields if hasattr(model, name)}
        elif callable(getattr(model, "of", None)):
            told = {"kind": "clouds"}
        parts, binary = getattr(model, "parts", None), declared(model)
        if binary is not None:
            known, told["classes"] = 2, told.get("classes") or CLASSES
        number = known if isinstance(known, int) else None
        return cls(name, model, number, parts=parts, binary=binary, **told)

    def of(self, category: str | None) -> nn.Module | Callable[..., Any]:
        """What labels samples of this category; the model itself where it knows no categories.

        Raises InputError for a category that the model does not know, or none where it needs one.
        """
        choose: Callable[[str], Callable[..., Any]] | None = getattr(self.model, "of", None)
        if not callable(choose):
            return self.model
        if category is None:
            raise InputError(
                f"expected samples with a category for {self.name}, got none; use a data set of "
                "clouds with parts"
            )
        return choose(category)


class HasCard:
    """Classes and palette of a trained model, from the card beside its weights."""

    card: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.card["classes"])

    @property
    def palette(self) -> tuple[Colour, ...]:
        return tuple((r, g, b) for r, g, b in self.card["palette"])


def made_by_others(make: Callable[[], Any], what: str, remedy: str) -> Any:
    """The model that code of others makes, in evaluation mode; InputError for anything else."""
    try:
        model = make()
    except InputError:
        raise
    except Exception as error:  # it may fail in any way
        found = f"got {reason(error)}; {remedy}"
        raise InputError(f"expected {what} to return a model, {found}") from None
    if not callable(model) and not isinstance(model, LoadedModel):
        raise InputError(
            f"expected {what} to return a callable model, got {type(model).__name__}; "
            "return an nn.Module or a function of a batch"
        )
    if isinstance(model, nn.Module):
        # Programs of torch.export have no mode to set; sampling checks what they do.
        with suppress(NotImplementedError):
            model.eval()
    return model


def reason(error: BaseException) -> str:
    """What went wrong in somebody else's code, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def name_of(model: object) -> str:
    """What statements call a model."""
    named = getattr(model, "model_name", None) or getattr(model, "__qualname__", None)
    return str(named or type(model).__qualname__)


def take_over(wrapper: nn.Module, model: object, *others: object) -> None:
    """What the model states of its classes, and training mode where one of them still trains, so
    that it is noticed."""
    parts = (model, *others)
    wrapper.training = any(bool(getattr(part, "training", False)) for part in parts)
    for name in ("num_classes", "config"):
        if hasattr(model, name):
            setattr(wrapper, name, getattr(model, name))
    if (binary := declared(model)) is not None:
        wrapper.binary = binary  # type: ignore[assignment]


def declared(model: object) -> BinaryOutput | None:
    """The binary output that a model is declared to have, by ``Binary`` inside it."""
    found = getattr(model, "binary", None)
    return found if isinstance(found, BinaryOutput) else None
