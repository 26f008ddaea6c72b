"""`certiseg certify`: pictures in, certificates and overlays out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from certiseg.cli import options


def certify(
    images: Annotated[list[Path], typer.Argument(help="PNG or JPEG files.", show_default=False)],
    model: options.Model,
    out: options.Output,
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
    overwrite: options.Overwrite = False,
    json_lines: options.Json = False,
) -> None:
    """Certify pictures: a certificate, an overlay (abstentions white) and a JSON line each."""
    from certiseg.report.certified import certified_table
    from certiseg.runs.certify import certify_images
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.model import open_model
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
    results = certify_images(
        images, loaded, settings, out, overwrite=overwrite, progress=not json_lines
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
