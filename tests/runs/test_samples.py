"""Data fit the model: channels, number of classes, and their order where both know names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from certiseg.datasets.cityscapes import CARD
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runs.samples import open_samples
from made_pictures import filled, labels, picture

LOADED = LoadedModel(model=nn.Identity(), name="m", num_classes=19, channels=3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(3):
        picture(tmp_path / "val_img" / f"{number}_leftImg8bit.png")
        labels(tmp_path / "val_label" / f"{number}_gtFine_labelIds.png", filled(7 + number))
    return tmp_path


def test_names_in_order_other_names_or_none(root: Path) -> None:
    other = tuple(f"{name} ".title() for name in CARD.classes)
    numbers = tuple(f"LABEL_{i}" for i in range(19))
    for names in (None, CARD.classes, other, numbers):
        found = open_samples(replace(LOADED, classes=names), data="cityscapes", root=root)
        assert found.card is CARD
        assert len(found) == 3


def test_the_same_names_in_another_order_are_refused(root: Path) -> None:
    swapped = (CARD.classes[1], CARD.classes[0], *CARD.classes[2:])
    with pytest.raises(InputError, match="order of Cityscapes, got 'sidewalk' as class 0"):
        open_samples(replace(LOADED, classes=swapped), data="cityscapes", root=root)


def test_other_numbers_of_classes_and_channels(root: Path) -> None:
    for change, words in (({"num_classes": 20}, "19 classes"), ({"channels": 1}, "3 channels")):
        with pytest.raises(InputError, match=words):
            open_samples(replace(LOADED, **change), data="cityscapes", root=root)


def test_limit_thins_before_anything_is_read(root: Path) -> None:
    (root / "val_img" / "0_leftImg8bit.png").write_bytes(b"")
    found = open_samples(LOADED, data="cityscapes", root=root, limit=1)
    assert found[0].name == "1"
    assert found.note == "1 of 3 samples, at an even stride"


def test_a_model_with_a_class_more_than_the_data(tmp_path: Path, root: Path) -> None:
    """The way that the error names: a description with the model's classes."""
    with pytest.raises(InputError, match=r"a \.yaml file with the model's classes and a label_map"):
        open_samples(replace(LOADED, num_classes=20), data="cityscapes", root=root)
    (tmp_path / "d.yaml").write_text(
        "name: d\nclasses: [car, road, void]\nlabel_suffix: _gtFine_labelIds.png\n"
        "image_suffix: _leftImg8bit.png\nlabel_map: {7: road, 8: car, 9: car}\n"
        "splits: {val: {images: val_img, labels: val_label}}\n"
    )
    model = replace(LOADED, num_classes=3, classes=("car", "road", "void"))
    found = open_samples(model, data=str(tmp_path / "d.yaml"))
    assert [int(found[i].labels[0, 0]) for i in range(3)] == [1, 0, 0]
