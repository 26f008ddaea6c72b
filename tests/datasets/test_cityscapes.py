"""Cityscapes: raw ids to training classes, both layouts, and the real frames where at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from certiseg.datasets.card import IGNORE
from certiseg.datasets.cityscapes import CARD, LABEL_MAP, cityscapes
from certiseg.datasets.labels import Ids
from certiseg.datasets.pairs import Paired, paired_by_stem
from certiseg.errors import InputError
from certiseg.hierarchies import load_hierarchy
from made_pictures import every_id, filled, labels, picture

# HRNet-Semantic-Segmentation, lib/datasets/cityscapes.py: raw ids of the classes 0..18 in order.
PUBLISHED = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]


def official(root: Path, split: str, city: str, name: str, ids: np.ndarray) -> None:
    """A frame as the archives hold it, with the other files that lie beside the labels."""
    picture(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", ids.shape)
    fine = root / "gtFine" / split / city
    labels(fine / f"{name}_gtFine_labelIds.png", ids)
    labels(fine / f"{name}_gtFine_instanceIds.png", ids.astype(np.uint16) * 1000)
    picture(fine / f"{name}_gtFine_color.png")
    (fine / f"{name}_gtFine_polygons.json").write_text("{}")


def test_raw_ids_become_the_published_training_ids(tmp_path: Path) -> None:
    official(tmp_path, "val", "lindau", "lindau_000001_000019", every_id(33))
    data = cityscapes(tmp_path, "val")
    expected = [PUBLISHED.index(i) if i in PUBLISHED else IGNORE for i in range(34)]
    assert data[0].labels[0].tolist() == [*expected, IGNORE]
    assert data[0].name == "lindau_000001_000019"
    assert len(LABEL_MAP) == 34


def test_cities_in_order(tmp_path: Path) -> None:
    for city in ("munster", "frankfurt"):
        for number in (2, 1):
            official(tmp_path, "val", city, f"{city}_{number:06d}_000019", filled(number + 6))
    data = cityscapes(tmp_path, "val")
    assert [data[i].name[:-7] for i in range(4)] == [
        "frankfurt_000001",
        "frankfurt_000002",
        "munster_000001",
        "munster_000002",
    ]
    assert [int(data[i].labels[0, 0]) for i in range(4)] == [0, 1, 0, 1]


def test_converted_labels_are_read_where_raw_ones_are_not(tmp_path: Path) -> None:
    official(tmp_path, "train", "ulm", "ulm_000000_000019", every_id(33))
    fine = tmp_path / "gtFine" / "train" / "ulm"
    converted = fine / "ulm_000000_000019_gtFine_labelTrainIds.png"
    labels(converted, np.full((1, 35), 3, dtype=np.uint8))
    assert (cityscapes(tmp_path, "train")[0].labels[0, 7:9] == [0, 1]).all()
    (fine / "ulm_000000_000019_gtFine_labelIds.png").unlink()
    assert (cityscapes(tmp_path, "train")[0].labels == 3).all()
    labels(converted, np.full((1, 35), 19, dtype=np.uint8))
    with pytest.raises(InputError, match=r"0\.\.18 and 255, got 19"):
        cityscapes(tmp_path, "train")[0]


def test_a_raw_id_beyond_33(tmp_path: Path) -> None:
    official(tmp_path, "val", "ulm", "ulm_000000_000019", filled(34))
    with pytest.raises(
        InputError, match=r"labelIds\.png: expected label ids 0\.\.33 and 255, .*34"
    ):
        cityscapes(tmp_path, "val")[0]


def test_another_layout_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "leftImg8bit" / "train").mkdir(parents=True)
    with pytest.raises(InputError) as error:
        cityscapes(tmp_path, "val")
    for words in ("leftImg8bit/val", "gtFine/val", "val_img", "labelTrainIds", "got leftImg8bit"):
        assert words in str(error.value)
    with pytest.raises(InputError, match="no folder of that name"):
        cityscapes(tmp_path / "none", "val")
    with pytest.raises(InputError, match="train, val, got 'test'"):
        cityscapes(tmp_path, "test")


def test_a_frame_without_labels(tmp_path: Path) -> None:
    official(tmp_path, "val", "ulm", "ulm_000000_000019", filled(7))
    picture(tmp_path / "leftImg8bit" / "val" / "ulm" / "ulm_000001_000019_leftImg8bit.png")
    with pytest.raises(InputError, match=r"labels of ulm_000001_000019_leftImg8bit\.png"):
        cityscapes(tmp_path, "val")


def test_classes_are_those_of_the_shipped_hierarchy() -> None:
    assert load_hierarchy("cityscapes").classes == CARD.classes


def _share(data: Paired, index: int, rows: slice, columns: slice, label: int) -> float:
    """Share of a class among the labelled pixels of a window."""
    window = data[index].labels[rows, columns]
    return float((window == label).sum() / max((window != IGNORE).sum(), 1))


def test_real_frames_and_a_map_that_is_off_by_one(data_root: Path) -> None:
    """Above the car's bonnet there is road, in every frame. Negative control: raw ids + 1."""
    root = data_root / "cityscapes_sample"
    if not root.is_dir():
        pytest.skip("no cityscapes_sample/ among the real data")
    data = cityscapes(root, "train")
    assert len(data) == 8
    assert data[0].x.shape == (3, 1024, 2048)
    ahead = (slice(700, 820), slice(900, 1150))
    road = CARD.classes.index("road")
    assert all(_share(data, i, *ahead, road) > 0.95 for i in range(8))
    shifted = {raw: LABEL_MAP.get(raw + 1, IGNORE) for raw in LABEL_MAP}
    pairs = paired_by_stem(
        root / "train_img", root / "train_label", ("_leftImg8bit.png",), ("_gtFine_labelIds.png",)
    )
    wrong = Paired(pairs, CARD, Ids(19, label_map=shifted))
    assert not any(_share(wrong, i, *ahead, road) > 0.95 for i in range(8))
