"""The options that name a model and complete what its source says, shared by commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certiseg.cli import options
from certiseg.cli.method import in_place_of, parameters
from certiseg.cli.numbers import numbers_of, size_of
from certiseg.errors import InputError
from certiseg.screen import remark

if TYPE_CHECKING:
    from certiseg.models.loaded import LoadedModel

Command = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The options as they were typed; ``runs.model.open_model`` explains them."""

    model: options.Model
    denoiser: Annotated[
        str | None,
        typer.Option(
            help="Denoiser before an image model that was trained without noise: certiseg:NAME, "
            "python:module:function, or what certiseg train denoiser wrote."
        ),
    ] = None
    num_classes: options.NumClasses = None
    binary: options.Binary = None
    multi_label: Annotated[
        bool,
        typer.Option(
            "--multi-label", help="With --binary: each channel is a separate map; maps may overlap."
        ),
    ] = False
    names: Annotated[
        Path | None,
        typer.Option(
            help="Text file: the name of a class a line, and a colour or none: road, road #804080 "
            "or road 128 64 128."
        ),
    ] = None
    channels: options.Channels = None
    scale: Annotated[
        str | None,
        typer.Option("--scales", help="Scales of the model's input: 0.5, or several, 0.25,0.5,1."),
    ] = None
    flip: Annotated[
        bool, typer.Option("--flip", help="Average the model over images and mirrored images.")
    ] = False
    resize: Annotated[
        str | None,
        typer.Option(
            help="HEIGHTxWIDTH that images are resized to for the model; labels keep the image's "
            "size."
        ),
    ] = None
    windows: Annotated[
        int | None,
        typer.Option(
            help="Label each square (or cube) of this side from a window around it alone: the "
            "radius then counts inside each window (T17)."
        ),
    ] = None
    margin: Annotated[
        int | None, typer.Option(help="Width of a window beyond its core; default 64.")
    ] = None

    def load(self) -> LoadedModel:
        """Load the model, and print its notes to standard error. Raises InputError."""
        from certiseg.models.class_names import read_names
        from certiseg.runs.model import open_model

        if self.margin is not None and self.windows is None:
            raise InputError(
                f"expected --windows with --margin {self.margin}, got none; name their size"
            )
        windowed = {} if self.margin is None else {"margin": self.margin}
        loaded = open_model(
            self.model,
            num_classes=self.num_classes,
            channels=self.channels,
            scales=None if self.scale is None else numbers_of("--scales", self.scale),
            flip=self.flip,
            denoiser=self.denoiser,
            resize=size_of(self.resize, "--resize"),
            windows=self.windows,
            **windowed,
            binary=self.binary,
            multi_label=self.multi_label,
            names=None if self.names is None else read_names(self.names),
        )
        for note in loaded.notes:
            remark(f"note: {note}")
        return loaded

    def beside(self, name: str) -> LoadedModel:
        """Load another model under the same options, without what protects this one: denoiser and
        windows. Raises InputError."""
        return replace(self, model=name, denoiser=None, windows=None, margin=None).load()

    def load_if_named(self, also: str | None = None) -> LoadedModel | None:
        """Load the model, or return None without --model.

        also: field that makes sense without a model. Raises InputError if another one is given
        without.
        """
        if self.model:
            return self.load()
        for field in fields(self):
            if field.name not in ("model", also) and getattr(self, field.name) != field.default:
                flag = _FLAGS.get(field.name, f"--{field.name.replace('_', '-')}")
                raise InputError(
                    f"expected --model with {flag}, got none; name a model, or leave {flag} out"
                )
        return None


_FLAGS = {"scale": "--scales"}


def with_model(optional: str | None = None) -> Callable[[Command], Command]:
    """Decorator that replaces the parameter ``model`` of a command by the options of a model; the
    command gets them as ModelOptions.

    optional: help text of --model for a command that works without one.
    """
    shared = parameters(ModelOptions)
    if optional is not None:
        option = Annotated[str, typer.Option("--model", "-m", help=optional, show_default=False)]
        shared["model"] = shared["model"].replace(default="", annotation=option)
    return in_place_of("model", shared, lambda given: ModelOptions(**given))
