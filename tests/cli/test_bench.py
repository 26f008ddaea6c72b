"""`certiseg bench`: tables, JSON, files, and bad calls in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]
QUICK = ("--quick", "--turns", 1)


def test_table_and_files(call: Call, tmp_path: Path) -> None:
    done = call("bench", "overhead", *QUICK, "-o", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    assert "What does counting votes cost" in done.out
    assert "certiseg" in done.out
    names = sorted(path.name for path in (tmp_path / "out").glob("[!.]*"))
    assert names == ["overhead.csv", "overhead.json"]


def test_json(call: Call) -> None:
    done = call("bench", "profile", *QUICK, "-n", 6, "--json")
    (record,) = json.loads(done.out)
    assert record["benchmark"] == "profile"
    assert record["settings"]["n"] == 6


def test_bad_calls(call: Call, tmp_path: Path) -> None:
    assert call("bench", "speed").is_one_line_error("overhead", "'speed'")
    assert call("bench", "overhead", "--size", "big").is_one_line_error("HEIGHTxWIDTH", "'big'")
    assert call("bench", "overhead", "--turns", 0).is_one_line_error("--turns")
    assert call("bench", "overhead", "-m", "certiseg:solids").is_one_line_error("clouds")
    assert call("bench", "overhead", "--device", "nowhere").is_one_line_error("nowhere")
    assert call("bench", "memory", "--device", "meta").is_one_line_error("memory")
    (tmp_path / "overhead.json").write_text("{}")
    again = call("bench", "overhead", *QUICK, "-o", tmp_path)
    assert again.is_one_line_error("no other file in the way")
    assert not (tmp_path / "overhead.csv").exists()
