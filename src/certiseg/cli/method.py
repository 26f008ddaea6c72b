"""The options that say how an input is certified, once for all commands that certify."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from certiseg.cli.numbers import budget_of, numbers_of, share_of, spending_of
from certiseg.cli.options import kind_of, option
from certiseg.errors import InputError
from certiseg.runs.parameters import OF_ENGINE, OF_STOPPING, PARAMETERS

if TYPE_CHECKING:
    from certiseg.runs.settings import Settings

_UNSAID = ("selection", "n0", "looks", "spending")
"""Whether they were typed matters: some methods have no use for them."""


def _settings(given: dict[str, Any]) -> Settings:
    """The settings of options as they were typed."""
    from certiseg.hierarchies.files import load_hierarchy
    from certiseg.runs.settings import Settings, Stopping
    from certiseg.sampling.engine import Engine

    _check_together(given)
    read: dict[str, Callable[[str], Any]] = {
        "budget": budget_of,
        "min_gain": functools.partial(share_of, "--min-gain"),
        "target_coverage": functools.partial(share_of, "--target-coverage"),
        "spending": spending_of,
        "hierarchy": load_hierarchy,
        "thresholds": functools.partial(numbers_of, "--thresholds"),
    }
    typed = {name: value for name, value in given.items() if value is not None}
    stops = "min_gain" in typed or "target_coverage" in typed
    if "thresholds" in typed:
        typed["selection"] = "split"
    values = {
        PARAMETERS[name].field or name: read[name](value) if name in read else value
        for name, value in typed.items()
        if name not in OF_ENGINE
    }
    stopping = {name: values.pop(name) for name in OF_STOPPING if name in values}
    engine = {PARAMETERS[name].field or name: given[name] for name in OF_ENGINE}
    return Settings(
        **values, stopping=Stopping(**stopping) if stops else None, engine=Engine(**engine)
    )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _check_together(given: dict[str, Any]) -> None:
    """Raise InputError for options that have no use without others."""
    looks, stops = (
        any(given[name] is not None for name in names)
        for names in (OF_STOPPING[2:], OF_STOPPING[:2])
    )
    if looks and not stops:
        raise InputError(
            "expected --min-gain or --target-coverage with --looks and --spending, got neither; "
            "say when to stop"
        )
    adaptive, selection, n0 = (given[name] for name in ("thresholds", "selection", "n0"))
    if n0 is not None and adaptive is None and selection != "split":
        raise InputError(
            f"expected --n0 with --selection split or --thresholds, got --n0 {n0} alone; "
            "pooled selection has no draws that only choose"
        )
    if adaptive is not None and selection == "pooled":
        raise InputError(
            "expected no --selection pooled with --thresholds, got it; AdaptiveCertify has two "
            "stages"
        )


def _shared() -> dict[str, inspect.Parameter]:
    """The options as parameters of a command."""
    return {
        name: inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if name in _UNSAID else known.default,
            annotation=Annotated[
                kind_of(name) | None if name in _UNSAID or known.default is None else kind_of(name),
                option(name),
            ],
        )
        for name, known in PARAMETERS.items()
    }


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of certification in place of its parameter ``settings``.

    The settings are made and checked before the command runs.
    """
    shared = _shared()
    own = parameters(command)

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        settings = _settings({name: _plain(given.pop(name)) for name in shared})
        settings.check_options()
        command(settings=settings, **given)

    merged: list[inspect.Parameter] = []
    for name, parameter in own.items():
        merged += shared.values() if name == "settings" else [parameter]
    wrapped.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in merged}
    return wrapped


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Parameters by name, keyword only, their annotations evaluated for typer."""
    # The type of the settings is loaded only when a command runs.
    hints = get_type_hints(function, localns={"Settings": Any}, include_extras=True)
    return {
        name: parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function).parameters.items()
    }
