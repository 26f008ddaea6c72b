"""The options that say how an image is certified, once for all commands that certify."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from certiseg.cli import options
from certiseg.cli.numbers import budget_of, numbers_of, share_of, spending_of

if TYPE_CHECKING:
    from certiseg.runs.settings import Settings

_LOOKS = 5


def _settings(
    sigma: options.Sigma = 0.25,
    tau: options.Tau = 0.75,
    alpha: options.Alpha = 1e-3,
    num_samples: options.NumSamples = 100,
    correction: Annotated[
        options.Correction, typer.Option(help="Multiple testing over the pixels.")
    ] = options.Correction.holm,
    budget: Annotated[
        str | None,
        typer.Option(help="K or a share (0.1%) with k-fwer: at most K - 1 labels may be wrong."),
    ] = None,
    selection: Annotated[
        options.Selection,
        typer.Option(help="pooled: all draws choose and test; split: the paper's stages."),
    ] = options.Selection.pooled,
    n0: options.SelectionSamples = 10,
    radius_map: Annotated[
        bool, typer.Option("--radius-map", help="A radius for every pixel; tau has no part in it.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(help="Stop early when the next look promises less than this share (0.1%)."),
    ] = None,
    wanted: Annotated[
        str | None, typer.Option(help="Stop early once this share (85%) is certified.")
    ] = None,
    looks: Annotated[int | None, typer.Option(help="Looks of early stopping; default 5.")] = None,
    spending: Annotated[
        str | None,
        typer.Option(help="Of early stopping: late, equal, shares (0.2,0.8) or e-process."),
    ] = None,
    hierarchy: Annotated[
        str | None,
        typer.Option(help="Certify groups of classes: camvid, cityscapes, ..., or a file."),
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option(help="With --hierarchy: AdaptiveCertify, such as 0,0,0.25.")
    ] = None,
    grid: Annotated[
        int | None, typer.Option(help="Decide on cells of so many pixels squared.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Draws a pass; default fits the memory.")
    ] = None,
    seed: options.Seed = None,
    device: options.Device = None,
) -> Settings:
    from certiseg.hierarchies.files import load_hierarchy
    from certiseg.runs.settings import Settings, Stopping

    stops = any(option is not None for option in (until, wanted, looks, spending))
    stopping = Stopping(
        until=None if until is None else share_of("--until", until),
        wanted=None if wanted is None else share_of("--wanted", wanted),
        looks=_LOOKS if looks is None else looks,
        spending="late" if spending is None else spending_of(spending),
    )
    return Settings(
        sigma=sigma,
        tau=tau,
        alpha=alpha,
        num_samples=num_samples,
        correction=correction.value,
        budget=None if budget is None else budget_of(budget),
        selection=selection.value,
        selection_samples=n0,
        radius_map=radius_map,
        stopping=stopping if stops else None,
        hierarchy=None if hierarchy is None else load_hierarchy(hierarchy),
        thresholds=None if thresholds is None else numbers_of("--thresholds", thresholds),
        grid=grid,
        batch_size=batch_size,
        seed=seed,
        device=device,
    )


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of certification in place of its parameter ``settings``.

    The settings are made and checked before the command runs.
    """
    shared = _parameters(_settings)
    own = _parameters(command)

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        settings = _settings(**{name: given.pop(name) for name in shared})
        settings.check_options()
        command(settings=settings, **given)

    merged: list[inspect.Parameter] = []
    for name, parameter in own.items():
        merged += shared.values() if name == "settings" else [parameter]
    wrapped.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in merged}
    return wrapped


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Parameters by name, keyword only, their annotations evaluated for typer."""
    # The type of the settings is loaded only when a command runs.
    hints = get_type_hints(function, localns={"Settings": Any}, include_extras=True)
    return {
        name: parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function).parameters.items()
    }
