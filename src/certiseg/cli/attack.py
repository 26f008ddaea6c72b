"""`certiseg attack`: images or point clouds in, attacked ones and what models say of them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from certiseg.cli import options
from certiseg.cli.model_options import ModelOptions, with_model
from certiseg.rounding import down, percent_down, up
from certiseg.screen import Screen, remark

if TYPE_CHECKING:
    from certiseg.attacks.losses import Loss


@with_model()
def attack(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Images or point clouds, as for certify.",
            show_default=False,
        ),
    ],
    model: ModelOptions,
    out: options.Output,
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", "-e", help="Largest l2 norm.")
    ] = None,
    angle: Annotated[
        float | None,
        typer.Option(
            help="Point clouds, in place of --epsilon: largest angle of a rotation in radians."
        ),
    ] = None,
    loss: Annotated[
        str,
        typer.Option(help="Of ce, masked-ce, js, cospgd, masked-margin, separated by commas."),
    ] = "masked-ce,js",
    steps: Annotated[int, typer.Option(help="Gradients of each run, or rotations tried.")] = 300,
    restarts: Annotated[int, typer.Option(help="Runs of each loss.")] = 1,
    non_robust: Annotated[
        str | None,
        typer.Option(help="Attack this model instead of the base model; same classes."),
    ] = None,
    vanish: Annotated[
        int | None, typer.Option(help="A class that is to vanish; default: any other labels.")
    ] = None,
    category: options.Category = None,
    normalise: options.Normalise = False,
    points: options.Points = None,
    columns: options.Columns = None,
    sigma: options.Sigma = 0.25,
    num_samples: options.NumSamples = 100,
    seed: options.Seed = None,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    json_lines: options.Json = False,
) -> None:
    """Attack a model within an l2 norm; compare it with the smoothed model and its certificate.
    The .npy file is the attacked input; the PNG of an image is rounded to 8 bits. Of point clouds
    the coordinates are attacked."""
    from certiseg.datasets.cloud_table import stated_columns
    from certiseg.runs.attack import AttackSettings, attack_files
    from certiseg.runs.inputs import CloudOptions
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.settings import Settings

    keep_freed_memory()
    losses = cast("list[Loss]", [word.strip() for word in loss.split(",")])
    records = attack_files(
        files,
        model.load(),
        AttackSettings(epsilon, losses, steps, restarts, vanish, angle),
        Settings(sigma=sigma, num_samples=num_samples, seed=seed, device=device),
        out,
        clouds=CloudOptions(category, normalise, points, stated_columns(columns)),
        non_robust=None if non_robust is None else model.beside(non_robust),
        overwrite=overwrite,
        progress=not json_lines,
        note=lambda text: remark(f"note: {text}"),
    )
    console = Screen()
    for record in records:
        if json_lines:
            print(json.dumps(record), flush=True)
            continue
        size = up(record["norm"])
        by = f"at l2 norm {size}" if angle is None else f"by a rotation of {size} rad"
        unit = "" if angle is None else " rad"
        console.print(
            f"{record['name']}: {percent_down(record['changed'])} of the labels of "
            f"{record['attacked']} changed {by}; {percent_down(record['certified'])} are certified "
            f"below radius {down(record['radius'])}{unit}, {record['certified_lost']} of these "
            "have another majority now"
        )
    if not json_lines:
        console.print(f"attacked inputs and panels: {out}")
