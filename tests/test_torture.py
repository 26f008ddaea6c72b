"""Negative control of benchmarks/torture.py: what it looks for, it finds."""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "torture.py"


@pytest.fixture(scope="module")
def torture() -> Any:
    spec = importlib.util.spec_from_file_location("torture", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["torture"] = module
    spec.loader.exec_module(module)
    return module


def _lines(*names: str) -> bytes:
    return "".join(json.dumps({"name": name}) + "\n" for name in names).encode()


@pytest.mark.parametrize(
    ("column", "change"),
    [
        (None, lambda out: None),
        ("lost", lambda out: (out / "a.json").unlink()),
        ("doubled", lambda out: (out / "b.json").write_text("1")),
        ("half", lambda out: (out / ".certiseg-1-0123456789abcdef.tmp").touch()),
        ("half", lambda out: (out / "a.json").write_text('{"a": ')),
        ("mixed", lambda out: (out / "a.json").write_text("2")),
        ("mixed", lambda out: (out / "results.jsonl").write_bytes(_lines("a"))),
        ("doubled", lambda out: (out / "results.jsonl").write_bytes(_lines("a", "a"))),
    ],
)
def test_what_differs_is_counted(
    column: str | None, change: Callable[[Path], object], torture: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text('{"seconds": 1, "a": 2}')
    (tmp_path / "results.jsonl").write_bytes(_lines("a", "b"))
    whole = torture.contents(tmp_path)
    (tmp_path / "a.json").write_text('{"seconds": 9, "a": 2}')
    change(tmp_path)
    row = dict.fromkeys(torture.COLUMNS, 0)
    torture.compare(whole, tmp_path, row)
    assert {name for name, value in row.items() if value} >= ({column} - {None})
    assert any(row.values()) == (column is not None)


def test_processes_are_counted(
    torture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(torture, "PLACE", tmp_path)
    monkeypatch.setattr(torture, "PATIENCE", 0.5)
    row = dict.fromkeys(torture.COLUMNS, 0)
    assert torture.ended(torture.started(lambda _: 0, tmp_path), row) == 0
    assert not any(row.values())
    torture.ended(torture.started(lambda _: 7, tmp_path), row)
    torture.ended(torture.started(lambda _: time.sleep(99), tmp_path), row)
    assert (row["unforeseen"], row["hung"]) == (1, 1)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
