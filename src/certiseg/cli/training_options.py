"""Options that the commands which train share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for weights and card.")]
Epochs = Annotated[int, typer.Option(help="Passes over the training pictures.")]
Root = Annotated[Path | None, typer.Option(help="The folder of --data camvid, cityscapes, ...")]
Images = Annotated[Path | None, typer.Option(help="folder: training pictures.")]
ValImages = Annotated[Path | None, typer.Option(help="folder: validation pictures.")]
Channels = Annotated[int, typer.Option(help="folder: 3 for RGB, 1 for grey.")]
Crop = Annotated[str | None, typer.Option(help="Training crop HxW; default whole.")]
BatchSize = Annotated[int, typer.Option(help="Pictures a step.")]
Rate = Annotated[float, typer.Option(help="Highest learning rate.")]
Seed = Annotated[int, typer.Option(help="Seed of weights, order, crops and noise.")]
Device = Annotated[str, typer.Option(help="Torch device.")]
Precision = Annotated[
    options.Precision, typer.Option(help="Of training passes; float16 on CUDA alone.")
]
Memory = Annotated[
    float, typer.Option(help="GiB of pictures to keep in memory; others are read in each epoch.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the interrupted training in -o.")
]
