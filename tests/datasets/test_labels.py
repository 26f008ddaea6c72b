"""What label files hold: ids of 8 and 16 bits, and colours that are looked up exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.datasets.card import IGNORE
from certiseg.datasets.folder import folder_card
from certiseg.datasets.images import Reading, read_image
from certiseg.datasets.labels import Colours, Ids
from certiseg.datasets.pairs import Pair, Paired, paired_by_stem
from certiseg.errors import InputError
from made_pictures import filled, labels, picture

SKY, ROAD, CAR = (128, 128, 128), (128, 64, 128), (64, 0, 128)


def test_16_bit_ids(tmp_path: Path) -> None:
    ids = np.array([[0, 300, 65535, 255]], dtype=np.uint16)
    path = labels(tmp_path / "a.png", ids)
    truth = Ids(2, ignore=(65535,), label_map={0: 1, 300: 0})
    assert truth.read(path).tolist() == [[1, 0, IGNORE, IGNORE]]
    with pytest.raises(InputError, match=r"0\.\.1 and 255, got 300, 65535"):
        Ids(2).read(path)


def test_low_bytes_alone_would_pass_for_ids(tmp_path: Path) -> None:
    """A reader that cuts 16 bits to 8 would take 257 for class 1."""
    with pytest.raises(InputError, match="got 257"):
        Ids(3).read(labels(tmp_path / "a.png", np.full((2, 2), 257, dtype=np.uint16)))


def test_colours_are_classes(tmp_path: Path) -> None:
    drawn = np.array([[SKY, ROAD, CAR, (0, 0, 0)]], dtype=np.uint8)
    truth = Colours({ROAD: 1, SKY: 0, CAR: 2, (0, 0, 0): IGNORE})
    assert truth.read(labels(tmp_path / "a.png", drawn)).tolist() == [[0, 1, 2, IGNORE]]
    indexed = Image.fromarray(drawn).quantize(4)
    assert indexed.mode == "P"
    indexed.save(tmp_path / "b.png")
    assert truth.read(tmp_path / "b.png").tolist() == [[0, 1, 2, IGNORE]]


@pytest.mark.parametrize("strange", [(128, 128, 127), (0, 0, 0), (255, 255, 255), (128, 64, 129)])
def test_an_unknown_colour_is_named_with_its_place(tmp_path: Path, strange: object) -> None:
    drawn = np.full((4, 5, 3), SKY, dtype=np.uint8)
    drawn[2, 3] = strange
    path = labels(tmp_path / "a.png", drawn)
    with pytest.raises(InputError) as error:
        Colours({SKY: 0, ROAD: 1}).read(path)
    assert f"{path}: expected the 2 colours" in str(error.value)
    assert f"got {strange} at row 2, column 3 (1 such pixels)" in str(error.value)


def test_colours_are_not_read_from_ids_or_jpeg(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="RGB or palette PNG"):
        Colours({SKY: 0}).read(labels(tmp_path / "grey.png", filled(3)))
    with pytest.raises(InputError, match="got JPEG, whose compression changes values"):
        Colours({SKY: 0}).read(picture(tmp_path / "a.jpg"))


@pytest.mark.parametrize("bad", [{70000: 0}, {-1: 0}, {3: 2}])
def test_maps_that_cannot_be(bad: dict[int, int]) -> None:
    with pytest.raises(InputError, match="label map"):
        Ids(2, label_map=bad)


def turned(path: Path, orientation: int) -> Path:
    """A picture stored 6 x 8 whose EXIF says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(picture(path)) as stored:
        stored.save(path, exif=exif)
    return path


def test_pixels_stay_as_stored_unless_asked(tmp_path: Path) -> None:
    path = turned(tmp_path / "a.png", 6)
    stored, upright = read_image(path), Reading(exif="apply").read(path, 3).x
    assert (stored.shape, upright.shape) == ((3, 6, 8), (3, 8, 6))
    # Orientation 6: the top of the scene is on the right of what is stored.
    np.testing.assert_array_equal(upright, np.rot90(stored, k=-1, axes=(1, 2)))


def test_a_turned_picture_is_told_where_sizes_differ(tmp_path: Path) -> None:
    pair = Pair("a", turned(tmp_path / "a.png", 6), labels(tmp_path / "l.png", filled(0, (8, 6))))
    card = folder_card("toy", "2")
    with pytest.raises(InputError, match=r"6 x 8 pixels .* got 8 x 6; its EXIF orientation is 6"):
        Paired([pair], card, Ids(2))[0]
    sample = Paired([pair], card, Ids(2), Reading(exif="apply"))[0]
    assert sample.x.shape[1:] == sample.labels.shape == (8, 6)
    plain = Pair("b", picture(tmp_path / "b.png"), pair.labels)
    with pytest.raises(InputError, match="export image and labels at one size"):
        Paired([plain], card, Ids(2))[0]


def test_grey_is_refused_unless_asked(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", mode="L")
    with pytest.raises(InputError, match="got grey; --convert"):
        read_image(path)
    assert (Reading(convert=True).read(path, 3).x == read_image(path, 1)).all()


def test_pairs_by_suffix_in_nested_folders(tmp_path: Path) -> None:
    for place in ("x/one", "y/one"):
        picture(tmp_path / "images" / f"{place}_rgb.png")
        labels(tmp_path / "labels" / f"{place}_mask.png", filled(0))
    picture(tmp_path / "images" / "x" / "one_depth.png")
    sides = (tmp_path / "images", tmp_path / "labels", ["_rgb.png"], ["_mask.png"])
    pairs = paired_by_stem(*sides, nested=True)
    assert [pair.name for pair in pairs] == ["x-one", "y-one"]
    assert all(pair.labels.parent.name == pair.image.parent.name for pair in pairs)
    with pytest.raises(InputError, match=r"expected _rgb\.png files, got none"):
        paired_by_stem(*sides)
