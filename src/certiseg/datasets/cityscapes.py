"""Cityscapes street scenes, 2048 x 1024: the 19 training classes."""

from __future__ import annotations

from pathlib import Path

from certiseg.datasets.card import IGNORE, Card, check_split
from certiseg.datasets.labels import Ids
from certiseg.datasets.layout import Layout, find_pairs
from certiseg.datasets.pairs import Paired

# Class, raw id and colour as in cityscapesScripts, helpers/labels.py; its trainId is the place.
_TABLE = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
_LARGEST_RAW = 33
_TRAIN_IDS = {raw: place for place, (_, raw, _) in enumerate(_TABLE)}
LABEL_MAP = {raw: _TRAIN_IDS.get(raw, IGNORE) for raw in range(_LARGEST_RAW + 1)}
"""Raw id -> class. The licence plate, raw id -1, is not drawn by the official tools; where others
write it, it is 255, which always is ignored."""

CARD = Card(
    name="Cityscapes",
    classes=tuple(name for name, _, _ in _TABLE),
    palette=tuple(colour for _, _, colour in _TABLE),
    channels=3,
    source=(
        "Cordts et al.: The Cityscapes dataset for semantic urban scene understanding, CVPR 2016; "
        "fine annotations; classes, ids and colours of cityscapesScripts 2.3.0, helpers/labels.py"
    ),
    licence="Cityscapes licence: non-commercial; the images are not redistributed with certiseg",
)

SPLITS = ("train", "val")
_RAW, _CONVERTED = "_gtFine_labelIds.png", "_gtFine_labelTrainIds.png"
_ENDS = ("_leftImg8bit.png", (_RAW, _CONVERTED))
_LAYOUTS = (
    Layout(("leftImg8bit/{split}",), ("gtFine/{split}",), *_ENDS),
    Layout(("{split}_img",), ("{split}_label",), *_ENDS),
)


def cityscapes(root: str | Path, split: str) -> Paired:
    """Cityscapes images of `split` ("train" or "val"; labels of the test split are not public).

    Layout: root/leftImg8bit/SPLIT/CITY/*_leftImg8bit.png with root/gtFine/SPLIT/CITY/
    *_gtFine_labelIds.png, or flat root/SPLIT_img with root/SPLIT_label. Without raw ids,
    *_gtFine_labelTrainIds.png (0-18, 255) are read, as written by createTrainIdLabelImgs.py.
    Raises InputError for another layout.
    """
    check_split(split, SPLITS, CARD.name)
    pairs, suffix = find_pairs(root, split, dict.fromkeys(_LAYOUTS, split))
    label_map = LABEL_MAP if suffix == _RAW else None
    return Paired(pairs, CARD, Ids(CARD.num_classes, label_map=label_map))
