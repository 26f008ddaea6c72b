"""Data sets described by YAML: the examples of docs/datasets.md, and every fault on its line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from certiseg.datasets.card import IGNORE, customary_palette
from certiseg.datasets.described import _KNOWN, described
from certiseg.errors import InputError
from made_pictures import filled, labels, picture

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
BARE = """\
name: yard
classes: [grass, path]
splits:
  val: {images: images, labels: labels}
"""


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
    )


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    """Two pictures of different sizes and their labels, with the YAML beside them."""
    for name, size in (("a", (6, 8)), ("b", (5, 7))):
        picture(tmp_path / "images" / f"{name}.jpg", size)
        labels(tmp_path / "labels" / f"{name}.png", filled(1, size))
    (tmp_path / "yard.yaml").write_text(BARE)
    return tmp_path / "yard.yaml"


def test_the_first_example_of_the_page(tmp_path: Path, monkeypatch, capsys) -> None:
    """And the Python below it."""
    (tmp_path / "yard.yaml").write_text(blocks("yaml")[0])
    ids = np.array([[0, 7, 8, 9, 26, 255]], dtype=np.uint8)
    for split in ("train", "val"):
        picture(tmp_path / split / "images" / "bed" / "one_rgb.png", ids.shape)
        labels(tmp_path / split / "masks" / "bed" / "one_mask.png", ids)
    data = described(tmp_path / "yard.yaml", "train")
    assert data[0].labels.tolist() == [[IGNORE, 0, 1, 1, 2, IGNORE]]
    assert (data.card.name, data.card.licence) == ("yard", "CC0")
    assert data.card.palette[2] == (200, 80, 40)
    monkeypatch.chdir(tmp_path)
    exec(next(b for b in blocks("python") if "yard.yaml" in b), {})
    assert "one (3, 1, 6) float32" in capsys.readouterr().out


def test_the_example_of_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "images" / "a.jpg", mode="L")
    labels(tmp_path / "masks" / "a.png", filled(255))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(next(b for b in blocks("python") if "folder_card" in b), names)
    sample = names["masks"][0]
    assert sample.x.shape == (3, 6, 8)
    assert (sample.labels == 1).all()


def test_the_example_in_colours(tmp_path: Path) -> None:
    (tmp_path / "camvid.yaml").write_text(blocks("yaml")[1])
    drawn = np.array([[(128, 128, 128), (0, 128, 64), (128, 0, 192), (0, 0, 0)]], dtype=np.uint8)
    picture(tmp_path / "701_StillsRaw_full" / "0016E5.png", (1, 4))
    path = labels(tmp_path / "LabeledApproved_full" / "0016E5_L.png", drawn)
    data = described(tmp_path / "camvid.yaml", "val")
    assert data[0].labels.tolist() == [[0, 1, 2, IGNORE]]
    assert data[0].name == "0016E5"
    drawn[0, 2] = (128, 0, 191)
    labels(path, drawn)
    with pytest.raises(InputError, match=r"\(128, 0, 191\) at row 0, column 2"):
        data[0]


def test_the_page_lists_every_field() -> None:
    table = PAGE.read_text(encoding="utf-8").split("| Field |")[1].split("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(_KNOWN)


def test_what_is_not_said(yard: Path) -> None:
    data = described(yard, "val")
    assert [data[i].x.shape for i in (0, 1)] == [(3, 6, 8), (3, 5, 7)]
    assert data.card.palette == customary_palette(2)
    assert data.card.channels == 3
    assert data.card.source == "described by yard.yaml"
    assert (data[0].labels == 1).all()


def test_first_id_and_ignore(yard: Path) -> None:
    yard.write_text(BARE + "first_id: 300\nignore: [0]\n")
    ids = filled(0).astype(np.uint16)
    ids[0, :2] = 300, 301
    labels(yard.parent / "labels" / "a.png", ids)
    read = described(yard, "val")[0].labels
    assert read[0, :3].tolist() == [0, 1, IGNORE]
    with pytest.raises(InputError, match=r"expected label ids 0, 255 and 300\.\.301, got 1;"):
        described(yard, "val")[1]


def test_palette_as_colours_grey_and_exif(yard: Path) -> None:
    yard.write_text(
        BARE + "palette: [[1, 2, 3], [4, 5, 6]]\ncolours: palette\nconvert: true\n"
        "orientation: exif\nimage_suffix: .jpg\n"
    )
    picture(yard.parent / "images" / "a.jpg", mode="L")
    labels(yard.parent / "labels" / "a.png", np.full((6, 8, 3), (4, 5, 6), dtype=np.uint8))
    sample = described(yard, "val")[0]
    assert sample.x.shape == (3, 6, 8)
    assert (sample.labels == 1).all()


FAULTS = [
    ("colors: palette", "line 5: expected fields among .*colours.*, got 'colors'"),
    ("palette: [[1, 2, 3]]", "line 5: expected a colour for each of 2 classes, got 1"),
    ("palette: [[1, 2], [1, 2]]", r"line 5: expected palette as a list of \[red, green, blue\]"),
    ("palette: [[1, 2, 256], [1, 2, 3]]", "line 5: expected palette"),
    ("channels: 2", "line 5: expected channels as 3 .RGB. or 1 .grey., got 2"),
    ("channels: true", "line 5: expected channels"),
    ("ignore: 255", "line 5: expected ignore as a list of whole numbers"),
    ("ignore: [-1]", "line 5: expected ignore"),
    ("first_id: 1.5", "line 5: expected first_id as a whole number"),
    ("first_id: 254", "line 5: expected first_id such that no class has id 255"),
    ("label_map: {7: lawn}", "line 5: expected label_map as a mapping .* got .7: 'lawn'."),
    ("label_map: {seven: path}", "line 5: expected label_map"),
    ("label_map: [path]", "line 5: expected label_map"),
    ("label_map: {3: path}\nfirst_id: 1", "line 6: expected label_map or first_id"),
    ("label_map: {3: path}\nignore: [3]", "line 6: expected an id mapped or ignored, got 3"),
    ("label_map: {3: path, 3: grass}", "the key '3' twice"),
    ("colours: {lawn: [[1, 2, 3]]}", "line 5: expected colours as palette, or .*got 'lawn'"),
    ("colours: {path: [1, 2, 3]}", "line 5: expected colours"),
    ("colours: {path: [[1, 2, 3]], grass: [[1, 2, 3]]}", r"expected each colour once, got \[1, 2"),
    ("colours: palette\nignore_colours: 3", "line 6: expected ignore_colours as a list"),
    ("colours: palette\nignore: [3]", "line 6: expected no ignore beside colours"),
    ("ignore_colours: [[0, 0, 0]]", "line 5: expected ignore_colours with colours"),
    ("convert: 1", "line 5: expected convert as true or false"),
    ("window: [9, 3]", "line 5: expected window as a list of two numbers"),
    ("window: [a, 3]", "line 5: expected window as a list of two numbers"),
    ("mask: grey", "line 5: expected mask as ids or binary, got 'grey'"),
    ("mask: binary\nlabel_map: {7: path}", "line 6: expected no label_map with binary masks"),
    ("mask: binary\nignore: [255]", "expected other values to ignore in binary masks, got 255"),
    ("mask: binary\ncolours: palette", "line 5: expected no mask beside colours"),
    ("orientation: left", "line 5: expected orientation as stored or exif, got 'left'"),
    ("label_suffix: 3", "line 5: expected label_suffix as the end of file names"),
    ("image_suffix: .tif", r"split val: .*images: expected \.tif files, got none"),
    ("label_suffix: _m.png", r"split val: .*labels: expected _m\.png files, got none"),
    ("licence: [CC0]", "line 5: expected licence as text"),
    ("x: [", "got .* in line 6; see docs/datasets.md"),
]


@pytest.mark.parametrize(("line", "words"), FAULTS, ids=[line for line, _ in FAULTS])
def test_faults_in_one_line(yard: Path, line: str, words: str) -> None:
    yard.write_text(BARE + line + "\n")
    with pytest.raises(InputError, match=words) as error:
        described(yard, "val")
    assert str(error.value).startswith(str(yard))
    assert "\n" not in str(error.value)


CHANGES = [
    ("grass, path", "grass", "line 2: expected classes as a list of 2 to 254 names"),
    ("grass, path", "grass, grass", "line 2: expected each class once, got 'grass' twice"),
    ("grass, path", "grass, yes", "line 2: expected classes as .* quotation marks"),
    ("name: yard", "name: 7", "line 1: expected name as text, got 7"),
    ("name: yard\n", "", "expected the field name, got only classes, splits"),
    ("val: {", "val: {more: x, ", "line 4: expected splits as a mapping such as"),
    ("val:", "7:", "line 4: expected splits"),
    ("labels: labels", "labels: truth", "line 4: expected a folder of labels, got none at"),
    ("val:", "test:", "line 3: expected the split val, got only test"),
    (BARE, "- a\n", "expected a mapping of fields"),
    (BARE, "", "expected a mapping of fields"),
]


@pytest.mark.parametrize(("old", "new", "words"), CHANGES)
def test_needed_fields(yard: Path, old: str, new: str, words: str) -> None:
    assert old in BARE
    yard.write_text(BARE.replace(old, new))
    with pytest.raises(InputError, match=words) as error:
        described(yard, "val")
    assert "\n" not in str(error.value)


def test_a_missing_pair(yard: Path) -> None:
    (yard.parent / "labels" / "b.png").unlink()
    with pytest.raises(InputError, match=r"yard\.yaml, split val: .*the labels of b\.jpg"):
        described(yard, "val")
