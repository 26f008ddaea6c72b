"""COCO-Stuff 164k: 80 things and 91 stuff classes on the photographs of COCO 2017."""

from __future__ import annotations

from pathlib import Path

from certiseg.datasets.card import Card, check_split, class_list
from certiseg.datasets.images import Reading
from certiseg.datasets.labels import Ids
from certiseg.datasets.layout import Layout, find_pairs
from certiseg.datasets.pairs import Paired

_CLASSES, _PALETTE = class_list("coco_stuff")

CARD = Card(
    name="COCO-Stuff",
    classes=_CLASSES,
    palette=_PALETTE,
    channels=3,
    source=(
        "Caesar, Uijlings, Ferrari: COCO-Stuff, thing and stuff classes in context, CVPR 2018; "
        "names of its labels.txt without the 11 that no image has; the data set has no colours of "
        "its own: the Pascal VOC colours from 1 on"
    ),
    licence="annotations CC BY 4.0, photographs by the terms of Flickr; not redistributed here",
)

SPLITS = ("train", "val")
_NEVER = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
LABEL_MAP = {raw: place for place, raw in enumerate(raw for raw in range(182) if raw not in _NEVER)}
"""Raw id (that of labels.txt - 1) -> class. 11 ids were withdrawn from COCO and never occur."""

_CONVERTED = "_labelTrainIds.png"
# Converted labels lie beside the raw ones, whose suffix they have too: so they come first.
_ENDS = (".jpg", (_CONVERTED, ".png"))
_PUBLISHED = Layout(
    ("images/{split}", "{split}"), ("annotations/{split}", "stuffthingmaps/{split}"), *_ENDS
)
_FLAT = Layout(("{split}_img",), ("{split}_label",), *_ENDS)


def coco_stuff(root: str | Path, split: str) -> Paired:
    """COCO-Stuff images of `split` ("train" or "val") in their sizes; 255, unlabelled, is ignored.

    Layout: root/images/SPLIT2017/ID.jpg with root/annotations/SPLIT2017/ID.png; images may lie in
    root/SPLIT2017, labels in root/stuffthingmaps/SPLIT2017; or flat root/SPLIT_img with
    root/SPLIT_label. Labels are raw ids 0-181, or ID_labelTrainIds.png (0-170) where these lie.
    Grey photographs are read as RGB. Raises InputError for another layout.
    """
    check_split(split, SPLITS, CARD.name)
    pairs, suffix = find_pairs(root, split, {_PUBLISHED: f"{split}2017", _FLAT: split})
    label_map = None if suffix == _CONVERTED else LABEL_MAP
    labels = Ids(CARD.num_classes, label_map=label_map)
    return Paired(pairs, CARD, labels, Reading(exif="ignore", convert=True))
