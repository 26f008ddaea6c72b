"""`certiseg train denoiser`: a denoiser to put before a network that never saw noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options, training_options
from certiseg.cli.numbers import size_of, whole_numbers_of
from certiseg.cli.training_bar import steps_bar, training_bar
from certiseg.rounding import exact, nearest, share_down


def train_denoiser(
    data: Annotated[
        str,
        typer.Option(
            help="As in evaluate (camvid, ..., FILE.yaml), or folder: your own folders of pictures."
        ),
    ],
    out: training_options.Out,
    sigma: Annotated[float, typer.Option(help="Noise in [0, 1] input units.")],
    sigma_from: Annotated[
        float | None, typer.Option(help="Noise of each picture, even in this .. sigma.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--for", help="The network whose labels are to stay, as --model of certify."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="Denoiser to start from: certiseg:NAME or an earlier folder."),
    ] = None,
    epochs: training_options.Epochs = 60,
    root: training_options.Root = None,
    images: training_options.Images = None,
    val_images: training_options.ValImages = None,
    channels: training_options.Channels = 3,
    crop: training_options.Crop = None,
    batch_size: training_options.BatchSize = 8,
    lr: training_options.Rate = 4e-3,
    stability: Annotated[
        float,
        typer.Option(help="With --for: weight of keeping its labels, beside 1 for the noise."),
    ] = 0.1,
    widths: Annotated[str, typer.Option(help="Channels at 1/2, 1/4, ...")] = "24,48,64,96",
    blocks: Annotated[str, typer.Option(help="Residual blocks at 1/2, 1/4, ...")] = "0,1,2,3",
    seed: training_options.Seed = 0,
    device: training_options.Device = "cpu",
    precision: training_options.Precision = options.Precision.float32,
    memory: training_options.Memory = 4.0,
    resume: training_options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Train a denoiser on pictures alone, labels are not read; for --denoiser of certify and
    evaluate."""
    from certiseg.models.pretrained import found_start
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.model import open_model
    from certiseg.runs.pictures import is_described
    from certiseg.runs.train import bare, spell_command
    from certiseg.runs.train_data import training_pictures
    from certiseg.runs.train_denoiser import run_denoiser_training
    from certiseg.training.denoise_settings import DenoiseSettings

    keep_freed_memory()
    settings = DenoiseSettings(
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
        stability=stability,
        precision=precision.value,
    )
    guide = None if model is None else open_model(model)
    start = None if init is None else found_start(init)
    pictures = training_pictures(data, root, images, val_images, channels, memory)
    command = spell_command(
        {
            "--data": Path(data) if is_described(data) else data,
            "--root": root,
            "--images": images,
            "--val-images": val_images,
            "--channels": channels if data == "folder" else None,
            "--for": model and bare(model),
            "--init": init and bare(init),
            "--sigma": exact(sigma),
            "--sigma-from": sigma_from,
            "--epochs": epochs,
            "--crop": crop,
            "--batch-size": batch_size,
            "--lr": exact(lr),
            "--stability": exact(stability) if model else None,
            "--widths": widths,
            "--blocks": blocks,
            "--seed": seed,
            "--device": device,
            "--precision": precision.value if precision != "float32" else None,
            "-o": out.resolve().name,
        },
        name="train denoiser",
    )
    with training_bar() as progress:
        card = run_denoiser_training(
            pictures,
            settings,
            guide,
            out,
            command,
            lambda steps: steps_bar(progress, steps),
            start=start,
            resume=resume,
            overwrite=overwrite,
        )
    if card is None:
        return
    figures = card["figures"]
    for before, after in zip(figures["noisy"], figures["denoised"], strict=True):
        labels = ""
        if after["agreement"] is not None:
            kept = [share_down(found["agreement"]) for found in (before, after)]
            labels = f"; labels kept {' -> '.join(kept)}"
        progress.console.print(
            f"val, sigma {exact(before['sigma'])}: {nearest(before['psnr'], 2)} -> "
            f"{nearest(after['psnr'], 2)} dB{labels}",
            highlight=False,
        )
    progress.console.print(f"written: {out} ({card['weights']['bytes']} bytes of weights)")
