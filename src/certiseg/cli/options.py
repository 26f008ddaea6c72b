"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from certiseg.runs.parameters import PARAMETERS


def option(name: str, help: str | None = None) -> Any:
    """The typer option of a parameter of certification. help: where a command needs another
    text."""
    known = PARAMETERS[name]
    return typer.Option(*(known.flags or (f"--{name.replace('_', '-')}",)), help=help or known.help)


def kind_of(name: str) -> Any:
    """The type of a parameter on the command line: an enumeration of its choices, or a plain
    type."""
    known = PARAMETERS[name]
    if not known.choices:
        return known.kind
    # Members are numbered, since str has methods such as split.
    return StrEnum(name, [(f"_{number}", word) for number, word in enumerate(known.choices)])


NumSamples = Annotated[int, option("num_samples")]
Sigma = Annotated[float, option("sigma")]
Alpha = Annotated[float, option("alpha")]
Tau = Annotated[float | None, option("tau", "Probability a label must exceed; default 0.75.")]
Grid = Annotated[int | None, option("grid")]
Seed = Annotated[int | None, option("seed")]
Device = Annotated[str | None, option("device")]
BatchSize = Annotated[int | None, option("batch_size")]
ChannelsLast = Annotated[bool, option("channels_last")]
Compile = Annotated[bool, option("compile")]
CudaGraphs = Annotated[bool, option("cuda_graphs")]


class Precision(StrEnum):
    """Precision of passes."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Place(StrEnum):
    """Where noise is generated."""

    host = "host"
    device = "device"


class ExifChoice(StrEnum):
    """Treatment of an EXIF orientation."""

    apply = "apply"
    ignore = "ignore"


class MaskChoice(StrEnum):
    """Content of label files in folders."""

    ids = "ids"
    binary = "binary"


def reading_of(exif: ExifChoice | None, convert: bool) -> Any:
    """The ``datasets.images.Reading`` for these options."""
    from certiseg.datasets.images import Reading

    return Reading(None if exif is None else exif.value, convert)


Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="certiseg:NAME (bundled), python:module:function or python:FILE.py:function, what "
        "certiseg train or train-clouds wrote, a Hugging Face folder or hf:ORG/NAME, a MONAI "
        "bundle, FILE.onnx, FILE.pt2, torchvision:NAME:WEIGHTS, smp:FOLDER, timm:FOLDER, "
        "hrnet:FILE.pth or pointnet2:FILE.pth.",
    ),
]
NonRobust = Annotated[str | None, typer.Option(help="A model trained without noise.")]
ModelBySigma = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="As in certify; SIGMA=MODEL for one sigma. Default for solids and camvid: bundled.",
    ),
]
MostDraws = Annotated[
    int | None, typer.Option(help="Leave out rows that need more test draws than this.")
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Skip files that are missing or damaged.")
]
NumClasses = Annotated[
    int | None,
    typer.Option(help="Number of classes, where the model does not tell."),
]
Binary = Annotated[
    str | None,
    typer.Option(
        help="For a model with one channel: probability (after a sigmoid) or logit, class 1 above "
        "0.5; another threshold on the probability: probability:0.3, logit:0.3.",
    ),
]
Channels = Annotated[
    int | None,
    typer.Option(
        help="For a python: model: 3 for RGB or x, y, z (default), 1 for grey, 6 with normals."
    ),
]
Exif = Annotated[
    ExifChoice | None,
    typer.Option(help="Images with an EXIF orientation: turn them by it, or not; default: not."),
]
Convert = Annotated[
    bool,
    typer.Option(
        "--convert", help="Read grey, palette and RGBA images as RGB (equal channels as grey)."
    ),
]
Mask = Annotated[
    MaskChoice,
    typer.Option(help="Label files of folders: class ids, or binary masks of 0 and 255 (or 1)."),
]
Category = Annotated[
    str | None, typer.Option(help="Point clouds: category, for a model that takes one.")
]
Normalise = Annotated[
    bool,
    typer.Option(
        "--normalise",
        help="Point clouds: first shift the mean to 0 and scale the largest norm to 1.",
    ),
]
Points = Annotated[
    int | None,
    typer.Option(help="Number of points to resample a cloud to; default: all points as given."),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="Point clouds: what all columns of the file are, - for unused; x,y,z,-,label."
    ),
]
Output = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")]
Again = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace earlier results; the best of m runs costs m alpha, not alpha.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Number of processes, or of actors with --ray. Default: this process alone."),
]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads per worker; default: an equal share of the cores, for actors 1."),
]
Ray = Annotated[
    str | None, typer.Option(help="A Ray cluster: its address, auto, or local to start one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output.")]
Window = Annotated[
    tuple[float, float] | None,
    typer.Option(help="Volumes: the intensities mapped to 0 and 1, as in training; -160 240."),
]
WindowPercentiles = Annotated[
    tuple[float, float] | None,
    typer.Option(help="Volumes: the same as percentiles of each file; 0.5 99.5."),
]
