"""`certiseg bench`: cost of certification on this machine, with the user's model."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options
from certiseg.cli.numbers import size_of
from certiseg.screen import Screen

_NAMES = (
    "overhead (votes over bare passes of the model), memory, profile (where the time of voting "
    "goes), time-to-certificate (certified share against seconds for one image); default: all."
)


def bench(
    names: Annotated[list[str] | None, typer.Argument(help=_NAMES, show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for NAME.json and NAME.csv.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="As for evaluate; profile takes one. Default: certiseg:camvid.",
        ),
    ] = None,
    num_classes: options.NumClasses = None,
    binary: options.Binary = None,
    channels: options.Channels = None,
    size: Annotated[str | None, typer.Option(help="Image size; default: 360x480.")] = None,
    image: Annotated[
        Path | None, typer.Option(help="Image file, instead of a random image of this size.")
    ] = None,
    num_samples: Annotated[
        int | None,
        typer.Option("--num-samples", "-n", help="Draws; default: by benchmark."),
    ] = None,
    turns: Annotated[int, typer.Option(help="Repetitions of each timing.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of images, weights and draws.")] = 0,
    device: options.Device = None,
    precision: Annotated[
        options.Precision,
        typer.Option(help="Precision of all passes."),
    ] = options.Precision.float32,
    channels_last: options.ChannelsLast = False,
    compile: options.Compile = False,
    cuda_graphs: options.CudaGraphs = False,
    noise_on: Annotated[
        options.Place, typer.Option(help="Where vote generates its noise.")
    ] = options.Place.host,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny sizes: only a check that it runs.")
    ] = False,
    overwrite: options.Overwrite = False,
    json_results: options.Json = False,
) -> None:
    """Measure speed and memory with interleaved timings; tables, JSON and CSV."""
    from certiseg.bench.run import run
    from certiseg.bench.subject import Options
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.sampling.engine import Engine

    keep_freed_memory()
    asked = Options(
        turns=turns,
        seed=seed,
        models=tuple(model or ()),
        size=size_of(size, "--size"),
        image=image,
        num_samples=num_samples,
        num_classes=num_classes,
        binary=binary,
        channels=channels,
        device=device,
        engine=Engine(
            precision=precision.value,
            channels_last=channels_last,
            compile=compile,
            cuda_graphs=cuda_graphs,
            noise_on=noise_on.value,
        ),
        quick=quick,
        progress=not json_results,
        command=shlex.join(["certiseg", *sys.argv[1:]]),
    )
    console, records = Screen(), []
    for result in run(names or (), asked, out, overwrite=overwrite):
        if json_results:
            records.append(result.record())
        else:
            console.print(result.rich())
    if json_results:
        print(json.dumps(records))
    elif out is not None:
        console.print(f"results: {out}")
