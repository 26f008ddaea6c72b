"""`certiseg certify`: pictures, clouds or volumes in, certificates and what shows them out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from certiseg.cli import options
from certiseg.cli.method import with_settings
from certiseg.cli.opened import opened


@with_settings
def certify(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="PNG or JPEG files; point clouds: .txt, .xyz, .pts, .csv, .npy; or volumes: "
            ".nii, .nii.gz, .npy.",
            show_default=False,
        ),
    ],
    model: options.Model,
    out: options.Output,
    settings: Any,
    denoiser: options.Denoiser = None,
    num_classes: options.NumClasses = None,
    channels: options.Channels = None,
    scale: options.Scale = None,
    flip: options.Flip = False,
    category: Annotated[
        str | None, typer.Option(help="Of point clouds, for a model that knows categories.")
    ] = None,
    normalise: Annotated[
        bool,
        typer.Option(
            "--normalise", help="Of point clouds: mean to 0 and largest norm to 1 beforehand."
        ),
    ] = False,
    points: Annotated[
        int | None,
        typer.Option(help="Points a cloud is resampled to; default all, as they come."),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Of volumes: the intensities that become 0 and 1, as in training; -160 240.",
        ),
    ] = None,
    window_percentiles: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Of volumes: the same in percent of each file's own values; 0.5 99.5."),
    ] = None,
    overwrite: options.Again = False,
    json_lines: options.Json = False,
) -> None:
    """Certify pictures, point clouds or volumes: a certificate, its picture (abstentions white)
    and a JSON line each."""
    from certiseg.datasets.volume_file import window_of
    from certiseg.report.certified import certified_table
    from certiseg.runs.certify import certify_images
    from certiseg.runs.inputs import CloudOptions
    from certiseg.runs.malloc import keep_freed_memory

    keep_freed_memory()
    loaded = opened(
        model,
        num_classes=num_classes,
        channels=channels,
        scale=scale,
        flip=flip,
        denoiser=denoiser,
    )
    results = certify_images(
        files,
        loaded,
        settings,
        out,
        clouds=CloudOptions(category, normalise, points),
        window=window_of(window, window_percentiles),
        overwrite=overwrite,
        progress=not json_lines,
        note=lambda text: print(f"note: {text}", file=sys.stderr),
    )
    if json_lines:
        for record in results:
            print(json.dumps(record), flush=True)
        return
    records = list(results)
    console = Console()
    console.print(certified_table(records))
    console.print(records[0]["statement"], highlight=False, markup=False, soft_wrap=True)
    console.print(f"certificates and pictures: {out}", highlight=False, markup=False)
