"""`certiseg reproduce`: the paper's tables, of point clouds and of images."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certiseg.cli import options
from certiseg.cli.method import in_place_of, parameters
from certiseg.cli.model_options import ModelOptions
from certiseg.cli.numbers import numbers_of, whole_numbers_of
from certiseg.cli.run_log import with_run_log
from certiseg.errors import InputError
from certiseg.screen import Screen, remark

if TYPE_CHECKING:
    from certiseg.datasets.card import Samples
    from certiseg.models.loaded import LoadedModel
    from certiseg.runs.reproduction.grid import Grid
    from certiseg.runs.reproduction.pooled import Pooled

_BUNDLED = {
    "camvid": "certiseg:camvid",
    "shapenet": "certiseg:solids-gaussian",
    "shapenet-rotation": "certiseg:solids-rotation",
}
_PLAIN = "certiseg:solids"
_CHECKPOINTS = {
    "cityscapes": "the published HRNet checkpoint trained under noise, or another model "
    "with the 19 classes (docs/reproduce.md)",
    "pascal-context": "the published HRNet checkpoint trained under noise, or another model "
    "with the 59 classes (docs/reproduce.md)",
    "--data shapenet": "a checkpoint such as pointnet2:best_model.pth, or a folder that certiseg "
    "train-clouds wrote",
}


class Emulate(StrEnum):
    """Faults of published code."""

    shared_noise = "shared-noise"


@dataclass(frozen=True, kw_only=True)
class _Run:
    """The options that tables of images and of clouds share."""

    model: options.ModelBySigma = None
    non_robust: options.NonRobust = None
    most_draws: options.MostDraws = None
    batch_size: options.BatchSize = None
    seed: options.Seed = None
    device: options.Device = None
    overwrite: options.Again = False
    workers: options.Workers = None
    threads: options.Threads = None
    ray: options.Ray = None
    json_lines: options.Json = False

    def check(self, table: str, *, bundled: bool) -> None:
        """Raise InputError if there is no model. bundled: True if a bundled model fits the data."""
        if not self.model and not bundled:
            raise InputError(f"expected --model with {table}, got none; pass {_CHECKPOINTS[table]}")

    def models(
        self, table: str, grid: Grid, *, num_classes: int | None = None, channels: int | None = None
    ) -> dict[float, LoadedModel]:
        """Load the model of each sigma, each only once."""
        named = by_sigma(self.model or [_BUNDLED[table]], grid.sigmas)
        loaded = {
            spec: _load(spec, num_classes=num_classes, channels=channels)
            for spec in dict.fromkeys(named.values())
        }
        return {sigma: loaded[spec] for sigma, spec in named.items()}

    def reproduce(
        self,
        grid: Grid,
        samples: Samples,
        models: dict[float, LoadedModel],
        out: Path,
        non_robust: LoadedModel | None,
        **more: Any,
    ) -> Pooled:
        """Compute the table with ``runs.reproduction.tables.reproduce``."""
        from certiseg.runs.executors.choice import executor_for
        from certiseg.runs.reproduction.tables import reproduce

        return reproduce(
            grid,
            samples,
            models,
            out,
            non_robust=non_robust,
            seed=self.seed,
            batch_size=self.batch_size,
            device=self.device,
            overwrite=self.overwrite,
            executor=executor_for(self.workers, self.threads, self.ray, None),
            command=shlex.join(["certiseg", *sys.argv[1:]]),
            progress=not self.json_lines,
            note=lambda text: remark(f"note: {text}"),
            **more,
        )

    def begin(self, out: Path) -> None:
        """Warn if this replaces claims from other draws."""
        from certiseg.runs.again import recorded_seeds, replaced
        from certiseg.runs.malloc import keep_freed_memory

        if self.overwrite and (again := replaced(recorded_seeds(out / "run.json"), self.seed)):
            remark(f"note: {again}")
        keep_freed_memory()


def _load(spec: str, num_classes: int | None = None, channels: int | None = None) -> LoadedModel:
    return ModelOptions(model=spec, num_classes=num_classes, channels=channels).load()


_with_run = in_place_of("run", parameters(_Run), lambda given: _Run(**given))


@with_run_log
@_with_run
def images(
    *,
    context: typer.Context,
    out: options.Output,
    root: Annotated[Path, typer.Option(help="The folder of the data set.")],
    run: _Run,
    scales: Annotated[
        str | None,
        typer.Option(help="Such as 0.25,0.5,0.5+1; + for one model of several scales."),
    ] = None,
    sigmas: Annotated[str | None, typer.Option(help="Such as 0.25,0.5.")] = None,
    alphas: Annotated[str | None, typer.Option(help="Default: 0.001,0.0001.")] = None,
    methods: Annotated[
        str | None, typer.Option(help="Among paper,pooled,budget,radius-map,early; default: all.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "val",
    limit: Annotated[
        int | None,
        typer.Option(help="Number of images, evenly spread; default: the paper's 100, camvid 26."),
    ] = None,
    emulate: Annotated[
        Emulate | None,
        typer.Option(help="Add rows as reported by the published code. UNSOUND."),
    ] = None,
    shared_batch: Annotated[
        str, typer.Option(help="With --emulate shared-noise: number of draws that share a noise.")
    ] = "4,16",
    reference_draws: Annotated[
        int | None,
        typer.Option(
            help="Further draws to count false certificates; default: 2000 with --emulate, else 0."
        ),
    ] = None,
    reference_images: Annotated[
        int, typer.Option(help="Number of images with these further draws, evenly spread.")
    ] = 4,
    keep_votes: Annotated[
        bool, typer.Option("--keep-votes", help="Also write the votes of every image.")
    ] = False,
    num_classes: options.NumClasses = None,
) -> None:
    """The paper's table of this data set: images at several scales, noises and thresholds.

    All rows of a scale and sigma share one set of draws. After an interruption, the same command
    resumes the run.
    """
    from certiseg.datasets.card import note_of
    from certiseg.report.reproduction.tables import UNSOUND_NOTE, Tables, counted
    from certiseg.runs.reproduction.cell import Extras
    from certiseg.runs.reproduction.grid import GRIDS, LIMITS, scales_of
    from certiseg.runs.samples import open_samples

    table = context.info_name or ""
    run.check(table, bundled=table in _BUNDLED)
    grid = GRIDS[table]
    if scales is not None:
        grid = replace(grid, scales=scales_of(scales))
    if sigmas is not None:
        grid = replace(grid, sigmas=numbers_of("--sigmas", sigmas))
    if alphas is not None:
        grid = replace(grid, alphas=numbers_of("--alphas", alphas))
    if methods is not None:
        grid = replace(grid, methods=tuple(dict.fromkeys(methods.split(","))))
    grid = grid.within(run.most_draws)
    if reference_draws is None:
        reference_draws = 0 if emulate is None else 2000
    batches = () if emulate is None else whole_numbers_of("--shared-batch", shared_batch)
    extras = Extras(
        shared_batches=tuple(dict.fromkeys(batches)),
        reference_draws=reference_draws,
        reference_images=reference_images,
        keep_votes=keep_votes,
    )
    extras.check(grid)
    run.begin(out)
    models = run.models(table, grid, num_classes=num_classes)
    first = next(iter(models.values()))
    samples = open_samples(
        first, data=table, root=root, split=split, limit=LIMITS[table] if limit is None else limit
    )
    plain = run.non_robust
    non_robust = None if plain is None else _load(plain, num_classes=num_classes)
    whole = run.reproduce(grid, samples, models, out, non_robust, extras=extras)
    tables = Tables(whole.rows(), whole.false_rows())
    if run.json_lines:
        lines, false = tables.records()
        unsound = UNSOUND_NOTE if emulate else None
        print(json.dumps({"unsound": unsound, "lines": lines, "false": false}))
        return
    note = note_of(samples)
    console = Screen()
    console.print(f"{samples.card.name}, {counted(len(samples))}{f' ({note})' if note else ''}")
    for shown in tables.screen():
        console.print(shown.rich())
    console.print(f"all figures: {out}")


@with_run_log
@_with_run
def clouds(
    *,
    context: typer.Context,
    out: options.Output,
    run: _Run,
    data: Annotated[str, typer.Option(help="shapenet, or solids (generated).")] = "shapenet",
    root: Annotated[Path | None, typer.Option(help="The folder of --data shapenet.")] = None,
    limit: Annotated[
        int, typer.Option(help="Number of clouds of the test split, evenly over the categories.")
    ] = 100,
    channels: options.Channels = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """The paper's tables of point clouds: ShapeNet-Part, or generated clouds.

    After an interruption, the same command resumes the run.
    """
    from certiseg.datasets.card import note_of, skipped_of
    from certiseg.datasets.registry import cloud_set, open_clouds
    from certiseg.report.reproduction.tables import Tables
    from certiseg.runs.model import channels_of
    from certiseg.runs.reproduction.grid import CLOUD_GRIDS

    table = context.info_name or ""
    cloud_set(data)
    generated = data == "solids"
    run.check("--data shapenet", bundled=generated)
    run.begin(out)
    grid = CLOUD_GRIDS[table].within(run.most_draws)
    models = run.models(table, grid, channels=channels)
    plain = run.non_robust or (_PLAIN if generated and not run.model else None)
    widths = {channels_of(loaded) for loaded in models.values()}
    if len(widths) > 1:
        raise InputError(
            f"expected models of one number of channels, got {sorted(widths)}; run them separately"
        )
    samples = open_clouds(data, channels=widths.pop(), root=root, limit=limit, skip_bad=skip_bad)
    for reason in skipped_of(samples):
        remark(f"skipped: {reason}")
    non_robust = None if plain is None else _load(plain, channels=channels)
    whole = run.reproduce(grid, samples, models, out, non_robust, name=table)
    tables = Tables(whole.rows())
    if run.json_lines:
        print(json.dumps(tables.records()[0]))
        return
    note = note_of(samples)
    counted = f"{len(samples)} clouds{f', {note}' if note else ''}"
    console = Screen()
    for shown in tables.screen(f"{table} on {samples.card.name}: {counted}"):
        console.print(shown.rich())
    console.print(f"all figures: {out}")


def by_sigma(specs: Sequence[str], sigmas: Sequence[float]) -> dict[float, str]:
    """The model of each sigma: SIGMA=MODEL if given, else the one without a sigma."""
    named: dict[float, str] = {}
    rest: list[str] = []
    for spec in specs:
        head, equals, tail = spec.partition("=")
        try:
            sigma = float(head) if equals else None
        except ValueError:
            sigma = None
        if sigma is None:
            rest.append(spec)
        elif sigma not in sigmas:
            raise InputError(
                f"expected --model for sigma {' or '.join(map(str, sigmas))}, got {spec!r}; "
                "the table has no other sigma"
            )
        else:
            named[sigma] = tail
    missing = [sigma for sigma in sigmas if sigma not in named]
    if len(rest) > 1 or (missing and not rest):
        raise InputError(
            f"expected one --model for sigma {' and '.join(map(str, missing or sigmas))}, got "
            f"{len(rest)}; write SIGMA=MODEL for each"
        )
    return {sigma: named.get(sigma, rest[0] if rest else "") for sigma in sigmas}


app = typer.Typer(
    help="The paper's tables, and this library's methods on the same draws.",
    rich_markup_mode=None,
)
for name in ("cityscapes", "pascal-context", "camvid"):
    app.command(name)(images)
for name in ("shapenet", "shapenet-rotation"):
    app.command(name)(clouds)
