"""Folder pairs: pairing, label maps, and each way in which they can fail to fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.datasets.card import IGNORE, Card, customary_palette
from certiseg.datasets.folder import Folder, folder_card
from certiseg.datasets.subset import Subset, subsample
from certiseg.errors import InputError

CARD = folder_card("toy", "3")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    labels.mkdir()
    rng = np.random.default_rng(0)
    for name in ("b", "a", "c"):
        Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)).save(
            images / f"{name}.png"
        )
        Image.fromarray(rng.integers(0, 3, (8, 9), dtype=np.uint8)).save(labels / f"{name}.png")
    return images, labels


def _labels(path: Path, ids: np.ndarray) -> None:
    Image.fromarray(ids.astype(np.uint8)).save(path)


def test_pairs_by_stem_in_order(pair: tuple[Path, Path]) -> None:
    data = Folder(*pair, CARD)
    assert [data[i].name for i in range(len(data))] == ["a", "b", "c"]
    sample = data[0]
    assert sample.x.shape == (3, 8, 9)
    assert sample.labels.shape == (8, 9)
    assert sample.labels.dtype == np.uint8


def test_ignore_and_label_map(pair: tuple[Path, Path]) -> None:
    raw = np.full((8, 9), 7)
    raw[0, 0], raw[0, 1], raw[0, 2] = 11, 255, 26
    _labels(pair[1] / "a.png", raw)
    labels = Folder(*pair, CARD, ignore=(11,), label_map={7: 0, 26: 2})[0].labels
    assert labels[0, :3].tolist() == [IGNORE, IGNORE, 2]
    assert (labels[1:] == 0).all()


@pytest.mark.parametrize("side", [0, 1])
def test_missing_partner(pair: tuple[Path, Path], side: int) -> None:
    (pair[side] / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png under the same stem"):
        Folder(*pair, CARD)


def test_two_files_of_one_stem(pair: tuple[Path, Path]) -> None:
    Image.new("RGB", (9, 8)).save(pair[0] / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg and a\.png"):
        Folder(*pair, CARD)


def test_size_mismatch(pair: tuple[Path, Path]) -> None:
    _labels(pair[1] / "a.png", np.zeros((9, 8)))
    with pytest.raises(InputError, match=r"expected labels of 8 x 9 pixels .* got 9 x 8"):
        Folder(*pair, CARD)[0]


def test_label_outside_classes(pair: tuple[Path, Path]) -> None:
    _labels(pair[1] / "a.png", np.full((8, 9), 3))
    with pytest.raises(InputError, match=r"expected label ids 0\.\.2 .* got 3"):
        Folder(*pair, CARD)[0]


def test_missing_and_empty_folder(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="expected a folder"):
        Folder(tmp_path / "none", pair[1], CARD)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected \.png, .*, \.webp files, got none"):
        Folder(tmp_path / "empty", pair[1], CARD)


def test_bad_map(pair: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="got 4 -> 9"):
        Folder(*pair, CARD, label_map={4: 9})


def test_subsample_is_even_and_says_so(pair: tuple[Path, Path]) -> None:
    data = Folder(*pair, CARD)
    assert subsample(data, None) is data
    assert subsample(data, 3) is data
    thin = subsample(data, 1)
    assert isinstance(thin, Subset)
    assert thin.note == "1 of 3 samples, at an even stride"
    assert thin[0].name == "b"
    with pytest.raises(InputError, match="at least 1"):
        subsample(data, 0)


@pytest.mark.parametrize(("total", "limit"), [(101, 7), (10, 9), (5, 2)])
def test_stride_covers_the_set(total: int, limit: int) -> None:
    class Count:
        card = CARD

        def __len__(self) -> int:
            return total

        def __getitem__(self, index: int) -> object:
            raise AssertionError

    indices = np.array(subsample(Count(), limit).indices)  # type: ignore[arg-type, attr-defined]
    steps = np.diff(indices)
    assert len(indices) == limit
    assert 0 <= indices[0] <= indices[-1] < total
    assert steps.max() - steps.min() <= 1
    assert abs(indices[0] - (total - 1 - indices[-1])) <= 1


def test_folder_card(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("road\ncar\n\nsky\n")
    assert folder_card("x", str(names)).classes == ("road", "car", "sky")
    assert folder_card("x", "2", channels=1).classes == ("class 0", "class 1")
    for bad in ("1", "256", "99999999999999999999", "no-such-file.txt"):
        with pytest.raises(InputError, match="expected"):
            folder_card("x", bad)


def test_customary_palette_is_vocs() -> None:
    # First entries of the PASCAL VOC colour map (development kit, VOClabelcolormap).
    assert customary_palette(5) == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert len(set(customary_palette(255))) == 255


def test_card_needs_a_colour_a_class() -> None:
    with pytest.raises(AssertionError):
        Card("x", ("a", "b"), ((0, 0, 0),), 3, "", "")
