"""How files find their partners: accents, endings, hidden files, and lists of a split."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from certiseg.datasets.described import described
from certiseg.datasets.pairs import paired_by_stem
from certiseg.errors import InputError
from made_pictures import filled, labels, picture

NFC = unicodedata.normalize("NFC", "Straße-é")
NFD = unicodedata.normalize("NFD", NFC)


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "images", tmp_path / "labels"


def paired(sides: tuple[Path, Path], **options: object) -> list[str]:
    return [pair.name for pair in paired_by_stem(*sides, (".png",), (".png",), **options)]


def test_accents_pair_however_they_are_composed(sides: tuple[Path, Path]) -> None:
    assert NFC != NFD
    picture(sides[0] / f"{NFD}.png")
    labels(sides[1] / f"{NFC}.png", filled(0))
    assert paired(sides) == [NFC]
    picture(sides[0] / f"{NFC}.png")
    with pytest.raises(InputError, match="expected one file a stem"):
        paired(sides)


def test_endings_pair_in_any_case(sides: tuple[Path, Path]) -> None:
    picture(sides[0] / "a.PNG")
    labels(sides[1] / "a.png", filled(0))
    assert paired(sides) == ["a"]


def test_what_systems_leave_behind_is_passed_over(sides: tuple[Path, Path]) -> None:
    picture(sides[0] / "a.png")
    labels(sides[1] / "a.png", filled(0))
    picture(sides[0] / ".ipynb_checkpoints" / "a-checkpoint.png")
    for side in sides:
        (side / "._a.png").write_bytes(b"\0\5\x16\7")
        (side / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    assert paired(sides, nested=True) == paired(sides) == ["a"]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Four images, one of them without labels, and a description with a list."""
    for name in ("x/one", "x/two", "y/one"):
        picture(tmp_path / "images" / f"{name}.jpg")
        labels(tmp_path / "labels" / f"{name}.png", filled(0))
    picture(tmp_path / "images" / "x" / "spare.jpg")
    (tmp_path / "d.yaml").write_text(
        "name: d\nclasses: [a, b]\nsplits:\n"
        "  val: {images: images, labels: labels, list: val.txt}\n"
    )
    return tmp_path / "val.txt"


def names(listed: Path, text: bytes) -> list[str]:
    listed.write_bytes(text)
    data = described(listed.parent / "d.yaml", "val")
    return [data[i].name for i in range(len(data))]


@pytest.mark.parametrize(
    "text",
    [
        b"two\ny/one\n",
        b"\xef\xbb\xbftwo\r\ny/one\r\n\r\n",
        b"two.JPG\ny/one.jpg",
        b"images/x/two.jpg\nimages/y/one.jpg\n",
        b"data/d/images/x/two.jpg\ny\\one\n",
    ],
    ids=["names", "BOM and CRLF", "endings", "paths", "other folders and backslashes"],
)
def test_a_list_chooses_and_orders(text: bytes, listed: Path) -> None:
    assert names(listed, text) == ["two", "one"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            b"two\nthree\n",
            r"val\.txt, line 2: expected the name of one image, got none for 'three'",
        ),
        (b"one\n", r"line 1: expected the name of one image, got 2 that fit for 'one'"),
        (b"two\nx/two.jpg\n", r"line 2: expected each image once, got 'x/two.jpg' as in line 1"),
        (b"spare\n", r"expected the labels of spare\.jpg under the same stem"),
        (b"z/two\n", "got none for 'z/two'"),
        (b"\n", "expected a text file with one name a line, got none"),
        (b"\xff\xfe\0", "expected a text file with one name a line, got"),
    ],
)
def test_a_list_that_does_not_fit(text: bytes, words: str, listed: Path) -> None:
    with pytest.raises(InputError, match=words) as error:
        names(listed, text)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(listed.parent / "d.yaml"))


def test_a_list_that_is_missing(listed: Path) -> None:
    with pytest.raises(InputError, match=r"val\.txt: expected a text file .*No such file"):
        described(listed.parent / "d.yaml", "val")
