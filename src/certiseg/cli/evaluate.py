"""`certiseg evaluate`: non-robust, base and certified on images with truth."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from certiseg.cli import options


def evaluate(
    model: options.Model,
    out: options.Output,
    images: Annotated[Path | None, typer.Option(help="Folder of PNG or JPEG files.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Folder of label maps, STEM.png of class ids.")
    ] = None,
    ignore: Annotated[
        list[int] | None, typer.Option(help="Label id that counts for nothing, as 255 does.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="camvid or mni152, instead of folders.")] = None,
    root: Annotated[Path | None, typer.Option(help="The folder of --data camvid.")] = None,
    split: Annotated[str | None, typer.Option(help="Of --data; default val.")] = None,
    non_robust: Annotated[
        str | None, typer.Option(help="A model trained without noise, for the first row.")
    ] = None,
    sigma: options.Sigma = 0.25,
    tau: options.Tau = 0.75,
    alpha: options.Alpha = 1e-3,
    num_samples: options.NumSamples = 100,
    correction: options.CorrectionOption = options.Correction.holm,
    selection: options.SelectionOption = options.Selection.pooled,
    n0: options.SelectionSamples = 10,
    batch_size: options.BatchSize = None,
    seed: options.Seed = None,
    device: options.Device = None,
    num_classes: options.NumClasses = None,
    channels: options.Channels = None,
    limit: Annotated[int | None, typer.Option(help="At most so many, evenly spread.")] = None,
    save_certificates: Annotated[
        bool, typer.Option("--save-certificates", help="Also keep each certificate.")
    ] = False,
    overwrite: options.Overwrite = False,
    json_table: options.Json = False,
) -> None:
    """Compare the non-robust, the base and the certified model; writes table and results."""
    from certiseg.datasets.folder import Thinned, every
    from certiseg.report.tables import json_text, rich_table
    from certiseg.runs.evaluate import evaluate as run
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.model import open_model
    from certiseg.runs.samples import open_samples
    from certiseg.runs.settings import Settings

    keep_freed_memory()
    settings = Settings(
        sigma=sigma,
        tau=tau,
        alpha=alpha,
        num_samples=num_samples,
        correction=correction.value,
        selection=selection.value,
        selection_samples=n0,
        batch_size=batch_size,
        seed=seed,
        device=device,
    )
    settings.check_options()
    loaded = open_model(model, num_classes=num_classes, channels=channels)
    plain = None
    if non_robust is not None:
        plain = open_model(non_robust, num_classes=num_classes, channels=channels)
    samples = every(
        open_samples(
            loaded,
            images=images,
            labels=labels,
            ignore=ignore or (),
            data=data,
            root=root,
            split=split,
        ),
        limit,
    )
    evaluation = run(
        samples,
        loaded,
        settings,
        out,
        non_robust=plain,
        save_certificates=save_certificates,
        overwrite=overwrite,
        command=shlex.join(["certiseg", *sys.argv[1:]]),
        progress=not json_table,
    )
    if json_table:
        print(json_text(evaluation.rows), end="")
        return
    console = Console()
    thinned = f", {samples.note}" if isinstance(samples, Thinned) else ""
    title = f"{samples.card.name}: {len(samples)} images{thinned}"
    console.print(rich_table(evaluation.rows, title))
    console.print(f"table and results: {out}", highlight=False, markup=False)
