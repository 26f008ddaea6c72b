"""ADE20K, the 150 classes of the scene parsing challenge."""

from __future__ import annotations

from pathlib import Path

from certiseg.datasets.card import Card, check_split, class_list
from certiseg.datasets.images import Reading
from certiseg.datasets.labels import Ids
from certiseg.datasets.layout import Layout, find_pairs
from certiseg.datasets.pairs import Paired

_CLASSES, _PALETTE = class_list("ade20k")

CARD = Card(
    name="ADE20K",
    classes=_CLASSES,
    palette=_PALETTE,
    channels=3,
    source=(
        "Zhou et al.: Scene parsing through ADE20K dataset, CVPR 2017; ADEChallengeData2016; "
        "order of objectInfo150, first name of each class, colours customary since PSPNet, as in "
        "mmsegmentation 1.2.2 (two classes, road and skyscraper, share one)"
    ),
    licence="ADE20K terms: non-commercial research; not redistributed with certiseg",
)

_FOLDER = {"train": "training", "val": "validation"}
_OTHER = 0


def ade20k(root: str | Path, split: str) -> Paired:
    """ADE20K images of `split` ("train" or "val") in their sizes; label 0, other, is ignored.

    Layout: root/images/{training,validation}/ADE_*.jpg with root/annotations/... .png of ids 0-150,
    class + 1; root may also hold ADEChallengeData2016. Grey photographs are read as RGB.
    Raises InputError for another layout.
    """
    check_split(split, tuple(_FOLDER), CARD.name)
    layout = Layout(("images/{split}",), ("annotations/{split}",), ".jpg", (".png",))
    pairs, _ = find_pairs(root, split, {layout: _FOLDER[split]}, ("ADEChallengeData2016",))
    label_map = {label + 1: label for label in range(CARD.num_classes)}
    labels = Ids(CARD.num_classes, ignore=(_OTHER,), label_map=label_map)
    return Paired(pairs, CARD, labels, Reading(exif="ignore", convert=True))
