"""The options that say how an input is certified, once for all commands that certify."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from certiseg.cli import options
from certiseg.cli.numbers import budget_of, numbers_of, share_of, spending_of
from certiseg.errors import InputError

if TYPE_CHECKING:
    from certiseg.runs.settings import Settings

_LOOKS = 5


def _settings(
    sigma: options.Sigma = 0.25,
    noise: Annotated[
        options.Law, typer.Option(help="On all of the input; for clouds: coordinates or rotation.")
    ] = options.Law.gaussian,
    axis: Annotated[
        str | None, typer.Option(help="Of rotations around one axis: x, y or z; default any.")
    ] = None,
    tau: Annotated[
        float | None,
        typer.Option(help="Probability a label must exceed, in [1/2, 1); default 0.75."),
    ] = None,
    alpha: options.Alpha = 1e-3,
    num_samples: options.NumSamples = 100,
    correction: Annotated[
        options.Correction, typer.Option(help="Multiple testing over the pixels or points.")
    ] = options.Correction.holm,
    budget: Annotated[
        str | None,
        typer.Option(help="K or a share (0.1%) with k-fwer: at most K - 1 labels may be wrong."),
    ] = None,
    selection: Annotated[
        options.Selection | None,
        typer.Option(
            help="pooled (default): all draws choose and test; split: the paper's stages."
        ),
    ] = None,
    n0: Annotated[
        int | None,
        typer.Option("--n0", help="Draws that choose, with split or --thresholds; default 10."),
    ] = None,
    radius_map: Annotated[
        bool,
        typer.Option(
            "--radius-map",
            help="A radius for every pixel or point; evaluate's table reads it at --tau.",
        ),
    ] = False,
    min_gain: Annotated[
        str | None,
        typer.Option(help="Stop early when no further look promises this share (0.1%) anew."),
    ] = None,
    target_coverage: Annotated[
        str | None, typer.Option(help="Stop early once this share (85%) is certified.")
    ] = None,
    looks: Annotated[
        int | None, typer.Option(help="Looks of early stopping, at most; default 5.")
    ] = None,
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
        int | None, typer.Option(help="Of pictures: decide on cells of so many pixels squared.")
    ] = None,
    batch_size: options.BatchSize = None,
    seed: options.Seed = None,
    device: options.Device = None,
    precision: Annotated[
        options.Precision,
        typer.Option(help="float32: as the model is; bfloat16, float16: it runs under autocast."),
    ] = options.Precision.float32,
    channels_last: options.ChannelsLast = False,
    compile_model: options.Compile = False,
    cuda_graphs: options.CudaGraphs = False,
    noise_on: Annotated[
        options.Place, typer.Option(help="Where noise is made: the same bits on either.")
    ] = options.Place.host,
) -> Settings:
    from certiseg.hierarchies.files import load_hierarchy
    from certiseg.runs.settings import Settings, Stopping
    from certiseg.sampling.engine import Engine

    if (looks is not None or spending is not None) and min_gain is None and target_coverage is None:
        raise InputError(
            "expected --min-gain or --target-coverage with --looks and --spending, got neither; "
            "say when to stop"
        )
    two_stages = thresholds is not None or selection is options.Selection.two_stages
    if n0 is not None and not two_stages:
        raise InputError(
            f"expected --n0 with --selection split or --thresholds, got --n0 {n0} alone; "
            "pooled selection has no draws that only choose"
        )
    if thresholds is not None and selection is options.Selection.pooled:
        raise InputError(
            "expected no --selection pooled with --thresholds, got it; AdaptiveCertify has two "
            "stages"
        )
    stops = min_gain is not None or target_coverage is not None
    stopping = Stopping(
        min_gain=None if min_gain is None else share_of("--min-gain", min_gain),
        target_coverage=None
        if target_coverage is None
        else share_of("--target-coverage", target_coverage),
        looks=_LOOKS if looks is None else looks,
        spending="late" if spending is None else spending_of(spending),
    )
    return Settings(
        sigma=sigma,
        tau=0.75 if tau is None else tau,
        alpha=alpha,
        num_samples=num_samples,
        correction=correction.value,
        budget=None if budget is None else budget_of(budget),
        selection="split" if two_stages else "pooled",
        selection_samples=10 if n0 is None else n0,
        radius_map=radius_map,
        stopping=stopping if stops else None,
        hierarchy=None if hierarchy is None else load_hierarchy(hierarchy),
        thresholds=None if thresholds is None else numbers_of("--thresholds", thresholds),
        grid=grid,
        batch_size=batch_size,
        seed=seed,
        device=device,
        law=noise.value,
        axis=axis,
        engine=Engine(
            precision=precision.value,
            channels_last=channels_last,
            compile=compile_model,
            cuda_graphs=cuda_graphs,
            noise=noise_on.value,
        ),
    )


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of certification in place of its parameter ``settings``.

    The settings are made and checked before the command runs.
    """
    shared = parameters(_settings)
    own = parameters(command)

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


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Parameters by name, keyword only, their annotations evaluated for typer."""
    # The type of the settings is loaded only when a command runs.
    hints = get_type_hints(function, localns={"Settings": Any}, include_extras=True)
    return {
        name: parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function).parameters.items()
    }
