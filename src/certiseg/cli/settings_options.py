"""Command-line options made from the fields of a settings record, so that each is declared once."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from certiseg.cli.method import parameters
from certiseg.cli.numbers import size_of, whole_numbers_of
from certiseg.rounding import exact

Command = Callable[..., None]
_QUIET = ("clean", "augment", "consistency", "precision")
"""Fields that a card's command omits at their default."""


def with_fields(settings: type[Any]) -> Callable[[Command], Command]:
    """Decorator that replaces the parameter ``settings`` of a command by an option for each field
    of a dataclass that is annotated with a help text. The record is made before the command runs. A
    help text in the annotation of another parameter makes it an option as well."""
    field_options = _options(settings)

    def decorate(command: Command) -> Command:
        merged: list[inspect.Parameter] = []
        for name, parameter in parameters(command).items():
            if name == "settings":
                merged += [option.parameter for option in field_options.values()]
                continue
            kind, *words = get_args(parameter.annotation)
            if isinstance(words[0], str):
                kind = Annotated[kind, typer.Option(help=words[0])]
                parameter = parameter.replace(annotation=kind)
            merged.append(parameter)

        @functools.wraps(command)
        def wrapped(**given: Any) -> None:
            values = {name: option.value(given.pop(name)) for name, option in field_options.items()}
            command(settings=settings(**values), **given)

        wrapped.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in merged}
        return wrapped

    return decorate


def spelled(
    name: str, others: Mapping[str, object], settings: Any, out: Path, without: Collection[str] = ()
) -> str:
    """The command line of `certiseg NAME` with these options, for the card of a training. Paths are
    shortened to their last part (``training.card.bare``).

    others: options that are not fields of the settings; flags are True or None. without: fields to
    omit.
    """
    from certiseg.training.card import bare

    given = {k: bare(v) if isinstance(v, Path) else v for k, v in others.items()}
    for field, option in _options(type(settings)).items():
        value = getattr(settings, field)
        quiet = field in _QUIET and value == option.field.default
        if value is not None and field not in without and not quiet:
            given[option.flag] = option.text(value)
    given["-o"] = out.resolve().name
    words = [
        (option,) if value is True else (option, str(value))
        for option, value in given.items()
        if value is not None
    ]
    return " ".join(["certiseg", name, *(shlex.quote(word) for pair in words for word in pair)])


def _options(settings: type[Any]) -> dict[str, _Option]:
    hints = get_type_hints(settings, include_extras=True)
    return {
        field.name: _Option(field, *get_args(hints[field.name])[:2])
        for field in fields(settings)
        if get_origin(hints[field.name]) is Annotated
    }


class _Option:
    """One field as a parameter for typer, with conversion of its value from and to text.

    A tuple is text on the command line, HxW or comma-separated numbers; a Literal is one of its
    words.
    """

    def __init__(self, field: Field[Any], kind: Any, words: str) -> None:
        optional = NoneType in get_args(kind)
        kind = next(k for k in get_args(kind) if k is not NoneType) if optional else kind
        self.field, self.flag = field, f"--{field.name.replace('_', '-')}"
        self._pair = get_origin(kind) is tuple and Ellipsis not in get_args(kind)
        self._list = get_origin(kind) is tuple and not self._pair
        shown: Any = str if get_origin(kind) is tuple else kind
        if get_origin(kind) is Literal:
            enumerated: Any = StrEnum
            shown = enumerated(field.name, {word: word for word in get_args(kind)})
        default = field.default
        if isinstance(default, tuple):
            default = self.text(default)
        self.parameter = inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if default is MISSING else default,
            annotation=Annotated[shown | None if optional else shown, typer.Option(help=words)],
        )

    def value(self, given: Any) -> Any:
        """Convert the option's value to the field's type. Raises InputError for invalid text."""
        if self._pair:
            return size_of(given)
        if self._list:
            return whole_numbers_of(self.flag, given)
        return given.value if isinstance(given, StrEnum) else given

    def text(self, value: Any) -> str:
        """Convert the field's value to text."""
        if isinstance(value, tuple):
            return ("x" if self._pair else ",").join(map(str, value))
        return exact(value) if isinstance(value, float) else str(value)
