"""The options of certification, shared by all commands that certify."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from certiseg.cli.numbers import budget_of, numbers_of, share_of, spending_of
from certiseg.cli.options import kind_of, option
from certiseg.errors import InputError
from certiseg.runs.parameters import PARAMETERS

if TYPE_CHECKING:
    from certiseg.certificates.method import Method
    from certiseg.runs.settings import Settings

_UNSET = ("selection", "selection_samples", "looks", "spending")
"""Options without a default here, since some methods refuse them when given."""


def _settings(given: dict[str, Any]) -> Settings:
    """The settings for the option values given."""
    from certiseg.runs.options import settings_of

    read: dict[str, Callable[[str], Any]] = {
        "budget": budget_of,
        "min_gain": functools.partial(share_of, "--min-gain"),
        "target_coverage": functools.partial(share_of, "--target-coverage"),
        "spending": spending_of,
        "thresholds": functools.partial(numbers_of, "--thresholds"),
        "method": functools.partial(_method, given),
    }
    typed = {name: value for name, value in given.items() if value is not None}
    return settings_of({n: read[n](v) if n in read else v for n, v in typed.items()})  # type: ignore[arg-type]


def _method(given: Mapping[str, Any], text: str) -> Method:
    """The method of another package named by NAME:KEY=VALUE,...

    Its parameters that are also options of certification, such as --tau, are read from these
    options. A value is JSON, or else text.
    """
    from certiseg.certificates.method import is_built_in, method_named

    name, _, rest = text.partition(":")
    kind = method_named(name)
    if is_built_in(kind):
        raise InputError(
            f"expected another package's method with --method, got {name}; those of certiseg have "
            "options of their values"
        )
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {n: given[n] for n in names & given.keys() if given[n] is not None}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals or key not in names - values.keys():
            free = ", ".join(sorted(names - values.keys())) or "none"
            raise InputError(
                f"expected KEY=VALUE with --method {name}, KEY among {free}, got {pair!r}; "
                "parameters such as alpha have options of their values"
            )
        try:
            values[key] = json.loads(value)
        except ValueError:
            values[key] = value
    try:
        return kind(**values)
    except TypeError as error:
        raise InputError(f"expected the parameters of {name}, got {error}; name them") from None


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _shared() -> dict[str, inspect.Parameter]:
    """The options as parameters of a command."""
    return {
        name: inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if name in _UNSET else known.default,
            annotation=Annotated[
                kind_of(name) | None if name in _UNSET or known.default is None else kind_of(name),
                option(name),
            ],
        )
        for name, known in PARAMETERS.items()
    }


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Decorator that replaces the parameter ``settings`` of a command by the options of
    certification.

    The settings are made and checked before the command runs.
    """

    def made(given: dict[str, Any]) -> Settings:
        return _settings({name: _plain(value) for name, value in given.items()})

    return in_place_of("settings", _shared(), made)(command)


def in_place_of(
    name: str, shared: Mapping[str, inspect.Parameter], make: Callable[[dict[str, Any]], Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of commands that replaces the parameter ``name`` by the parameters ``shared``;
    ``make`` computes its value from theirs."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        values = parameters(command)

        @functools.wraps(command)
        def wrapped(**given: Any) -> None:
            made = make({each: given.pop(each) for each in shared})
            command(**given, **{name: made})

        merged: list[inspect.Parameter] = []
        for each, parameter in values.items():
            merged += shared.values() if each == name else [parameter]
        wrapped.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in merged}
        return wrapped

    return decorate


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Parameters by name, keyword only, with annotations evaluated for typer."""
    # The class Settings is imported only when a command runs.
    hints = get_type_hints(function, localns={"Settings": Any}, include_extras=True)
    return {
        name: parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function).parameters.items()
    }
