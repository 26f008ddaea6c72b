"""`certiseg quantize`: the int8 form of a model, as a file that certify and evaluate take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options
from certiseg.rounding import percent_down
from certiseg.screen import say


def quantize(
    model: options.Model,
    images: Annotated[
        Path,
        typer.Option(help="Folder of calibration images, none of which is certified later."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, NAME.onnx.")],
    sigma: Annotated[float, typer.Option(help="Noise level, that of the certificates.")] = 0.25,
    limit: Annotated[int, typer.Option(help="Number of calibration images.")] = 8,
    seed: Annotated[int, typer.Option(help="Seed of the calibration noise.")] = 0,
    channels: options.Channels = None,
    overwrite: options.Overwrite = False,
    json_record: options.Json = False,
) -> None:
    """Write the int8 form of a model (ONNX), calibrated on noisy images: a base model of its own,
    two to four times as fast on a CPU with VNNI."""
    from certiseg.runs.quantize import quantize as run

    made = run(
        model,
        images,
        out,
        sigma=sigma,
        limit=limit,
        seed=seed,
        channels=channels,
        overwrite=overwrite,
    )
    if json_record:
        print(json.dumps({**made.record, "file": str(made.path), "agreement": made.agreement}))
        return
    say(
        f"{made.path}: int8, from {model}; under noise {percent_down(made.agreement)} of "
        f"the labels of {len(made.record['calibration']['images'])} images are those of the source"
    )
