"""`certiseg certify`: pictures in, certificates and overlays out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from certiseg.cli import options
from certiseg.cli.method import with_settings


@with_settings
def certify(
    images: Annotated[list[Path], typer.Argument(help="PNG or JPEG files.", show_default=False)],
    model: options.Model,
    out: options.Output,
    settings: Any,
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

    keep_freed_memory()
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
