"""The two Pascal data sets: pictures that a list names, palette labels, background by protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from certiseg.datasets.card import IGNORE, customary_palette
from certiseg.datasets.pascal_context import CARD as CONTEXT
from certiseg.datasets.pascal_context import pascal_context
from certiseg.datasets.voc import CARD as VOC
from certiseg.datasets.voc import voc
from certiseg.errors import InputError
from certiseg.hierarchies import load_hierarchy
from made_pictures import every_id, filled, labels, picture

SEGMENTATION = "ImageSets/Segmentation"

# Of the 459 labels of Pascal Context, the 59 that HRNet-Semantic-Segmentation keeps, sorted
# (lib/datasets/pascal_ctx.py, _mapping); the names at VOC's own 20 objects.
_KEPT = """
2 9 18 19 22 23 25 31 33 34 44 45 46 59 65 68 72 80 85 98 104 105 113 115 144 158 159 162 187 189
207 220 232 258 259 260 284 295 296 308 324 326 347 349 354 355 360 366 368 397 415 416 420 424
427 440 445 454 458
"""
KEPT = [int(number) for number in _KEPT.split()]
OF_459 = {2: "aeroplane", 23: "bicycle", 25: "bird", 31: "boat", 34: "bottle", 45: "bus"}
OF_459 |= {59: "car", 65: "cat", 72: "chair", 98: "cow", 113: "dog", 207: "horse"}
OF_459 |= {258: "motorbike", 284: "person", 308: "pottedplant", 347: "sheep", 368: "sofa"}
OF_459 |= {397: "table", 416: "train", 427: "tvmonitor", 360: "sky", 458: "wood"}


def listed(base: Path, list_file: str, names: list[str]) -> None:
    path = base / list_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


@pytest.mark.parametrize("inner", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_voc_reads_indices_and_not_colours(tmp_path: Path, inner: str) -> None:
    base = tmp_path / inner
    listed(base, f"{SEGMENTATION}/val.txt", ["2007_000033"])
    picture(base / "JPEGImages" / "2007_000033.jpg", (1, 22))
    labels(base / "SegmentationClass" / "2007_000033.png", every_id(20), palette=True)
    assert voc(tmp_path, "val")[0].labels[0].tolist() == [*range(21), IGNORE]
    assert VOC.palette == customary_palette(21)
    assert [VOC.classes[i] for i in (0, 1, 5, 15, 20)] == [
        "background",
        "aeroplane",
        "bottle",
        "person",
        "tvmonitor",
    ]


def test_voc_keeps_the_order_of_its_list_and_takes_what_it_names(tmp_path: Path) -> None:
    listed(tmp_path, f"{SEGMENTATION}/train.txt", ["b", "a"])
    for name, label in (("a", 1), ("b", 2), ("c", 3)):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        labels(tmp_path / "SegmentationClass" / f"{name}.png", filled(label))
    data = voc(tmp_path, "train")
    assert [(data[i].name, int(data[i].labels[0, 0])) for i in range(len(data))] == [
        ("b", 2),
        ("a", 1),
    ]


def test_voc_with_the_labels_of_sbd(tmp_path: Path) -> None:
    """VOC's own labels where it has them."""
    listed(tmp_path, f"{SEGMENTATION}/trainaug.txt", ["a", "b"])
    for name in "ab":
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        labels(tmp_path / "SegmentationClassAug" / f"{name}.png", filled(3))
    labels(tmp_path / "SegmentationClass" / "a.png", filled(4))
    data = voc(tmp_path, "trainaug")
    assert [int(data[i].labels[0, 0]) for i in (0, 1)] == [4, 3]
    (tmp_path / "SegmentationClassAug" / "b.png").unlink()
    with pytest.raises(InputError, match=r"got no SegmentationClassAug/b\.png; .*SBD"):
        voc(tmp_path, "trainaug")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ImageSets/Segmentation/val\.txt .*an empty folder"):
        voc(tmp_path, "val")
    listed(tmp_path, f"{SEGMENTATION}/val.txt", ["a", "b", "c"])
    (tmp_path / "JPEGImages").mkdir()
    labels(tmp_path / "SegmentationClass" / "a.png", filled(0))
    with pytest.raises(InputError, match=r"got no JPEGImages/a\.jpg \(and 4 more\)"):
        voc(tmp_path, "val")
    with pytest.raises(InputError, match="train, val, trainval, trainaug, got 'test'"):
        voc(tmp_path, "test")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a", "", "a"], "line 3: .*a as in line 1"),
        (["a 1"], "line 1: expected one name such as 2007_000033, got 'a 1'"),
        (["../a"], "line 1"),
        ([], "got none"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, lines: list[str], words: str) -> None:
    listed(tmp_path, f"{SEGMENTATION}/val.txt", lines)
    picture(tmp_path / "JPEGImages" / "a.jpg")
    labels(tmp_path / "SegmentationClass" / "a.png", filled(0))
    with pytest.raises(InputError, match=words):
        voc(tmp_path, "val")


def context(tmp_path: Path, ids: np.ndarray) -> None:
    listed(tmp_path, "ImageSets/SegmentationContext/val.txt", ["a"])
    picture(tmp_path / "JPEGImages" / "a.jpg", ids.shape)
    labels(tmp_path / "SegmentationClassContext" / "a.png", ids)


def test_context_ignores_background_and_counts_from_1(tmp_path: Path) -> None:
    context(tmp_path / "VOCdevkit" / "VOC2010", every_id(59))
    read = pascal_context(tmp_path, "val")[0].labels[0]
    assert read.tolist() == [IGNORE, *range(59), IGNORE]
    # The published reader gives label 1 + i to the i-th kept one of the 459.
    found = {kept: CONTEXT.classes[read[1 + i]] for i, kept in enumerate(KEPT)}
    assert {kept: found[kept] for kept in OF_459} == OF_459
    assert list(found.values()) == sorted(CONTEXT.classes)


def test_context_beyond_59_and_other_layouts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"SegmentationClassContext.*docs/datasets\.md"):
        pascal_context(tmp_path, "val")
    context(tmp_path, filled(60))
    with pytest.raises(InputError, match=r"0\.\.59 and 255, got 60"):
        pascal_context(tmp_path, "val")[0]


def test_classes_are_those_of_the_shipped_hierarchy() -> None:
    assert load_hierarchy("pascal_context").classes == CONTEXT.classes
