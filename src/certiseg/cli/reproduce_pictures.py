"""`certiseg reproduce cityscapes | pascal-context | camvid`: the paper's tables of pictures."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options
from certiseg.cli.by_sigma import by_sigma
from certiseg.cli.load_model import load_model
from certiseg.cli.numbers import numbers_of
from certiseg.cli.told import told
from certiseg.errors import InputError
from certiseg.screen import Screen, remark

_SHIPPED = "certiseg:camvid"
_CHECKPOINTS = {
    "cityscapes": "the published HRNet checkpoint trained under noise, or a model of your own "
    "with the 19 classes",
    "pascal-context": "the published HRNet checkpoint trained under noise, or a model of your own "
    "with the 59 classes",
}


class Emulate(StrEnum):
    """Faults of published code."""

    shared_noise = "shared-noise"


@told
def pictures(
    context: typer.Context,
    out: options.Output,
    root: Annotated[Path, typer.Option(help="The folder of the data set.")],
    model: options.ModelBySigma = None,
    non_robust: options.NonRobust = None,
    scales: Annotated[
        str | None,
        typer.Option(help="Such as 0.25,0.5,0.5+1; + for one model that looks at several sizes."),
    ] = None,
    sigmas: Annotated[str | None, typer.Option(help="Such as 0.25,0.5.")] = None,
    alphas: Annotated[str | None, typer.Option(help="Such as 0.001,0.0001, the default.")] = None,
    methods: Annotated[
        str | None,
        typer.Option(help="Of paper,pooled,budget,radius-map,early; default: all."),
    ] = None,
    split: Annotated[str, typer.Option(help="Of the data set.")] = "val",
    limit: Annotated[
        int | None,
        typer.Option(help="Pictures, at an even stride; default: the paper's 100, camvid 26."),
    ] = None,
    most_draws: options.MostDraws = None,
    emulate: Annotated[
        Emulate | None,
        typer.Option(help="Beside the sound lines, what the published code reports. UNSOUND."),
    ] = None,
    shared_batch: Annotated[
        str, typer.Option(help="With --emulate shared-noise: draws that share a noise.")
    ] = "4,16",
    reference_draws: Annotated[
        int | None,
        typer.Option(
            help="Further draws that count false certificates; default: 2000 with --emulate, else "
            "0."
        ),
    ] = None,
    reference_pictures: Annotated[
        int, typer.Option(help="Pictures that get these, at an even stride.")
    ] = 4,
    keep_votes: Annotated[
        bool, typer.Option("--keep-votes", help="Write the votes of every picture too.")
    ] = False,
    batch_size: options.BatchSize = None,
    num_classes: options.NumClasses = None,
    seed: options.Seed = None,
    device: options.Device = None,
    overwrite: options.Again = False,
    json_lines: options.Json = False,
) -> None:
    """The paper's table of this data set: pictures at several scales, noises and thresholds.

    One set of draws serves all lines of a scale and sigma. Run again after an interruption, it
    goes on where it stopped.
    """
    from certiseg.datasets.card import note_of
    from certiseg.report.reproduction.pictures import UNSOUND_NOTE, counted, records, rich_tables
    from certiseg.runs.again import recorded_seeds, replaced
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.reproduction.grid import GRIDS, LIMITS, chosen, scales_of
    from certiseg.runs.reproduction.pictures import Extras, reproduce
    from certiseg.runs.samples import open_samples

    table = context.info_name or ""
    if not model and table != "camvid":
        raise InputError(
            f"expected --model with {table}, got none; pass {_CHECKPOINTS[table]} "
            "(docs/reproduce.md)"
        )
    grid = GRIDS[table]
    if scales is not None:
        grid = replace(grid, scales=scales_of(scales))
    if sigmas is not None:
        grid = replace(grid, sigmas=numbers_of("--sigmas", sigmas))
    if alphas is not None:
        grid = replace(grid, alphas=numbers_of("--alphas", alphas))
    if methods is not None:
        grid = chosen(grid, methods.split(","))
    grid = grid.within(most_draws)
    if reference_draws is None:
        reference_draws = 0 if emulate is None else 2000
    extras = Extras(
        shared_batches=() if emulate is None else _batches(shared_batch),
        reference_draws=reference_draws,
        reference_pictures=reference_pictures,
        keep_votes=keep_votes,
    )
    extras.check(grid)
    if overwrite and (again := replaced(recorded_seeds(out / "run.json"), seed)):
        remark(f"note: {again}")
    keep_freed_memory()
    specs = by_sigma(model or [_SHIPPED], grid.sigmas)
    opened = {
        spec: load_model(spec, num_classes=num_classes) for spec in dict.fromkeys(specs.values())
    }
    first = next(iter(opened.values()))
    samples = open_samples(
        first, data=table, root=root, split=split, limit=LIMITS[table] if limit is None else limit
    )
    whole = reproduce(
        grid,
        samples,
        {sigma: opened[spec] for sigma, spec in specs.items()},
        out,
        non_robust=None if non_robust is None else load_model(non_robust, num_classes=num_classes),
        extras=extras,
        seed=seed,
        batch_size=batch_size,
        device=device,
        overwrite=overwrite,
        command=shlex.join(["certiseg", *sys.argv[1:]]),
        progress=not json_lines,
    )
    lines, false = whole.lines(), whole.false_lines()
    if json_lines:
        unsound = UNSOUND_NOTE if emulate else None
        print(json.dumps({"unsound": unsound, "lines": records(lines), "false": records(false)}))
        return
    console = Screen()
    note = note_of(samples)
    thinned = f" ({note})" if note else ""
    console.print(f"{samples.card.name}, {counted(len(samples))}{thinned}")
    for drawn in rich_tables(lines, false):
        console.print(drawn)
    console.print(f"all figures: {out}")


def _batches(text: str) -> tuple[int, ...]:
    numbers = numbers_of("--shared-batch", text)
    if any(number != int(number) for number in numbers):
        raise InputError(f"expected whole numbers with --shared-batch, got {text!r}")
    return tuple(dict.fromkeys(int(number) for number in numbers))
