"""Results as files and tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from certiseg.bench.result import Goal, Result, brief, markdown, number, shown
from certiseg.bench.timing import Spread

RESULT = Result(
    "cost",
    "What does it cost?",
    [
        {"model": "a", "n": 100, "seconds": Spread(0.5, 0.25, 1.0), "ratio": None},
        {"model": "b", "n": 7, "seconds": Spread(2.0, 2.0, 2.0), "ratio": 1.23456789},
        {"model": "c", "n": 8, "seconds": None, "ratio": 2.5},
    ],
    {"certiseg": "0", "machine": {"cpus": 2}},
    {"seed": 0},
    [Goal("ratio", 1.04, 1.05), Goal("times", 4000.0, 5000.0, at_least=True)],
    ["a note"],
    [(".png", b"picture")],
)


def test_files_hold_all_figures(tmp_path: Path) -> None:
    RESULT.write(tmp_path)
    record = json.loads((tmp_path / "cost.json").read_text())
    assert set(record) == {
        "benchmark", "question", "settings", "rows", "goals", "notes", "made_with",
    }  # fmt: skip
    assert record["rows"][0]["seconds, highest"] == 1.0
    assert [goal["met"] for goal in record["goals"]] == [True, False]
    rows = list(csv.DictReader((tmp_path / "cost.csv").open()))
    assert rows[1] == {
        "model": "b",
        "n": "7",
        "seconds": "2.0",
        "seconds, lowest": "2.0",
        "seconds, highest": "2.0",
        "ratio": "1.2346",
    }
    assert (tmp_path / "cost.png").read_bytes() == b"picture"


def test_the_page_shows_what_the_file_holds() -> None:
    assert markdown(json.loads(json.dumps(RESULT.record()))) == (
        "| model | n | seconds | ratio |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| a | 100 | 0.500 (0.250 to 1) | - |\n"
        "| b | 7 | 2 (2 to 2) | 1.23 |\n"
        "| c | 8 | - | 2.50 |\n"
    )


def test_goals_are_judged_from_their_side() -> None:
    assert str(Goal("ratio", 1.04, 1.05)) == "ratio: 1.04, goal at most 1.05: met"
    assert not Goal("ratio", 1.06, 1.05).met
    assert Goal("times", 5000.0, 5000.0, at_least=True).met
    assert "MISSED" in str(Goal("times", 4999.0, 5000.0, at_least=True))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (12, "12"), (2380.0, "2380"), (28.04, "28.0"), (1.0499, "1.05"),
        (0.0317, "0.0317"), (0.000547, "0.000547"), (-0.023, "-0.0230"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_cells() -> None:
    assert shown(True) == "yes"
    assert shown(None) == "-"
    assert brief(Spread(2.0, 1.0, 3.0)) == "2 ±50%"
