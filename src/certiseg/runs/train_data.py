"""The training and validation pictures that the options of `certiseg train` name, with or without
their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from certiseg.datasets.card import Samples
from certiseg.datasets.folder import Folder
from certiseg.datasets.generic import generic_card
from certiseg.datasets.pictures import Pictures
from certiseg.errors import InputError
from certiseg.runs.pictures import open_pictures
from certiseg.runs.train_denoiser import PictureSet
from certiseg.training.memory import check_memory, hold_pictures


def training_data(
    data: str,
    root: Path | None,
    pairs: Mapping[str, Path | None],
    classes: str | None,
    ignore: Sequence[int],
    channels: int,
) -> tuple[Samples, Samples]:
    """(train, val) of a data set by name, of a YAML file, or of "folder" (pairs, classes, ...).

    pairs: option name -> folder, in the order images, labels, val images, val labels.
    Raises InputError for options that the data set needs and that are missing.
    """
    if data != "folder":
        train, val = (open_pictures(data, root, split, "or folder") for split in ("train", "val"))
        return train, val
    images, labels, val_images, val_labels = pairs.values()
    if not (images and labels and val_images and val_labels and classes):
        missing = [name for name, path in pairs.items() if path is None]
        missing += [] if classes else ["--classes"]
        raise InputError(f"expected {', '.join(missing)} with --data folder, got none; add them")
    if channels not in (1, 3):
        raise InputError(f"expected --channels 1 or 3, got {channels}; 3 is RGB")
    card = generic_card(images.resolve().name, classes, channels)
    return (
        Folder(images, labels, card, ignore=ignore),
        Folder(val_images, val_labels, card, ignore=ignore),
    )


def training_pictures(
    data: str,
    root: Path | None,
    images: Path | None,
    val_images: Path | None,
    channels: int,
    memory: float,
) -> PictureSet:
    """The pictures of a data set (as above), or of two folders; labels play no part.

    memory: GiB of them to keep. Raises InputError for options that are needed and missing.
    """
    check_memory(memory)
    if data != "folder":
        samples, checked = training_data(data, root, {}, None, (), channels)
        card = samples.card
        return PictureSet(
            card.name,
            card.source,
            card.licence,
            card.channels,
            hold_pictures(samples, memory),
            hold_pictures(checked, memory),
        )
    if images is None or val_images is None:
        raise InputError("expected --images and --val-images with --data folder; add them")
    if channels not in (1, 3):
        raise InputError(f"expected --channels 1 or 3, got {channels}; 3 is RGB")
    return PictureSet(
        images.resolve().name,
        "folders given by the user",
        "as stated by the owner of the data",
        channels,
        hold_pictures(Pictures(images, channels), memory),
        hold_pictures(Pictures(val_images, channels), memory),
    )
