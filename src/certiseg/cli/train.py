"""`certiseg train`: a small segmentation network, trained under the noise it will be used with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options, training_options
from certiseg.cli.numbers import size_of, whole_numbers_of
from certiseg.cli.training_bar import steps_bar, training_bar
from certiseg.rounding import exact, share_down


def train(
    data: Annotated[
        str,
        typer.Option(
            help="As in evaluate (camvid, cityscapes, ..., FILE.yaml), or folder: your own folders."
        ),
    ],
    out: training_options.Out,
    sigma: Annotated[float, typer.Option(help="Noise in [0, 1] input units; 0 = none.")],
    sigma_from: Annotated[
        float | None, typer.Option(help="Noise of each view, even in this .. sigma.")
    ] = None,
    consistency: Annotated[
        float, typer.Option(help="Weight of agreement under two draws of noise; 5 to 20 is usual.")
    ] = 0.0,
    network: Annotated[
        str, typer.Option(help="unet, or efficientnet-lite0, -lite1, -lite2.")
    ] = "unet",
    init: Annotated[
        str | None,
        typer.Option(help="Weights to start from: imagenet, certiseg:NAME or an earlier folder."),
    ] = None,
    epochs: training_options.Epochs = 60,
    root: training_options.Root = None,
    images: training_options.Images = None,
    labels: Annotated[Path | None, typer.Option(help="folder: their label maps (PNG).")] = None,
    val_images: training_options.ValImages = None,
    val_labels: Annotated[Path | None, typer.Option(help="folder: their label maps.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="folder: number of classes, or a file, one name a line.")
    ] = None,
    ignore: Annotated[str, typer.Option(help="folder: label ids to ignore, as 11,12.")] = "",
    channels: training_options.Channels = 3,
    crop: training_options.Crop = None,
    batch_size: training_options.BatchSize = 8,
    lr: training_options.Rate = 3e-3,
    widths: Annotated[str, typer.Option(help="Channels at 1/2, 1/4, ...")] = "24,32,64,96,120",
    blocks: Annotated[str, typer.Option(help="Residual blocks at 1/2, 1/4, ...")] = "0,2,2,2,1",
    seed: training_options.Seed = 0,
    device: training_options.Device = "cpu",
    precision: training_options.Precision = options.Precision.float32,
    memory: training_options.Memory = 4.0,
    resume: training_options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Train a segmentation network; write model.safetensors, card.json and CARD.md."""
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.pictures import is_described
    from certiseg.runs.train import bare, run_training, spell_command
    from certiseg.runs.train_data import training_data
    from certiseg.training.settings import TrainSettings

    keep_freed_memory()
    settings = TrainSettings(
        sigma=sigma,
        epochs=epochs,
        batch_size=batch_size,
        crop=size_of(crop),
        lr=lr,
        seed=seed,
        device=device,
        widths=whole_numbers_of("--widths", widths),
        blocks=whole_numbers_of("--blocks", blocks),
        sigma_from=sigma_from,
        network=network,
        consistency=consistency,
        precision=precision.value,
    )
    pairs = {
        "--images": images,
        "--labels": labels,
        "--val-images": val_images,
        "--val-labels": val_labels,
    }
    ignored = whole_numbers_of("--ignore", ignore) if ignore else ()
    train_set, val_set = training_data(data, root, pairs, classes, ignored, channels)
    own: dict[str, object] = {}
    if data == "folder":
        is_file = classes is not None and not classes.isdecimal()
        own = {**pairs, "--classes": Path(str(classes)) if is_file else classes}
        own |= {"--ignore": ignore or None, "--channels": channels}
    command = spell_command(
        {
            "--data": Path(data) if is_described(data) else data,
            "--root": root,
            **own,
            "--sigma": exact(sigma),
            "--sigma-from": sigma_from,
            "--consistency": consistency or None,
            "--network": network,
            "--init": init and bare(init),
            "--epochs": epochs,
            "--crop": crop,
            "--batch-size": batch_size,
            "--lr": exact(lr),
            "--widths": widths if network == "unet" else None,
            "--blocks": blocks if network == "unet" else None,
            "--seed": seed,
            "--device": device,
            "--precision": precision.value if precision != "float32" else None,
            "-o": out.resolve().name,
        }
    )
    with training_bar() as progress:
        card = run_training(
            train_set,
            val_set,
            settings,
            out,
            command,
            lambda steps: steps_bar(progress, steps),
            init=init,
            memory=memory,
            resume=resume,
            overwrite=overwrite,
        )
    if card is None:
        return
    figures = card["figures"]
    for words, values in (("clean", figures["clean"]), ("one draw of noise", figures["one_draw"])):
        if values is not None:
            progress.console.print(
                f"val, {words}: accuracy {share_down(values['accuracy'])}, "
                f"mIoU {share_down(values['miou'])}"
            )
    progress.console.print(f"written: {out} ({card['weights']['bytes']} bytes of weights)")
