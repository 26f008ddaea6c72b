"""Result files: whole lines, and refusal of what is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from certiseg.errors import InputError
from certiseg.runs.output import read_lines, write_lines


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
