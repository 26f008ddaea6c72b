"""`certiseg plan`: what a number of draws can certify, before anything is drawn."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options
from certiseg.cli.model_options import ModelOptions, with_model
from certiseg.cli.numbers import budget_of, sides_of
from certiseg.errors import InputError
from certiseg.rounding import nearest, significant
from certiseg.screen import Screen

_CLASSES = 19
"""As in Cityscapes; only the size of the votes depends on it."""


@with_model("A model as for certify, to time a few passes of it.")
def plan(
    *,
    size: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH of an image, DEPTHxHEIGHTxWIDTH of a volume.")
    ] = None,
    points: Annotated[int | None, typer.Option(help="Of a cloud, instead of --size.")] = None,
    sigma: options.Sigma = 0.25,
    tau: options.Tau = None,
    radius: Annotated[
        float | None, typer.Option(help="Radius to certify, instead of --tau.", show_default=False)
    ] = None,
    alpha: options.Alpha = 1e-3,
    num_samples: Annotated[int, options.option("num_samples", "Draws per input in total.")] = 100,
    selection_samples: Annotated[
        int, options.option("selection_samples", "Draws for selection, in the paper's two stages.")
    ] = 10,
    grid: options.Grid = None,
    budget: Annotated[
        str | None, typer.Option(help="Error budget K, or a share of all, such as 0.1%.")
    ] = None,
    probability: Annotated[
        float,
        typer.Option("--probability", "-p", help="Label probability whose power is shown."),
    ] = 0.98,
    seconds: Annotated[
        float | None,
        typer.Option(help="Time for one input here: advise -n and --precision; needs --model."),
    ] = None,
    model: ModelOptions,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for a table and a figure.")
    ] = None,
    overwrite: options.Overwrite = False,
    json_record: options.Json = False,
) -> None:
    """Tell n_min, cutoffs and certifiable probabilities for a size; nothing is sampled. With
    --commit FILE: takes the arguments of certify and writes what they fix beforehand."""
    from certiseg.noise import Gaussian
    from certiseg.report.plan import curve_table, offer_table, plan_table
    from certiseg.runs.plan import SHOWN
    from certiseg.runs.plan import plan as run
    from certiseg.studies.plan import Request, tau_for_radius

    if (size is None) == (points is None):
        raise InputError("expected --size or --points, got neither or both; pass one")
    if overwrite and out is None:
        raise InputError("expected -o with --overwrite, got none; leave --overwrite out")
    if tau is not None and radius is not None:
        raise InputError("expected --tau or --radius, got both; one follows from the other")
    shape = (points,) if points is not None else sides_of(size or "", "--size", axes=(2, 3))
    noise = Gaussian(sigma)
    if radius is not None:
        tau = tau_for_radius(noise, radius)
    loaded = model.load_if_named("num_classes")
    num_classes = model.num_classes if loaded is None else loaded.num_classes
    if num_classes is not None and num_classes < 2:
        raise InputError(f"expected at least 2 classes, got --num-classes {num_classes}; raise it")
    request = Request(
        size=shape,
        num_classes=num_classes or _CLASSES,
        noise=noise,
        tau=0.75 if tau is None else tau,
        alpha=alpha,
        passes=num_samples,
        grid=1 if grid is None else grid,
        budget=None if budget is None else budget_of(budget),
        selection=selection_samples,
        probability=probability,
    )
    made = run(
        request,
        loaded,
        out,
        within=seconds,
        overwrite=overwrite,
        command=shlex.join(["certiseg", *sys.argv[1:]]),
    )
    if json_record:
        print(json.dumps(made.record()))
        return
    console = Screen()
    console.print(plan_table(made.rows, request))
    console.print(curve_table(made.shown, SHOWN))
    if made.seconds is not None:
        console.print(
            f"time: {significant(made.seconds * request.passes, 3, nearest)} s per input here "
            f"({request.passes} passes of about {significant(made.seconds, 2, nearest)} s)"
        )
    if seconds is not None:
        offers = [(offer.precision, offer.seconds, offer.prospect) for offer in made.offers]
        console.print(offer_table(offers, seconds))
    if out is not None:
        console.print(f"table and figure: {out}")
