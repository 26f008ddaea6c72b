"""Small files of plain values: what they may hold, what is refused, and on which line it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from certiseg.files.documents import read_document, read_with_lines
from certiseg.files.reading import DOCUMENT


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_and_json_give_the_same(tmp_path: Path) -> None:
    value = {"a": [1, "x"], "b": {"c": None}}
    assert read_document(written(tmp_path / "a.json", '{"a": [1, "x"], "b": {"c": null}}')) == value
    assert read_document(written(tmp_path / "a.yaml", "a: [1, x]\nb: {c: }\n")) == value


def test_lines(tmp_path: Path) -> None:
    _, lines = read_with_lines(written(tmp_path / "a.yaml", "# x\na:\n  - one\n  - 7: z\nb: 1\n"))
    assert lines["a",] == 2
    assert lines["a", "0"] == 3
    assert lines["a", "1", "7"] == 4
    assert lines["b",] == 5
    assert read_with_lines(written(tmp_path / "none.yaml", "")) == (None, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "'a' twice"),
        ("a: &x [1]\nb: *x\n", "alias"),
        ("a: [1\n", "line 2"),
        ("a: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a" * (DOCUMENT + 1), "more than 256 KiB"),
        ("a: 1\n--- \nb: 2\n", "expected a single document|another document"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        read_document(written(tmp_path / "a.yaml", text))
    assert "\n" not in str(error.value)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_document(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match="decode"):
        read_document(tmp_path / "bad.yaml")
