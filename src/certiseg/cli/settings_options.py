"""Options made of the fields of a settings record, so that each is said once."""

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
_QUIET = ("consistency", "precision")
"""Left out of a command that is told where they are at their default."""


def with_fields(settings: type[Any]) -> Callable[[Command], Command]:
    """The command with an option for each field of a dataclass whose annotation holds a help text,
    in place of its parameter ``settings``; the record is made before the command runs. A help text
    in the annotation of another parameter makes an option as well."""
    told = _options(settings)

    def decorate(command: Command) -> Command:
        merged: list[inspect.Parameter] = []
        for name, parameter in parameters(command).items():
            if name == "settings":
                merged += [option.parameter for option in told.values()]
                continue
            kind, *words = get_args(parameter.annotation)
            if isinstance(words[0], str):
                kind = Annotated[kind, typer.Option(help=words[0])]
                parameter = parameter.replace(annotation=kind)
            merged.append(parameter)

        @functools.wraps(command)
        def wrapped(**given: Any) -> None:
            values = {name: option.value(given.pop(name)) for name, option in told.items()}
            command(settings=settings(**values), **given)

        wrapped.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in merged}
        return wrapped

    return decorate


def spelled(
    name: str, own: Mapping[str, object], settings: Any, out: Path, without: Collection[str] = ()
) -> str:
    """The command line of `certiseg NAME` with these options, so that a card tells how to repeat
    a run. Of a path only its last part is told (``training.card.bare``).

    own: options that are no fields of the settings; of flags True or None. without: fields that
    play no part.
    """
    from certiseg.training.card import bare

    given = {k: bare(v) if isinstance(v, Path) else v for k, v in own.items()}
    for field, option in _options(type(settings)).items():
        value = getattr(settings, field)
        quiet = field in _QUIET and value == option.field.default
        if value is not None and field not in without and not quiet:
            given[option.flag] = option.text(value)
    given["-o"] = out.resolve().name
    told = [
        (option,) if value is True else (option, str(value))
        for option, value in given.items()
        if value is not None
    ]
    return " ".join(["certiseg", name, *(shlex.quote(word) for pair in told for word in pair)])


def _options(settings: type[Any]) -> dict[str, _Option]:
    hints = get_type_hints(settings, include_extras=True)
    return {
        field.name: _Option(field, *get_args(hints[field.name])[:2])
        for field in fields(settings)
        if get_origin(hints[field.name]) is Annotated
    }


class _Option:
    """One field as a parameter for typer, and the way there and back.

    A tuple is text on the command line, HxW or numbers with commas; a Literal is one of its words.
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
        """What the option's value is in the record. Raises InputError for text that is none."""
        if self._pair:
            return size_of(given)
        if self._list:
            return whole_numbers_of(self.flag, given)
        return given.value if isinstance(given, StrEnum) else given

    def text(self, value: Any) -> str:
        """As it is typed."""
        if isinstance(value, tuple):
            return ("x" if self._pair else ",").join(map(str, value))
        return exact(value) if isinstance(value, float) else str(value)
