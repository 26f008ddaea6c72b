"""`certiseg attack`: images in, attacked images and what models say of them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from certiseg.cli import options
from certiseg.cli.model_options import ModelOptions, with_model
from certiseg.rounding import down, percent_down, up
from certiseg.screen import Screen

if TYPE_CHECKING:
    from certiseg.attacks.losses import Loss


@with_model()
def attack(
    images: Annotated[list[Path], typer.Argument(help="PNG or JPEG files.", show_default=False)],
    model: ModelOptions,
    epsilon: Annotated[float, typer.Option("--epsilon", "-e", help="Largest l2 norm.")],
    out: options.Output,
    loss: Annotated[
        str,
        typer.Option(help="Of ce, masked-ce, js, cospgd, masked-margin, separated by commas."),
    ] = "masked-ce,js",
    steps: Annotated[int, typer.Option(help="Gradients of each run.")] = 300,
    restarts: Annotated[int, typer.Option(help="Runs of each loss.")] = 1,
    non_robust: Annotated[
        str | None,
        typer.Option(help="Attack this model instead of the base model; same classes."),
    ] = None,
    vanish: Annotated[
        int | None, typer.Option(help="A class that is to vanish; default: any other labels.")
    ] = None,
    sigma: options.Sigma = 0.25,
    num_samples: options.NumSamples = 100,
    seed: options.Seed = None,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    json_lines: options.Json = False,
) -> None:
    """Attack a model within an l2 norm; compare it with the smoothed model and its certificate.
    The .npy file is the attacked image; the PNG is rounded to 8 bits."""
    from certiseg.runs.attack import AttackSettings, attack_images
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.settings import Settings

    keep_freed_memory()
    losses = cast("list[Loss]", [word.strip() for word in loss.split(",")])
    records = attack_images(
        images,
        model.load(),
        AttackSettings(epsilon, losses, steps, restarts, vanish),
        Settings(sigma=sigma, num_samples=num_samples, seed=seed, device=device),
        out,
        non_robust=None if non_robust is None else model.beside(non_robust),
        overwrite=overwrite,
        progress=not json_lines,
    )
    console = Screen()
    for record in records:
        if json_lines:
            print(json.dumps(record), flush=True)
            continue
        console.print(
            f"{record['name']}: {percent_down(record['changed'])} of the labels of "
            f"{record['attacked']} changed at l2 norm {up(record['norm'])}; "
            f"{percent_down(record['certified'])} are certified below radius "
            f"{down(record['radius'])}, {record['certified_lost']} of these have another majority "
            "now"
        )
    if not json_lines:
        console.print(f"attacked images and panels: {out}")
