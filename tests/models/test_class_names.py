"""--names FILE: names and colours of classes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

import certiseg as cs
from certiseg.models.class_names import ClassNames, read_names, told_apart
from certiseg.models.loaded import LoadedModel
from certiseg.runs.model import _named


def written(path: Path, content: bytes) -> Path:
    file = path / "names.txt"
    file.write_bytes(content)
    return file


def test_names_and_colours(tmp_path: Path) -> None:
    plain = written(tmp_path, b"\xef\xbb\xbfsky\r\nclass 1\r\nwild boar\r\n\r\n")
    assert read_names(plain) == ClassNames(("sky", "class 1", "wild boar"))
    coloured = written(tmp_path, b"sky #0a0B0c\nstop sign 1 2 255\n")
    found = ClassNames(("sky", "stop sign"), ((10, 11, 12), (1, 2, 255)))
    assert read_names(coloured) == found


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "got 0 lines"),
        (b"sky\n" * 255, "got 255 lines; name 1 to 254 classes or maps"),
        (b"sky\n\nroad\n", "'' on line 2"),
        (b"sky\nroad\nsky\n", "'sky' on lines 1 and 3"),
        (b"sky #000000\nroad\n", "no colour on line 2"),
        (b"sky 0 0 256\nroad 0 0 0\n", "line 1; give numbers up to 255"),
        (b"sky\n#ff0000\n \n", None),
        (b"1 2 3\tsky\n4 5 6\troad\n", "on line 1"),
        (b"a\nb\xff\n", "UTF-8"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: bytes, word: str | None) -> None:
    file = written(tmp_path, content)
    if word is None:
        assert read_names(file).classes == ("sky", "#ff0000")
        return
    with pytest.raises(cs.InputError, match=word) as caught:
        read_names(file)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(cs.InputError, match="No such file"):
        read_names(tmp_path / "none.txt")


def test_they_name_a_model_that_states_none() -> None:
    names = ClassNames(("background", "grey", "white"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)))
    loaded = cs.load_model("certiseg:mni152", names=names)
    assert (loaded.classes, loaded.palette) == names
    assert loaded.opening is not None
    assert loaded.opening["names"] == names
    with pytest.raises(cs.InputError, match="expected 3 names, one for each class"):
        cs.load_model("certiseg:mni152", names=ClassNames(("a", "b")))


def test_classes_of_one_name_are_told_apart() -> None:
    assert told_apart(("a", "b", "a")) == ("a (0)", "b", "a (2)")
    assert len(set(told_apart(("a", "a (0)", "a")))) == 3
    loaded = _named(LoadedModel("m", nn.Identity(), 2, classes=("a", "a")), None)
    assert loaded.classes == ("a (0)", "a (1)")
