"""A loaded model with its name and facts about its classes and inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from torch import Tensor, nn

from certiseg.binary import CLASSES, BinaryOutput
from certiseg.datasets.card import Colour
from certiseg.errors import InputError
from certiseg.models.class_names import stated_names
from certiseg.own_code import failed_at, reason

Kind = Literal["images", "clouds", "volumes"]


@dataclass(frozen=True)
class Origin:
    """The user's code that made a model: its spec, and SHA-256 of its files by name."""

    spec: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return f"{self.spec} {sorted(self.files.items())}"


@dataclass(frozen=True)
class LoadedModel:
    """A base model: callable (B, channels, *size) -> logits (B, classes, *size), or labels
    (B, *size), of images or volumes in [0, 1] or of point clouds.

    num_classes, classes, palette, channels, kind: None if not known. parts: for clouds, the labels
    of each category. binary: how its declared binary output is
    read; maps: names of the maps of a multi-label one, where known. notes: notes for the user
    before a run. origin: for a model made by the user's code. opening: arguments of
    ``runs.model.open_model`` by which any process can load it again.
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
        """From a model's attributes num_classes, classes, palette and parts; channels and notes,
        which have other meanings in other libraries, only with a ``kind`` that is a ``Kind``."""
        known = getattr(model, "num_classes", None)
        number = known if isinstance(known, int) else None
        facts: dict[str, Any] = {}
        if getattr(model, "kind", None) in get_args(Kind):
            fields = ("kind", "channels", "notes")
            facts = {name: getattr(model, name) for name in fields if hasattr(model, name)}
        elif callable(getattr(model, "of", None)):
            facts = {"kind": "clouds"}
        stated, binary = stated_names(model), declared(model)
        if stated is not None:
            facts |= stated._asdict()
            if number not in (None, len(stated.classes)):
                raise InputError(
                    f"expected {number} names of classes, as many as num_classes of {name}, got "
                    f"{len(stated.classes)}; correct the attributes of the model"
                )
            number = len(stated.classes)
        if binary is not None:
            number, facts["classes"] = 2, facts.get("classes") or CLASSES
        parts = getattr(model, "parts", None)
        return cls(name, model, number, parts=parts, binary=binary, **facts)

    def of(self, category: str | None) -> nn.Module | Callable[..., Any]:
        """The model for samples of this category; the model itself if it has no categories.

        Raises InputError for an unknown category, and for a missing one.
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
    """The model that foreign code returns, in evaluation mode. Raises InputError for anything
    else."""
    try:
        model = make()
        if isinstance(model, nn.Module):
            # Of the class: an attribute of that name would hide the method. Programs of
            # torch.export have no mode to set; sampling checks what they do.
            with suppress(NotImplementedError):
                type(model).eval(model)
    except InputError as error:
        place = failed_at(error)
        if place is None:
            raise
        raise InputError(f"{error} ({place})") from error
    except Exception as error:  # it may fail in any way
        raise InputError(
            f"expected {what} to return a model, got {reason(error)}; {remedy}"
        ) from error
    if isinstance(model, LoadedModel):
        return model
    if fault := _fault(model):
        raise InputError(f"expected {what} to return a callable model, got {fault}")
    return model


def _fault(made: Any) -> str | None:
    """Description of a value that is not a model, and the remedy; None for a model."""
    kind = type(made).__name__
    if isinstance(made, type):
        return f"the class {made.__name__}; return an instance, {made.__name__}(...)"
    if callable(made):
        return None
    if made is None:
        return "None; end the function with: return model"
    if inspect.iscoroutine(made):
        made.close()
        return "a coroutine; write def without async"
    if isinstance(made, Mapping) and any(isinstance(value, Tensor) for value in made.values()):
        return (
            f"weights without their network ({kind}); build the network, load them by "
            "load_state_dict and return the network"
        )
    return f"{kind}; return an nn.Module or a function of a batch"


def name_of(model: object) -> str:
    """Name of a model in statements."""
    named = getattr(model, "model_name", None) or getattr(model, "__qualname__", None)
    return str(named or type(model).__qualname__)


def take_over(wrapper: nn.Module, model: object, *others: object) -> None:
    """Take over the model's facts about its classes, and training mode, so that it is noticed."""
    parts = (model, *others)
    wrapper.training = any(getattr(part, "training", False) is True for part in parts)
    for name in ("num_classes", "config"):
        if hasattr(model, name):
            setattr(wrapper, name, getattr(model, name))
    if (binary := declared(model)) is not None:
        wrapper.binary = binary  # type: ignore[assignment]


def declared(model: object) -> BinaryOutput | None:
    """The binary output declared by a ``Binary`` inside the model, or None."""
    found = getattr(model, "binary", None)
    return found if isinstance(found, BinaryOutput) else None
