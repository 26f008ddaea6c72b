"""ADE20K: 0 is ignored and ids count from 1; sizes and grey photographs as they come."""

from __future__ import annotations

from pathlib import Path

import pytest

from certiseg.datasets.ade20k import CARD, ade20k
from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError
from made_pictures import every_id, filled, labels, picture

# objectInfo150 of the benchmark: label in the files and first name.
LISTED = {1: "wall", 2: "building", 3: "sky", 4: "floor", 7: "road", 13: "person", 21: "car"}
LISTED |= {59: "screen door", 76: "swivel chair", 91: "airplane", 128: "bicycle", 150: "flag"}


def test_labels_count_from_1_and_0_is_ignored(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "validation" / "ADE_val_00000001.jpg", (1, 152))
    labels(tmp_path / "annotations" / "validation" / "ADE_val_00000001.png", every_id(150))
    read = ade20k(tmp_path, "val")[0].labels[0]
    assert read.tolist() == [IGNORE, *range(150), IGNORE]
    assert {label: CARD.classes[read[label]] for label in LISTED} == LISTED


def test_sizes_differ_and_grey_is_read_as_colour(tmp_path: Path) -> None:
    inner = tmp_path / "ADEChallengeData2016"
    for name, size, mode in (("a", (3, 4), "RGB"), ("b", (5, 2), "L")):
        picture(inner / "images" / "training" / f"{name}.jpg", size, mode)
        labels(inner / "annotations" / "training" / f"{name}.png", filled(1, size))
    data = ade20k(tmp_path, "train")
    assert [data[i].x.shape for i in (0, 1)] == [(3, 3, 4), (3, 5, 2)]
    assert (data[0].labels == 0).all()


def test_beyond_150_and_other_layouts(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "validation" / "a.jpg")
    with pytest.raises(InputError, match=r"images/validation.*annotations/validation.*got images"):
        ade20k(tmp_path, "val")
    labels(tmp_path / "annotations" / "validation" / "a.png", filled(151))
    with pytest.raises(InputError, match=r"0\.\.150 and 255, got 151"):
        ade20k(tmp_path, "val")[0]
    with pytest.raises(InputError, match="got 'validation'"):
        ade20k(tmp_path, "validation")
