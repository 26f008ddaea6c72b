"""The comparison table in its four forms."""

from __future__ import annotations

import csv
import io
import json

from rich.console import Console

from certiseg.report.certified import certified_table
from certiseg.rounding import down
from certiseg.runfolder.comparison import Row, comparison_table, worst_tenth

ROWS = [
    Row("base, one draw of noise", accuracy=0.875, miou=float("nan"), seconds=0.5),
    Row(
        "certified, n = 100",
        accuracy=0.75,
        miou=0.5,
        certified_accuracy=0.75,
        correct_where_certified=0.9375,
        abstention=0.2,
        abstention_all=0.25,
        radius=0.16869,
        seconds=12.0,
    ),
]


def screen(table: object, width: int = 240) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_markdown() -> None:
    lines = comparison_table(ROWS).markdown().splitlines()
    assert lines[2] == "| base, one draw of noise | 0.8750 | - | - | - | - | - | - | 0.50 |"
    assert lines[3] == (
        "| certified, n = 100 | 0.7500 | 0.5000 | 0.7500 | 0.9375 | 0.2000 | 0.2500 | 0.1686 "
        "| 12.00 |"
    )
    assert {line.count("|") for line in lines[:4]} == {10}


def test_csv_keeps_full_precision_and_leaves_gaps_empty() -> None:
    first, second = csv.DictReader(io.StringIO(comparison_table(ROWS).csv()))
    assert (first["miou"], first["radius"]) == ("", "")
    assert float(second["radius"]) == 0.16869


def test_json_holds_no_nan() -> None:
    first, second = json.loads(comparison_table(ROWS).json())
    assert first["miou"] is None
    assert second["certified_accuracy"] == 0.75


def test_a_printed_radius_is_rounded_down() -> None:
    assert down(0.16869) == "0.1686"
    assert down(None) == "-"


def test_screen() -> None:
    """Models side by side, and nothing cut off at the width of an ordinary terminal."""
    lines = screen(comparison_table(ROWS, "camvid").rich(transposed=True), width=80).splitlines()
    words = [line.split() for line in lines]
    assert ["accuracy", "0.8750", "0.7500"] in words
    assert ["radius", "-", "0.1686"] in words
    assert not any("…" in line for line in lines)


def test_screen_leaves_out_figures_no_row_has() -> None:
    assert "radius" not in screen(comparison_table(ROWS[:1]).rich(transposed=True))


def test_certified_table_names_the_largest_classes() -> None:
    record = {
        "name": "street",
        "size": [4, 10],
        "labels": {"road": 20, "sky": 8, "car": 2, "bush": 1, "sign": 0},
        "abstention": 0.225,
        "radius": 0.16869,
        "seconds": 3.25,
    }
    text = screen(certified_table([record]))
    for part in ("4 x 10", "22.5%", "0.1686", "road 50%, sky 20%, car 5%"):
        assert part in text
    assert "bush" not in text


def test_certified_table_of_clouds_counts_points_and_names_the_angle() -> None:
    record = {
        "name": "chair",
        "size": [2048],
        "labels": {"chair: back": 1024, "chair: leg": 512},
        "abstention": 0.25,
        "radius": [0.1, 0.12, 0.14159],
        "norm": "rotation",
        "seconds": 3.25,
    }
    text = screen(certified_table([record]))
    for part in ("cloud", "2048 points", "angle (rad)", "0.1000 to 0.1415", "chair: back 50%"):
        assert part in text
    assert "picture" not in text


def test_worst_tenth() -> None:
    assert worst_tenth([0.5] * 9) is None
    assert worst_tenth([*[0.5] * 9, None]) is None
    assert worst_tenth([*[0.5] * 9, 0.25]) == 0.25
    assert worst_tenth([0.75, 0.25, 0.5, *[1.0] * 18]) == 0.5
