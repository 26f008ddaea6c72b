"""Pascal Context, 59 classes: all of the scene labelled, on photographs of VOC 2010."""

from __future__ import annotations

from pathlib import Path

from certiseg.datasets.card import Card, check_split, class_list
from certiseg.datasets.labels import Ids
from certiseg.datasets.layout import listed_pairs
from certiseg.datasets.pairs import Paired

_CLASSES, _PALETTE = class_list("pascal_context")

CARD = Card(
    name="Pascal Context",
    classes=_CLASSES,
    palette=_PALETTE,
    channels=3,
    source=(
        "Mottaghi et al.: The role of context for object detection and semantic segmentation in "
        "the wild, CVPR 2014; the 59 most frequent classes by name, as HRNet-Semantic-Segmentation "
        "orders them; colours of mmsegmentation 1.2.2 (bicycle and snow share one)"
    ),
    licence="photographs by the terms of Flickr; not redistributed with certiseg",
)

SPLITS = ("train", "val")
_INNER = ("VOC2010", "VOCdevkit/VOC2010")
_BACKGROUND = 0


def pascal_context(root: str | Path, split: str) -> Paired:
    """Pascal Context images of `split` ("train": 4998, "val": 5105) in their sizes.

    Layout: root/JPEGImages/NAME.jpg, root/SegmentationClassContext/NAME.png (0 = background,
    which is ignored, 1-59 = class + 1) and the list root/ImageSets/SegmentationContext/SPLIT.txt;
    root may also hold VOC2010 or VOCdevkit/VOC2010. docs/datasets.md tells how trainval_merged.json
    becomes such files. Raises InputError for another layout.
    """
    check_split(split, SPLITS, CARD.name)
    pairs = listed_pairs(
        root,
        f"ImageSets/SegmentationContext/{split}.txt",
        ["SegmentationClassContext"],
        _INNER,
        "make label files and lists from trainval_merged.json (docs/datasets.md)",
    )
    label_map = {label + 1: label for label in range(CARD.num_classes)}
    return Paired(pairs, CARD, Ids(CARD.num_classes, ignore=(_BACKGROUND,), label_map=label_map))
