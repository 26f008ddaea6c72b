"""Result files: whole lines, and refusal of what is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from certiseg.errors import InputError
from certiseg.runs.output import read_lines, refuse_existing, write_lines


def test_lines_come_back(tmp_path: Path) -> None:
    records = [{"name": "a", "seed": 2**127}, {"name": "b\n", "labels": {"ö": 1}}]
    write_lines(tmp_path / "results.jsonl", records)
    assert read_lines(tmp_path / "results.jsonl") == records
    assert read_lines(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("text", ["{", "[1]\n", '{"other": 1}\n', "3\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match="expected JSON lines written by certiseg"):
        read_lines(path)


def test_existing_files_are_named(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    refuse_existing(paths, overwrite=False)
    paths[1].touch()
    paths[2].touch()
    with pytest.raises(InputError, match="b and 1 more"):
        refuse_existing(paths, overwrite=False)
    refuse_existing(paths, overwrite=True)
