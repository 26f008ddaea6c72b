"""The data of an evaluation: a folder pair, or a data set by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from certiseg.datasets.card import Card, Samples
from certiseg.datasets.folder import Folder
from certiseg.datasets.images import PLAIN, Exif, Reading
from certiseg.datasets.registry import data_set, names, open_clouds, open_images
from certiseg.datasets.subset import subsample
from certiseg.datasets.volume_file import VOLUME_SUFFIXES, window_of
from certiseg.datasets.volume_folder import VolumeFolder
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runs.class_style import class_style
from certiseg.runs.model import channels_of


def open_samples(
    loaded: LoadedModel,
    *,
    images: str | Path | None = None,
    labels: str | Path | None = None,
    ignore_index: Sequence[int] = (),
    data: str | None = None,
    root: str | Path | None = None,
    split: str | None = None,
    limit: int | None = None,
    points: int | None = None,
    skip_bad: bool = False,
    mask: Literal["ids", "binary"] = "ids",
    exif: Exif | None = None,
    convert: bool = False,
    window: tuple[float, float] | None = None,
    window_percentiles: tuple[float, float] | None = None,
) -> Samples:
    """Open a folder pair (images, labels), which has the model's classes, or a data set (data).

    data: a name, most with root, or a YAML file. split: default "val", for point clouds "test".
    limit: at most this many samples, evenly spread. points, skip_bad: for point clouds, see
    open_clouds. mask: "binary" for label files of 0 and 255 (or 1). exif, convert: see
    ``datasets.images.Reading``; for folder pairs. window, window_percentiles: intensities mapped to
    0 and 1, for volumes and 16-bit images.

    Raises InputError for other combinations, and for data whose channels or classes are not the
    model's.
    """
    images, labels, root = (None if p is None else Path(p) for p in (images, labels, root))
    if (images is None) != (labels is None) or (images is None) == (data is None):
        raise InputError(
            "expected either --images with --labels or --data, got "
            f"{_given(images=images, labels=labels, data=data)}; pass one of the two"
        )
    chosen = window_of(window, window_percentiles)
    binary, reading = mask == "binary", Reading(exif, convert, chosen)
    if data is not None and (binary or reading != PLAIN):
        raise InputError(
            f"expected --mask, --exif, --convert and --window with --images, got --data {data}; a "
            ".yaml file says them itself (mask, orientation, convert, window)"
        )
    if data is not None and data_set(data, "clouds") is not None:
        clouds = open_clouds(
            data,
            channels=channels_of(loaded),
            root=root,
            split=split or "test",
            points=points,
            limit=limit,
            skip_bad=skip_bad,
        )
        check_fit(clouds.card, loaded)
        return clouds
    for option, given in (("--points", points is not None), ("--skip-bad", skip_bad)):
        if given:
            known = " or ".join(names("clouds"))
            raise InputError(f"expected {option} with --data {known}, got images; leave it out")
    samples: Samples
    volumes = images is not None and _holds_volumes(images, loaded)
    if volumes and (binary or exif is not None or convert):
        raise InputError(
            f"expected images with --mask, --exif and --convert, got volumes in {images}; leave "
            "them out"
        )
    if volumes and images is not None and labels is not None:
        card = _folder_card(loaded, images, volumes=True)
        samples = VolumeFolder(images, labels, card, chosen, ignore_index)
    elif images is not None and labels is not None:
        card = _folder_card(loaded, images)
        samples = Folder(images, labels, card, ignore_index, binary=binary, reading=reading)
    else:
        assert data is not None
        samples = open_images(data, root, split or "val", "or --images", also="clouds")
    check_fit(samples.card, loaded)
    return subsample(samples, limit)


def _given(**options: object) -> str:
    return ", ".join(f"--{name}" for name, value in options.items() if value is not None) or "none"


def _holds_volumes(folder: Path, loaded: LoadedModel) -> bool:
    """Whether a folder holds volumes, by the model's kind or else by its files."""
    if loaded.kind is not None or not folder.is_dir():
        return loaded.kind == "volumes"
    return any(path.name.lower().endswith(VOLUME_SUFFIXES[:-1]) for path in folder.iterdir())


def _folder_card(loaded: LoadedModel, images: Path, *, volumes: bool = False) -> Card:
    num_classes = loaded.num_classes
    if num_classes is None:
        raise InputError(
            "expected a model that says how many classes it has, got one that does not; "
            "pass --num-classes"
        )
    channels = channels_of(loaded)
    if volumes:
        # One channel by default; three is the default of images and point clouds.
        channels = loaded.channels or 1
    elif channels not in (1, 3):
        raise InputError(
            f"expected a model for images of 1 or 3 channels with --images, got one for "
            f"{channels}; pass point clouds as --data"
        )
    style = class_style(loaded, num_classes)
    return Card(
        name=images.name,
        classes=style.classes,
        palette=style.palette,
        channels=channels,
        source="a folder pair",
        licence="not stated",
        inputs="volumes" if volumes else None,
    )


def check_fit(card: Card, loaded: LoadedModel) -> None:
    """Raise InputError for data of other channels, classes or order of classes than the model's."""
    num_classes = loaded.num_classes
    if loaded.channels is not None and card.channels != loaded.channels:
        raise InputError(
            f"expected a model for the {card.channels} channels of {card.name}, got one for "
            f"{loaded.channels}; choose another model or other data"
        )
    if num_classes is not None and card.num_classes != num_classes:
        raise InputError(
            f"expected a model of the {card.num_classes} classes of {card.name}, got {num_classes} "
            "classes; choose another model, or describe the data by a .yaml file with the model's "
            "classes and a label_map to them (docs/datasets.md)"
        )
    # Spellings differ between libraries; the same names in another order are another labelling.
    own, theirs = (_plain(names) for names in (card.classes, loaded.classes or ()))
    if own != theirs and sorted(own) == sorted(theirs):
        label = next(i for i, (a, b) in enumerate(zip(own, theirs, strict=True)) if a != b)
        raise InputError(
            f"expected the model's classes in the order of {card.name}, got {theirs[label]!r} as "
            f"class {label} instead of {own[label]!r}; reorder its outputs"
        )


def _plain(names: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in names]
