"""From the word after --model to a model in eval mode, with what is known about its classes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from certiseg.datasets.card import Colour
from certiseg.errors import InputError
from certiseg.models.huggingface import is_hf_folder, load_hf
from certiseg.models.pointnet.published import load_shapenet
from certiseg.models.shipped import load_shipped, shipped
from certiseg.models.stored import CARD_FILE, Trained, TrainedClouds, TrainedDenoiser, load_folder

FORMS = (
    "certiseg:NAME (shipped), python:MODULE:FUNCTION, a local Hugging Face folder, a folder "
    "that certiseg train or train-clouds wrote, or pointnet2:CHECKPOINT.pth"
)


@dataclass(frozen=True)
class LoadedModel:
    """A base model: callable (B, channels, *size) -> logits (B, classes, *size), or labels
    (B, *size), of pictures in [0, 1] or of point clouds.

    num_classes, classes, palette, channels: None where the source does not tell. kind: "pictures",
    "clouds" or None. parts: of clouds, the labels of each category the model knows.
    """

    name: str
    model: nn.Module | Callable[..., Any]
    num_classes: int | None = None
    classes: tuple[str, ...] | None = None
    palette: tuple[Colour, ...] | None = None
    channels: int | None = None
    kind: str | None = None
    parts: Mapping[str, tuple[int, ...]] | None = None

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


def resolve_model(spec: str) -> LoadedModel:
    """Load the model that `spec` names; modules come back in eval mode.

    python:MODULE:FUNCTION runs code of the user's: FUNCTION() returns the model, and the current
    folder is importable; for clouds it takes them as they are, or has ``.of(category)``.
    Raises InputError that lists the forms.
    """
    if spec.startswith("certiseg:"):
        return _trained(spec, load_shipped(spec.removeprefix("certiseg:")))
    if spec.startswith("python:"):
        return _python(spec)
    if spec.startswith("pointnet2:"):
        return _published(spec)
    path = Path(spec)
    if path.is_file() and path.suffix == ".safetensors":
        return _trained(spec, load_folder(path))
    if path.is_dir():
        # Both kinds of folder are told apart by their own card, never by their weights' name.
        if (path / CARD_FILE).is_file():
            return _trained(spec, load_folder(path))
        if is_hf_folder(path):
            found = load_hf(path)
            return LoadedModel(
                spec,
                found,
                found.num_classes,
                found.classes,
                channels=found.channels,
                kind="pictures",
            )
    names = ", ".join(f"certiseg:{name}" for name in shipped())
    raise InputError(f"expected a model as {FORMS}, got {spec!r}; shipped are {names or 'none'}")


def resolve_denoiser(spec: str) -> nn.Module | Callable[..., Any]:
    """Load the denoiser that `spec` names, in eval mode.

    certiseg:NAME, python:MODULE:FUNCTION, or a folder that certiseg train denoiser wrote.

    Raises InputError for anything else, and for a segmentation model.
    """
    if spec.startswith("python:"):
        return _python(spec).model
    if spec.startswith("certiseg:"):
        found = load_shipped(spec.removeprefix("certiseg:"))
    elif (Path(spec) / CARD_FILE).is_file() or Path(spec).suffix == ".safetensors":
        found = load_folder(Path(spec))
    else:
        raise InputError(
            "expected a denoiser as certiseg:NAME, python:MODULE:FUNCTION, or a folder that "
            f"certiseg train denoiser wrote, got {spec!r}; check the path"
        )
    if not isinstance(found, TrainedDenoiser):
        raise InputError(
            f"expected a denoiser, got {spec}, which segments; pass it as the model itself"
        )
    return found


def reason(error: BaseException) -> str:
    """What went wrong in somebody else's code, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _trained(spec: str, model: Trained) -> LoadedModel:
    if isinstance(model, TrainedDenoiser):
        raise InputError(
            f"expected a segmentation model, got the denoiser {spec}; pass it as --denoiser beside "
            "a model"
        )
    card = model.card
    parts = model.parts if isinstance(model, TrainedClouds) else None
    return LoadedModel(
        name=spec,
        model=model,
        num_classes=model.num_classes,
        classes=tuple(card["classes"]),
        palette=tuple((r, g, b) for r, g, b in card["palette"]),
        channels=card["channels"],
        kind="pictures" if parts is None else "clouds",
        parts=parts,
    )


def _published(spec: str) -> LoadedModel:
    model = load_shapenet(Path(spec.removeprefix("pointnet2:")))
    return LoadedModel(
        spec,
        model,
        model.num_classes,
        channels=model.network.plan.channels,
        kind="clouds",
        parts=model.parts,
    )


def _python(spec: str) -> LoadedModel:
    parts = spec.split(":")
    if len(parts) != 3 or not all(parts):
        raise InputError(
            f"expected python:MODULE:FUNCTION, got {spec!r}; for example python:mymodels:build"
        )
    _, module_name, function_name = parts
    here = str(Path.cwd())
    # An installed command, unlike `python script.py`, does not see the current folder.
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    # The user's own code may fail in any way; one line says which.
    except Exception as error:
        raise InputError(
            f"expected an importable module {module_name!r}, got {reason(error)}; "
            "run in its folder, install or correct it"
        ) from None
    build = getattr(module, function_name, None)
    if not callable(build):
        raise InputError(
            f"expected a function {function_name!r} in module {module_name!r}, got "
            f"{type(build).__name__}; it takes nothing and returns the model"
        )
    try:
        model = build()
    except Exception as error:
        raise InputError(
            f"expected {spec} to return a model, got {reason(error)}; correct the function"
        ) from None
    if not callable(model):
        raise InputError(
            f"expected {spec} to return a callable model, got {type(model).__name__}; "
            "return an nn.Module or a function of a batch"
        )
    if isinstance(model, nn.Module):
        model.eval()
    known = getattr(model, "num_classes", None)
    return LoadedModel(
        spec,
        model,
        known if isinstance(known, int) else None,
        kind="clouds" if callable(getattr(model, "of", None)) else None,
        parts=getattr(model, "parts", None),
    )
