"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="certiseg:NAME (shipped), python:module:function, what certiseg train or train-clouds "
        "wrote, a Hugging Face folder or hf:ORG/NAME, a MONAI bundle, FILE.onnx, FILE.pt2, "
        "torchvision:NAME:WEIGHTS, smp:FOLDER, timm:FOLDER, hrnet:FILE.pth or pointnet2:FILE.pth.",
    ),
]
Denoiser = Annotated[
    str | None,
    typer.Option(
        help="Put before a model of pictures that never saw noise: certiseg:NAME, "
        "python:module:function, or what certiseg train denoiser wrote."
    ),
]
NonRobust = Annotated[str | None, typer.Option(help="A model trained without noise.")]
ModelBySigma = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="As in certify; SIGMA=MODEL for one noise. Default for solids and camvid: what ships.",
    ),
]
MostDraws = Annotated[
    int | None, typer.Option(help="Leave out lines that take more test draws than this.")
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out files that are absent or damaged.")
]
NumSamples = Annotated[int, typer.Option("--num-samples", "-n", help="Draws of noise an input.")]
Sigma = Annotated[
    float, typer.Option(help="Noise, in units of the input ([0, 1]); rotations: radians.")
]
Alpha = Annotated[float, typer.Option(help="Error probability for one input.")]
Seed = Annotated[
    int | None,
    typer.Option(help="Replays a run; default: fresh entropy. The best of m seeds costs m alpha."),
]
Device = Annotated[str | None, typer.Option(help="Such as cpu, cuda; default: the model's own.")]
NumClasses = Annotated[
    int | None,
    typer.Option(help="For a python: model that returns labels; evaluate needs it for all."),
]
Channels = Annotated[
    int | None,
    typer.Option(
        help="For a python: model: 3 for RGB or x, y, z (default), 1 for grey, 6 with normals."
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(help="The model sees pictures at this scale, or several: 0.5, or 0.25,0.5,1."),
]
Flip = Annotated[
    bool, typer.Option("--flip", help="The model sees pictures mirrored too, and averages.")
]
Output = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")]
Again = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace earlier results; the best of m runs costs m alpha, not alpha."
    ),
]
Workers = Annotated[
    int | None, typer.Option(help="Processes; with --ray actors. Default: this process alone.")
]
Threads = Annotated[
    int | None, typer.Option(help="Of each worker; default: the cores shared out, of actors 1.")
]
Ray = Annotated[
    str | None, typer.Option(help="A Ray cluster: its address, auto, or local to start one.")
]
Json = Annotated[bool, typer.Option("--json", help="Only JSON on standard output.")]


class Law(StrEnum):
    """What is drawn: see runs.settings.Law."""

    gaussian = "gaussian"
    coordinates = "coordinates"
    rotation = "rotation"


class Correction(StrEnum):
    """How the error is kept down over all pixels or points at once."""

    holm = "holm"
    bonferroni = "bonferroni"
    k_fwer = "k-fwer"
    k_fwer_single = "k-fwer-single"


class Precision(StrEnum):
    """What passes are computed in."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Place(StrEnum):
    """Where noise is made."""

    host = "host"
    device = "device"


class Selection(StrEnum):
    """Where the candidate labels come from."""

    pooled = "pooled"
    two_stages = "split"  # the name split belongs to str


ChannelsLast = Annotated[
    bool, typer.Option("--channels-last", help="Give the model its batches in this layout.")
]
Compile = Annotated[bool, typer.Option("--compile", help="Run the model through torch.compile.")]
CudaGraphs = Annotated[
    bool, typer.Option("--cuda-graphs", help="With --compile, on CUDA: one graph a pass.")
]
BatchSize = Annotated[int | None, typer.Option(help="Draws a pass; default fits the memory.")]
