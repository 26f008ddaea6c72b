"""`certiseg train` (images, or a denoiser) and `certiseg train-clouds`: base models trained under
the noise of their later use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from certiseg.cli import options
from certiseg.cli.numbers import whole_numbers_of
from certiseg.cli.run_log import with_run_log
from certiseg.cli.settings_options import spelled, with_fields
from certiseg.cli.training_bar import steps_bar, training_bar
from certiseg.screen import remark
from certiseg.training.settings import CloudSettings, DenoiseSettings, TrainSettings

if TYPE_CHECKING:
    from certiseg.training.task import Task

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for weights and card.")]
Root = Annotated[Path | None, "The folder of --data camvid, cityscapes, ..."]
Images = Annotated[Path | None, "folder: training images."]
ValImages = Annotated[Path | None, "folder: validation images."]
Channels = Annotated[int, "folder: 3 for RGB, 1 for grey."]
Memory = Annotated[float, "GiB of images to keep in memory; others are read in each epoch."]
Resume = Annotated[bool, typer.Option("--resume", help="Resume the interrupted training in -o.")]


@with_run_log
@with_fields(TrainSettings)
def train(
    data: Annotated[
        str, "As in evaluate (camvid, cityscapes, ..., FILE.yaml), or folder: your typed folders."
    ],
    out: Out,
    settings: TrainSettings,
    init: Annotated[
        str | None, "Weights to start from: imagenet, certiseg:NAME or an earlier folder."
    ] = None,
    root: Root = None,
    images: Images = None,
    labels: Annotated[Path | None, "folder: their label maps (PNG)."] = None,
    val_images: ValImages = None,
    val_labels: Annotated[Path | None, "folder: their label maps."] = None,
    classes: Annotated[str | None, "folder: number of classes, or a file, a name per line."] = None,
    ignore_index: Annotated[list[str] | None, "folder: label ids to ignore, as 11,12."] = None,
    mask: options.Mask = options.MaskChoice.ids,
    exif: options.Exif = None,
    convert: options.Convert = False,
    channels: Channels = 3,
    memory: Memory = 4.0,
    resume: Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Train a segmentation network; write model.safetensors, card.json and CARD.md."""
    from certiseg.runs.train import training_samples
    from certiseg.training.images import ImageTask

    pairs = {
        "--images": images,
        "--labels": labels,
        "--val-images": val_images,
        "--val-labels": val_labels,
    }
    ignore = ",".join(ignore_index or ())
    ignored = whole_numbers_of("--ignore-index", ignore) if ignore else ()
    samples = training_samples(
        data,
        root,
        pairs,
        classes,
        ignored,
        channels,
        binary=mask is options.MaskChoice.binary,
        reading=options.reading_of(exif, convert),
    )
    typed: dict[str, object] = {"--data": _data(data), "--root": root}
    if data == "folder":
        is_file = classes is not None and not classes.isdecimal()
        typed |= {**pairs, "--classes": Path(str(classes)) if is_file else classes}
        typed |= {
            "--ignore-index": ignore or None,
            **_reading(exif, convert),
            "--channels": channels,
        }
        typed |= {"--mask": "binary"} if mask is options.MaskChoice.binary else {}
    without = () if settings.network == "unet" else ("widths", "blocks")
    _run(
        lambda reading: ImageTask(*samples, settings, memory),
        out,
        spelled("train", {**typed, "--init": _bare(init)}, settings, out, without),
        init=init,
        resume=resume,
        overwrite=overwrite,
    )


@with_run_log
@with_fields(DenoiseSettings)
def train_denoiser(
    data: Annotated[
        str, "As in evaluate (camvid, ..., FILE.yaml), or folder: your typed folders of images."
    ],
    out: Out,
    settings: DenoiseSettings,
    model: Annotated[
        str | None,
        typer.Option("--for", help="Network whose labels to preserve, as in --model of certify."),
    ] = None,
    init: Annotated[
        str | None, "Denoiser to start from: certiseg:NAME or an earlier folder."
    ] = None,
    root: Root = None,
    images: Images = None,
    val_images: ValImages = None,
    exif: options.Exif = None,
    convert: options.Convert = False,
    channels: Channels = 3,
    memory: Memory = 4.0,
    resume: Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Train a denoiser on images without labels; for --denoiser of certify and evaluate."""
    from certiseg.runs.model import open_model
    from certiseg.runs.train import training_images
    from certiseg.training.denoiser import DenoiserTask

    guide = None if model is None else open_model(model)
    reading = options.reading_of(exif, convert)
    splits = training_images(data, root, images, val_images, channels, reading)
    typed = {
        "--data": _data(data),
        "--root": root,
        "--images": images,
        "--val-images": val_images,
        **_reading(exif, convert),
        "--channels": channels if data == "folder" else None,
        "--for": _bare(model),
        "--init": _bare(init),
    }
    _run(
        lambda reading: DenoiserTask(*splits, settings, guide, memory),
        out,
        spelled("train denoiser", typed, settings, out, () if model else ("stability",)),
        init=init,
        resume=resume,
        overwrite=overwrite,
    )


@with_run_log
@with_fields(CloudSettings)
def train_clouds(
    data: Annotated[str, "shapenet; clouds: your typed; or solids: generated."],
    out: Out,
    settings: CloudSettings,
    root: Annotated[Path | None, "shapenet, clouds: its folder."] = None,
    channels: Annotated[int, "3: coordinates; 6: and normals."] = 3,
    points: Annotated[int, "Points of each cloud."] = 2048,
    limit: Annotated[int | None, "Most training clouds, evenly over the categories."] = None,
    skip_bad: options.SkipBad = False,
    resume: Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Train PointNet++ on point clouds and write model.safetensors, card.json and CARD.md."""
    from certiseg.datasets.registry import open_clouds
    from certiseg.training.clouds import CloudTask

    splits = {
        split: open_clouds(
            data,
            channels=channels,
            root=root,
            split=split,
            points=points,
            limit=limit if split == "train" else None,
            skip_bad=skip_bad,
        )
        for split in ("train", "val", "test")
    }
    typed = {"--data": data, "--root": root, "--channels": channels}
    typed |= {"--points": points, "--limit": limit, "--skip-bad": skip_bad or None}
    command = spelled("train-clouds", typed, settings, out)
    _run(
        lambda reading: CloudTask(splits, settings, reading),
        out,
        command,
        resume=resume,
        overwrite=overwrite,
    )


def _reading(exif: options.ExifChoice | None, convert: bool) -> dict[str, object]:
    return {"--exif": None if exif is None else exif.value, "--convert": convert or None}


def _data(data: str) -> str | Path:
    """A data set's name, or the path of its description."""
    from certiseg.datasets.registry import is_described

    return Path(data) if is_described(data) else data


def _bare(spec: str | None) -> str | None:
    from certiseg.training.card import bare

    return spec and bare(spec)


def _run(
    make: Callable[[Callable[[int], Callable[[], None]]], Task],
    out: Path,
    command: str,
    **rest: Any,
) -> None:
    """Train with a progress bar, then print the metrics of the model.

    make: makes the task; called with a function that shows the reading of a number of inputs.
    """
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.train import run_training

    keep_freed_memory()
    with training_bar() as progress:

        def reading(inputs: int) -> Callable[[], None]:
            row = progress.add_task("reading", total=inputs)
            return lambda: progress.advance(row)

        task = make(reading)
        card = run_training(
            task,
            out,
            command,
            lambda n: steps_bar(progress, n),
            note=lambda text: remark(f"note: {text}"),
            **rest,
        )
    if card is not None:
        for line in task.summary(card):
            progress.console.print(line)
        progress.console.print(f"written: {out} ({card['weights']['bytes']} bytes of weights)")


_DEFAULT = "images"
_HELP = ("-h", "--help")


class _WithDefault(TyperGroup):
    """Options directly after the group's name are those of its first command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in _HELP:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args or ["--help"])


app = typer.Typer(
    cls=_WithDefault,
    rich_markup_mode=None,
    help="Train a network on images under noise, or a denoiser. `certiseg train --data ...` is "
    "short for `certiseg train images --data ...`; point clouds: certiseg train-clouds.",
)
app.command(_DEFAULT)(train)
app.command("denoiser")(train_denoiser)
