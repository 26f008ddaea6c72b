"""CamVid driving scenes, 11 classes, in the customary 480 x 360 layout."""

from __future__ import annotations

from pathlib import Path

from certiseg.datasets.card import Card, class_list
from certiseg.datasets.folder import Folder
from certiseg.datasets.images import AS_STORED
from certiseg.errors import InputError

_CLASSES, _PALETTE = class_list("camvid")

CARD = Card(
    name="CamVid",
    classes=_CLASSES,
    palette=_PALETTE,
    channels=3,
    source=(
        "Brostow, Fauqueur, Cipolla: Semantic object classes in video, Pattern Recognition "
        "Letters 2009; 11-class labels and 480 x 360 frames as in SegNet (Badrinarayanan et al.)"
    ),
    licence="research use; the images are not redistributed with certiseg",
)

_VOID = 11


def camvid(root: str | Path, split: str) -> Folder:
    """CamVid frames of `split` ("train", "val" or "test") under `root`.

    Layout: root/SPLIT/NAME.png (RGB) and root/SPLITannot/NAME.png (ids 0-10, 11 = void -> 255).
    Raises InputError for another layout.
    """
    root = Path(root)
    if not (root / split).is_dir() or not (root / f"{split}annot").is_dir():
        raise InputError(
            f"{root}: expected the folders {split}/ and {split}annot/ of CamVid, got at most one "
            "of them; pass the folder that holds both"
        )
    return Folder(root / split, root / f"{split}annot", CARD, ignore=(_VOID,), reading=AS_STORED)
