"""Pascal VOC 2012: 20 objects and background, with or without the labels of SBD."""

from __future__ import annotations

from pathlib import Path

from certiseg.datasets.card import Card, check_split, class_list
from certiseg.datasets.labels import Ids
from certiseg.datasets.layout import listed_pairs
from certiseg.datasets.pairs import Paired

_CLASSES, _PALETTE = class_list("voc")

CARD = Card(
    name="Pascal VOC 2012",
    classes=_CLASSES,
    palette=_PALETTE,
    channels=3,
    source=(
        "Everingham et al.: The Pascal Visual Object Classes challenge, IJCV 2010; VOC 2012; split "
        "trainaug with labels of Hariharan et al.: Semantic contours from inverse detectors, 2011"
    ),
    licence="photographs by the terms of Flickr; not redistributed with certiseg",
)

SPLITS = ("train", "val", "trainval", "trainaug")
_INNER = ("VOC2012", "VOCdevkit/VOC2012")
_LISTS = "ImageSets/Segmentation"


def voc(root: str | Path, split: str) -> Paired:
    """VOC 2012 images of `split` ("train", "val", "trainval", "trainaug") in their sizes.

    Layout: root/JPEGImages/NAME.jpg, root/SegmentationClass/NAME.png (ids 0-20, 255 = void, as
    indices of a palette) and the list root/ImageSets/Segmentation/SPLIT.txt; root may also hold
    VOC2012 or VOCdevkit/VOC2012. trainaug: with labels in SegmentationClassAug for images without
    labels in VOC. Raises InputError for another layout.
    """
    check_split(split, SPLITS, CARD.name)
    folders = ["SegmentationClass"]
    remedy = "unpack VOCtrainval_11-May-2012.tar and pass the folder that holds JPEGImages"
    if split == "trainaug":
        folders.append("SegmentationClassAug")
        remedy += ", with the labels of SBD as PNG in SegmentationClassAug"
    pairs = listed_pairs(root, f"{_LISTS}/{split}.txt", folders, _INNER, remedy)
    return Paired(pairs, CARD, Ids(CARD.num_classes))
