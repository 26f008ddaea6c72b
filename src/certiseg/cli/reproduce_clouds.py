"""`certiseg reproduce shapenet | shapenet-rotation`: the paper's tables of point clouds."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options
from certiseg.cli.by_sigma import by_sigma
from certiseg.cli.told import told
from certiseg.errors import InputError
from certiseg.screen import Screen, remark

_SHIPPED = {
    "shapenet": "certiseg:solids-gaussian",
    "shapenet-rotation": "certiseg:solids-rotation",
}
_PLAIN = "certiseg:solids"


@told
def clouds(
    context: typer.Context,
    out: options.Output,
    model: options.ModelBySigma = None,
    data: Annotated[
        str, typer.Option(help="shapenet, or solids: generated, out of the box.")
    ] = "shapenet",
    root: Annotated[Path | None, typer.Option(help="The folder of --data shapenet.")] = None,
    non_robust: options.NonRobust = None,
    limit: Annotated[
        int, typer.Option("--clouds", help="So many of the test split, evenly over the categories.")
    ] = 100,
    most_draws: options.MostDraws = None,
    channels: options.Channels = None,
    skip_bad: options.SkipBad = False,
    batch_size: options.BatchSize = None,
    seed: options.Seed = None,
    device: options.Device = None,
    overwrite: options.Again = False,
    json_lines: options.Json = False,
) -> None:
    """The paper's tables of point clouds: ShapeNet part, or generated clouds out of the box."""
    from certiseg.datasets.card import note_of, skipped_of
    from certiseg.datasets.registry import cloud_set, open_clouds
    from certiseg.report.reproduction.clouds import records, rich_table
    from certiseg.runs.again import recorded_seeds, replaced
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.model import channels_of, open_model
    from certiseg.runs.reproduction.cloud_tables import EXPERIMENTS
    from certiseg.runs.reproduction.clouds import reproduce as run

    table = context.info_name or ""
    cloud_set(data)
    generated = data == "solids"
    if not model and not generated:
        raise InputError(
            "expected --model with --data shapenet, got none; pass a checkpoint such as "
            "pointnet2:best_model.pth, or a folder that certiseg train-clouds wrote"
        )
    if overwrite and (again := replaced(recorded_seeds(out / "results.json"), seed)):
        print(f"note: {again}", file=sys.stderr)
    keep_freed_memory()
    experiment = EXPERIMENTS[table].within(most_draws)
    specs = by_sigma(model or [_SHIPPED[table]], experiment.sigmas)
    opened = {spec: open_model(spec, channels=channels) for spec in dict.fromkeys(specs.values())}
    plain = non_robust or (_PLAIN if generated and not model else None)
    widths = {channels_of(loaded) for loaded in opened.values()}
    if len(widths) > 1:
        raise InputError(
            f"expected models of one number of channels, got {sorted(widths)}; run them apart"
        )
    samples = open_clouds(data, channels=widths.pop(), root=root, limit=limit, skip_bad=skip_bad)
    for reason in skipped_of(samples):
        remark(f"skipped: {reason}")
    lines = run(
        experiment,
        samples,
        {sigma: opened[spec] for sigma, spec in specs.items()},
        out,
        non_robust=None if plain is None else open_model(plain, channels=channels),
        seed=seed,
        batch_size=batch_size,
        device=device,
        overwrite=overwrite,
        command=shlex.join(["certiseg", *sys.argv[1:]]),
        progress=not json_lines,
    )
    if json_lines:
        print(json.dumps(records(lines)))
        return
    console = Screen()
    note = note_of(samples)
    title = f"{table} on {samples.card.name}: {len(samples)} clouds{f', {note}' if note else ''}"
    console.print(rich_table(lines, title))
    console.print(f"all figures: {out}")
