"""`certiseg train-clouds`: PointNet++ for parts of shapes, trained under the noise it will meet."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options, training_options
from certiseg.cli.training_bar import steps_bar, training_bar
from certiseg.rounding import exact, share_down


class Clouds(StrEnum):
    """The data sets that train-clouds knows."""

    solids = "solids"
    shapenet = "shapenet"


class Noise(StrEnum):
    """What the clouds are disturbed by."""

    none = "none"
    coordinates = "coordinates"
    rotation = "rotation"


class Axis(StrEnum):
    x = "x"
    y = "y"
    z = "z"


class Preset(StrEnum):
    """Sizes of the network."""

    small = "small"
    msg = "msg"


def train_clouds(
    data: Annotated[Clouds, typer.Option(help="Data set; solids are generated.")],
    out: training_options.Out,
    noise: Annotated[
        Noise, typer.Option(help="Gaussian on the coordinates, or rotation.")
    ] = Noise.none,
    sigma: Annotated[
        float, typer.Option(help="Of the noise: in input units, or in radians for rotations.")
    ] = 0.0,
    axis: Annotated[
        Axis | None, typer.Option(help="rotation: around this axis; default: around any.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="shapenet: its folder.")] = None,
    channels: Annotated[int, typer.Option(help="3: coordinates; 6: and normals.")] = 3,
    points: Annotated[int, typer.Option(help="Points of each cloud.")] = 2048,
    limit: Annotated[
        int | None, typer.Option(help="Train on at most so many, evenly over the categories.")
    ] = None,
    skip_bad: options.SkipBad = False,
    preset: Annotated[Preset, typer.Option(help="msg: as published.")] = Preset.small,
    epochs: Annotated[int, typer.Option(help="Passes over the training clouds.")] = 12,
    batch_size: Annotated[int, typer.Option(help="Clouds a step.")] = 16,
    lr: training_options.Rate = 2e-3,
    seed: training_options.Seed = 0,
    device: training_options.Device = "cpu",
    resume: training_options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Train PointNet++ on point clouds and write model.safetensors, card.json and CARD.md."""
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.train import spell_command
    from certiseg.runs.train_clouds import open_splits, run_cloud_training
    from certiseg.training.cloud_noise import CloudNoise
    from certiseg.training.cloud_settings import CloudSettings

    keep_freed_memory()
    settings = CloudSettings(
        epochs=epochs,
        noise=CloudNoise(noise.value, sigma, None if axis is None else axis.value),
        preset=preset.value,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        device=device,
    )
    splits = open_splits(
        data.value, root, points=points, channels=channels, limit=limit, skip_bad=skip_bad
    )
    command = spell_command(
        {
            "--data": data.value,
            "--root": root,
            "--noise": noise.value,
            "--sigma": exact(sigma),
            "--axis": axis,
            "--channels": channels,
            "--points": points,
            "--limit": limit,
            "--preset": preset.value,
            "--epochs": epochs,
            "--batch-size": batch_size,
            "--lr": exact(lr),
            "--seed": seed,
            "--device": device,
            "-o": out.resolve().name,
        },
        name="train-clouds",
    ) + (" --skip-bad" if skip_bad else "")
    with training_bar() as progress:

        def reading(clouds: int) -> Callable[[], None]:
            task = progress.add_task("reading clouds", total=clouds)
            return lambda: progress.advance(task)

        card = run_cloud_training(
            splits,
            settings,
            out,
            command,
            lambda steps: steps_bar(progress, steps),
            reading,
            resume=resume,
            overwrite=overwrite,
        )
    figures = card["figures"]
    for split, found in (("val", figures), ("test", figures["test"])):
        for words, values in (("clean", found["clean"]), ("one draw", found["one_draw"])):
            if values is not None:
                progress.console.print(
                    f"{split}, {words}: accuracy {share_down(values['accuracy'])}, "
                    f"mIoU {share_down(values['miou'])}"
                )
    progress.console.print(f"written: {out} ({card['weights']['bytes']} bytes of weights)")
