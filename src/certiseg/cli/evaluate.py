"""`certiseg evaluate`: non-robust, base and certified model on labelled inputs."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certiseg.cli import options
from certiseg.cli.method import with_settings
from certiseg.cli.model_options import ModelOptions, with_model
from certiseg.cli.numbers import norms_of, whole_numbers_of
from certiseg.cli.page import page_line
from certiseg.cli.run_log import with_run_log
from certiseg.errors import InputError
from certiseg.rounding import down, exact
from certiseg.screen import Screen, remark

if TYPE_CHECKING:
    from certiseg.runs.attacked import Attacks
    from certiseg.runs.settings import Settings


@with_run_log
@with_settings
@with_model()
def evaluate(
    *,
    model: ModelOptions,
    out: options.Output,
    images: Annotated[
        Path | None, typer.Option(help="Folder of image files, or of volumes.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Folder of label maps, STEM.png of class ids.")
    ] = None,
    window: options.Window = None,
    window_percentiles: options.WindowPercentiles = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore-index", help="Label ids to ignore, as 255 is; such as 11,12."),
    ] = None,
    mask: options.Mask = options.MaskChoice.ids,
    exif: options.Exif = None,
    convert: options.Convert = False,
    data: Annotated[
        str | None,
        typer.Option(
            help="camvid, cityscapes, pascal-context, voc, ade20k, coco-stuff, mni152, nuclei; "
            "solids, shapenet or clouds (point clouds); or FILE.yaml that describes folders."
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="The folder of --data camvid, cityscapes, ...")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of --data; default val, for point clouds test.")
    ] = None,
    points: Annotated[
        int | None, typer.Option(help="Number of points to resample a cloud to; default 2048.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="shapenet: skip missing or damaged files.")
    ] = False,
    non_robust: Annotated[
        str | None, typer.Option(help="A model trained without noise, for the first row.")
    ] = None,
    settings: Any,
    limit: Annotated[
        int | None, typer.Option(help="At most this many samples, evenly spread.")
    ] = None,
    percentile: Annotated[
        bool,
        typer.Option("--percentile", help="Also bound accuracy and mIoU of a single noisy pass."),
    ] = False,
    attack: Annotated[
        str | None,
        typer.Option(
            "--attack",
            help="Also attack every model within these l2 norms: 0.1,0.5 or 0.5R,R in certified "
            "radii.",
        ),
    ] = None,
    attack_steps: Annotated[
        int | None, typer.Option(help="Gradients of each attack; default 100.")
    ] = None,
    attack_draws: Annotated[
        int | None, typer.Option(help="Draws per gradient of the smoothed model; default 4.")
    ] = None,
    keep: Annotated[
        int, typer.Option(help="Samples to keep for the report, evenly spread; 0 for none.")
    ] = 20,
    save_certificates: Annotated[
        bool, typer.Option("--save-certificates", help="Keep the certificates of all samples.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--report/--no-report", help="Write OUT/report.html at the end.")
    ] = True,
    overwrite: options.Again = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run in OUT, if there is one.")
    ] = False,
    workers: options.Workers = None,
    threads: options.Threads = None,
    ray: options.Ray = None,
    json_table: options.Json = False,
) -> None:
    """Compare the non-robust, the base and the certified model; writes tables and results."""
    from certiseg.datasets.card import KINDS, note_of, skipped_of
    from certiseg.report.figures import has_matplotlib
    from certiseg.runfolder.comparison import comparison_table
    from certiseg.runfolder.folder import Keep
    from certiseg.runfolder.layout import MANIFEST
    from certiseg.runfolder.under_attack import attack_table
    from certiseg.runs.again import recorded_seeds, replaced
    from certiseg.runs.evaluate import evaluate as run
    from certiseg.runs.executors.choice import executor_for
    from certiseg.runs.executors.ranks import Ranks
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.samples import open_samples

    kept = Keep(keep, certificates=save_certificates)
    if resume and overwrite:
        raise InputError(
            "expected --resume or --overwrite, got both; resume the earlier run or replace it"
        )
    keep_freed_memory()
    ranks = Ranks.of_environment()
    loaded, plain = model.load(), None
    if non_robust is not None:
        plain = model.beside(non_robust)
    samples = open_samples(
        loaded,
        images=images,
        labels=labels,
        ignore_index=whole_numbers_of("--ignore-index", ",".join(ignore)) if ignore else (),
        data=data,
        root=root,
        split=split,
        limit=limit,
        points=points,
        skip_bad=skip_bad,
        mask=mask.value,
        exif=None if exif is None else exif.value,
        convert=convert,
        window=window,
        window_percentiles=window_percentiles,
    )
    for reason in skipped_of(samples):
        remark(f"skipped: {reason}")
    first = ranks is None or ranks.rank == 0
    earlier = recorded_seeds(out / MANIFEST) if overwrite and first else ()
    if again := replaced(earlier, settings.seed):
        remark(f"note: {again}")
    executor = executor_for(workers, threads, ray, None if ranks is None else ranks.size)
    with nullcontext() if ranks is None else ranks.together(settings.device):
        evaluation = run(
            samples,
            loaded,
            settings,
            out,
            non_robust=plain,
            percentile=percentile,
            attacks=_attacks(attack, attack_steps, attack_draws, settings),
            keep=kept,
            overwrite=overwrite,
            resume=resume,
            executor=executor,
            ranks=ranks,
            command=shlex.join(["certiseg", *sys.argv[1:]]),
            progress=not json_table and first,
            note=lambda text: remark(f"note: {text}"),
        )
    if not first:
        return
    line = page_line(out) if page else ""
    if json_table:
        print(comparison_table(evaluation.rows).json(), end="")
        return
    console = Screen()
    note, kind = note_of(samples), samples.card.kind
    thinned = "" if note is None else f", {note}"
    whole = "image" if kind == "images" else KINDS[kind][0]
    plural = "" if len(samples) == 1 else "s"
    title = f"{samples.card.name}: {len(samples)} {whole}{plural}{thinned}"
    console.print(comparison_table(evaluation.rows, title).rich(transposed=True))
    if evaluation.attacked is not None:
        console.print(attack_table(evaluation.attacked.rows()).rich())
    if evaluation.percentile:
        bounds = ", ".join(f"{name} {down(value)}" for name, value in evaluation.percentile.items())
        console.print(
            "median of one noisy pass under perturbations of norm up to "
            f"{down(settings.noise.radius(settings.tau))}, mean of the inputs' bounds, "
            f"each at alpha = {exact(settings.alpha)} separately: {bounds}"
        )
    if evaluation.beyond:
        found = ", ".join(f"{down(value)} at {norm}" for norm, value in evaluation.beyond.items())
        console.print(f"certified accuracy beyond the radius R, windows together (T17): {found}")
    if evaluation.curve is not None:
        console.print("certified accuracy over radius: curve.csv")
        if not has_matplotlib():
            console.print("curve.png and curve.svg need: pip install 'certiseg[report]'")
    console.print(f"table and results: {out}")
    if line:
        console.print(line)


def _attacks(
    norms: str | None, steps: int | None, draws: int | None, settings: Settings
) -> Attacks | None:
    from certiseg.runs.attacked import Attacks

    given = {"steps": steps, "draws": draws}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if norms is None:
        if chosen:
            raise InputError(
                f"expected --attack with --attack-{min(chosen)}, got none; name the norms as 0.5R,R"
            )
        return None
    radius = settings.noise.radius(settings.tau)
    return Attacks(norms_of("--attack", norms, radius), **chosen)
