"""`benchmarks/speed.py`: a result's block on the page, and its place."""

from __future__ import annotations

from typing import Any

import pytest

import speed
from certiseg.bench.run import BENCHMARKS


def record() -> dict[str, Any]:
    machine = {
        "processor": "P", "cpus": 2, "threads": 1, "vector instructions": "AVX2", "load": 0.1,
    }  # fmt: skip
    return {
        "question": "How much?",
        "rows": [{"model": "a", "ratio": 1.5}],
        "goals": [
            {"goal": "ratio, a", "value": 1.5, "at most": 1.05, "met": False},
            {"goal": "times", "value": 6000.0, "at least": 5000.0, "met": True},
        ],
        "notes": ["a note."],
        "made_with": {
            "machine": machine, "torch": "2", "numpy": "2", "scipy": "1",
            "finished": "2026-01-02T03:04:05+00:00",
        },
    }  # fmt: skip


def test_a_missed_goal_is_said() -> None:
    text = speed.block(record(), [speed.ROOT / "benchmarks" / "results" / "cost.png"])
    assert "| a | 1.50 |" in text
    assert "- ratio, a: 1.50, goal at most 1.05: **missed**" in text
    assert "- times: 6000, goal at least 5000: met" in text
    assert "- a note." in text
    assert "![How much?](../benchmarks/results/cost.png)" in text
    assert "Machine: P, 2 cores, 1 threads, AVX2, load 0.1; torch 2" in text


def test_only_its_own_place_changes() -> None:
    page = "x\n<!-- a -->\nold\n<!-- /a -->\ny\n<!-- b -->\n<!-- /b -->\n"
    once = speed.put(page, "a", "new")
    assert once == "x\n<!-- a -->\n\nnew\n<!-- /a -->\ny\n<!-- b -->\n<!-- /b -->\n"
    assert speed.put(once, "a", "new") == once
    with pytest.raises(AssertionError, match="one pair"):
        speed.put(page, "c", "new")


def test_every_line_of_the_plan_has_its_place() -> None:
    page = speed.PAGE.read_text(encoding="utf-8")
    for name, arguments in speed.PLAN.items():
        assert speed.put(page, name, "new") != page
        script, *rest = arguments.split()
        assert (speed.ROOT / script).is_file() or rest[2] in BENCHMARKS
