"""Any pair of image and label folders, described by a small YAML file.

    name: yard
    classes: [grass, path, shed]
    splits:
      train: {images: train/images, labels: train/labels}
      val: {images: val/images, labels: val/labels}

docs/datasets.md lists the other fields.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from certiseg.datasets.card import IGNORE, Card, customary_palette
from certiseg.datasets.described_labels import BY_COLOUR, BY_ID, truth_of
from certiseg.datasets.images import IMAGE_SUFFIXES
from certiseg.datasets.pairs import Paired, Reading, paired_by_stem
from certiseg.datasets.sheet import Sheet, boolean, colour, many, mapping, text, whole
from certiseg.errors import InputError

SUFFIXES = (".yaml", ".yml")
_NEEDED = ("name", "classes", "splits")
_KNOWN = (
    *_NEEDED,
    *("palette", "channels", "image_suffix", "label_suffix"),
    *BY_ID,
    *BY_COLOUR,
    *("grey_as_rgb", "orientation", "source", "licence"),
)
_ORIENTATIONS = {"stored": False, "exif": True}


def described(path: str | Path, split: str) -> Paired:
    """The pairs of `split` of the data set that the YAML file describes.

    Folders are relative to the file; folders within are searched too. Files pair when their paths
    agree up to the suffixes. Raises InputError, one line that starts with the file, for unknown or
    missing fields, values of a wrong kind, a split it does not have, and folders that do not pair.
    """
    sheet = Sheet(Path(path), _NEEDED, _KNOWN)
    card = _card(sheet)
    truth = truth_of(sheet, card)
    orientation = sheet.take("orientation", text, "stored or exif", "stored")
    if orientation not in _ORIENTATIONS:
        sheet.refuse("orientation", "stored or exif", orientation)
    reading = Reading(
        sheet.take("grey_as_rgb", boolean, "true or false", False), _ORIENTATIONS[orientation]
    )
    images, labels = _folders(sheet, split)
    ending = "the end of file names, such as _mask.png"
    image_suffix = sheet.take("image_suffix", text, ending, "")
    label_suffix = sheet.take("label_suffix", text, ending, ".png")
    image_suffixes = (image_suffix,) if image_suffix else IMAGE_SUFFIXES
    try:
        pairs = paired_by_stem(images, labels, image_suffixes, (label_suffix,), nested=True)
    except InputError as error:
        raise InputError(f"{path}, split {split}: {error}") from None
    return Paired(pairs, card, truth, reading)


def _card(sheet: Sheet) -> Card:
    words = f"a list of 2 to {IGNORE - 1} names (a number or a yes in quotation marks)"
    classes: list[str] = sheet.take("classes", many(text), words, [])
    if not 2 <= len(classes) < IGNORE:
        sheet.refuse("classes", words, classes)
    for number, name in enumerate(classes):
        if name in classes[:number]:
            sheet.fail("each class once", f"{name!r} twice", "rename it", "classes", number)
    own = list(customary_palette(len(classes)))
    palette = sheet.take("palette", many(colour), "a list of [red, green, blue], 0..255", own)
    if len(palette) != len(classes):
        sheet.fail(
            f"a colour for each of {len(classes)} classes",
            f"{len(palette)}",
            "add or remove some",
            "palette",
        )
    channels = sheet.take("channels", whole(1, 3), "3 (RGB) or 1 (grey)", 3)
    if channels == 2:
        sheet.refuse("channels", "3 (RGB) or 1 (grey)", channels)
    return Card(
        name=sheet.take("name", text, "text", ""),
        classes=tuple(classes),
        palette=tuple(palette),
        channels=channels,
        source=sheet.take("source", text, "text", f"described by {sheet.path.name}"),
        licence=sheet.take("licence", text, "text", "as stated by the owner of the data"),
    )


def _folders(sheet: Sheet, split: str) -> tuple[Path, Path]:
    words = "a mapping such as val: {images: FOLDER, labels: FOLDER}"
    splits: dict[Any, Any] = sheet.take("splits", mapping, words, {})
    for name, folders in splits.items():
        sides = folders if isinstance(folders, dict) else {}
        if (
            text(name) is None
            or set(sides) != {"images", "labels"}
            or None in map(text, sides.values())
        ):
            sheet.refuse("splits", words, {name: folders}, name)
    if split not in splits:
        sheet.fail(
            f"the split {split}", f"only {', '.join(splits)}", "add or choose a split", "splits"
        )
    below = sheet.path.parent
    images, labels = (below / splits[split][side] for side in ("images", "labels"))
    for side, folder in (("images", images), ("labels", labels)):
        if not folder.is_dir():
            sheet.fail(
                f"a folder of {side}",
                f"none at {folder}",
                "paths are relative to the file",
                "splits",
                split,
                side,
            )
    return images, labels
