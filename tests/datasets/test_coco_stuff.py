"""COCO-Stuff: 182 raw ids to 171 classes, its layouts, and real photographs where at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from certiseg.datasets.card import IGNORE
from certiseg.datasets.coco_stuff import CARD, LABEL_MAP, coco_stuff
from certiseg.datasets.labels import Ids
from certiseg.datasets.pairs import Paired, paired_by_stem
from certiseg.errors import InputError
from made_pictures import filled, labels, picture

# labels.txt of nightrome/cocostuff, here and there: number in the list (raw id + 1) and name.
LISTED = {
    1: "person",
    11: "fire hydrant",
    13: "stop sign",
    24: "zebra",
    27: "backpack",
    44: "bottle",
    46: "wine glass",
    65: "bed",
    67: "dining table",
    70: "toilet",
    72: "tv",
    82: "refrigerator",
    84: "book",
    90: "toothbrush",
    92: "banner",
    124: "grass",
    149: "road",
    169: "tree",
    182: "wood",
}
WITHDRAWN = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}


def test_raw_ids_have_the_names_of_the_published_list() -> None:
    assert {number - 1 for number in range(1, 183)} - set(LABEL_MAP) == {n - 1 for n in WITHDRAWN}
    assert {n: CARD.classes[LABEL_MAP[n - 1]] for n in LISTED} == LISTED
    assert sorted(LABEL_MAP.values()) == list(range(171))
    assert CARD.num_classes == len(set(CARD.palette)) == 171


def test_every_raw_id(tmp_path: Path) -> None:
    ids = np.array([[*LABEL_MAP, 255]], dtype=np.uint8)
    picture(tmp_path / "images" / "val2017" / "000000000139.jpg", ids.shape)
    path = labels(tmp_path / "annotations" / "val2017" / "000000000139.png", ids)
    assert coco_stuff(tmp_path, "val")[0].labels.tolist() == [[*range(171), IGNORE]]
    labels(path, filled(11, ids.shape))
    with pytest.raises(InputError, match=r"0\.\.10, 12\.\.24, .* and 255, got 11"):
        coco_stuff(tmp_path, "val")[0]


@pytest.mark.parametrize(
    ("images", "truth"),
    [
        ("images/train2017", "annotations/train2017"),
        ("train2017", "stuffthingmaps/train2017"),
        ("images/train2017", "stuffthingmaps/train2017"),
        ("train2017", "annotations/train2017"),
        ("train_img", "train_label"),
    ],
)
def test_layouts_and_grey_photographs(tmp_path: Path, images: str, truth: str) -> None:
    picture(tmp_path / images / "a.jpg")
    picture(tmp_path / images / "b.jpg", (3, 5), mode="L")
    labels(tmp_path / truth / "a.png", filled(12))
    labels(tmp_path / truth / "b.png", filled(181, (3, 5)))
    data = coco_stuff(tmp_path, "train")
    assert [(data[i].x.shape, int(data[i].labels[0, 0])) for i in (0, 1)] == [
        ((3, 6, 8), 11),
        ((3, 3, 5), 170),
    ]
    assert (data[1].x == data[1].x[0]).all()


def test_converted_labels_beside_raw_ones(tmp_path: Path) -> None:
    """As mmsegmentation's converter leaves them."""
    picture(tmp_path / "images" / "val2017" / "a.jpg")
    labels(tmp_path / "annotations" / "val2017" / "a.png", filled(12))
    labels(tmp_path / "annotations" / "val2017" / "a_labelTrainIds.png", filled(12))
    assert (coco_stuff(tmp_path, "val")[0].labels == 12).all()
    labels(tmp_path / "annotations" / "val2017" / "a_labelTrainIds.png", filled(171))
    with pytest.raises(InputError, match=r"0\.\.170 and 255, got 171"):
        coco_stuff(tmp_path, "val")[0]


def test_another_layout_says_what_was_looked_for(tmp_path: Path) -> None:
    picture(tmp_path / "val2017" / "a.jpg")
    with pytest.raises(InputError, match=r"images/val2017.*annotations/val2017.*got val2017;"):
        coco_stuff(tmp_path, "val")


# What is seen in real photographs, by COCO's image ids.
SEEN = {
    "000000000785": {"snow", "person", "skis"},
    "000000001268": {"bridge", "river", "person"},
    "000000001584": {"bus", "road", "sky-other"},
    "000000001818": {"zebra", "grass"},
    "000000001993": {"bed", "carpet", "chair"},
}


def test_real_photographs_and_a_map_that_is_off_by_one(data_root: Path) -> None:
    root = data_root / "coco_stuff_sample"
    if not root.is_dir():
        pytest.skip("no coco_stuff_sample/ among the real data")
    assert len(coco_stuff(root, "train")) == 13
    data = coco_stuff(root, "val")
    assert len(data) == 8
    pairs = paired_by_stem(root / "val_img", root / "val_label", (".jpg",), (".png",))
    shifted = {raw: LABEL_MAP.get(raw + 1, IGNORE) for raw in range(255)}
    wrong = Paired(pairs, CARD, Ids(171, label_map=shifted))
    for samples, right in ((data, len(SEEN)), (wrong, 0)):
        found = {}
        for index in range(len(samples)):
            sample = samples[index]
            present = np.setdiff1d(sample.labels, IGNORE)
            found[sample.name] = {CARD.classes[label] for label in present}
        assert sum(seen <= found[name] for name, seen in SEEN.items()) == right
