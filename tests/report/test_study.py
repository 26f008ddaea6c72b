"""Studies and plans on the screen and as panels."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from rich.console import Console

from certiseg.noise import Gaussian
from certiseg.report.plan import curve_table, plan_panel, plan_table, plan_title
from certiseg.report.study import (
    correction_ranges,
    correction_table,
    correction_title,
    synthetic_note,
    synthetic_panels,
    synthetic_table,
)
from certiseg.studies.correction import Compared, Task
from certiseg.studies.plan import Request, likely_curves, prospects
from certiseg.studies.synthetic import Measured, Scenario, over_noise, over_size, simulate
from certiseg.studies.toy import Toy
from certiseg.table import Table

STREET = Request(size=(1024, 2048), num_classes=19, noise=Gaussian(0.25), passes=110)


def screen(table: object, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module", params=["gamma", "components"])
def sweep(request: pytest.FixtureRequest) -> tuple[Scenario, list[Measured]]:
    small = {
        "gamma": replace(over_noise(), toys=(Toy(100, 0.02), Toy(100, 0.05))),
        "components": replace(over_size(), toys=(Toy(100, 0.05), Toy(1000, 0.05))),
    }[request.param]
    return small, [row for point in simulate(small, 3, 0) for row in point]


def test_panels_show_every_method_once_and_its_own_points(sweep) -> None:
    scenario, rows = sweep
    panels = synthetic_panels(rows, scenario)
    assert [len(panel.lines) > 0 for panel in panels] == [True] * 3
    shown = [line.name for panel in panels[:2] for line in panel.lines]
    assert sorted(shown) == sorted(
        [*{row.method for row in rows}, "Holm", "IndivClass, any radius"]
    )
    for panel in panels[:2]:
        assert len({line.style for line in panel.lines if line.every}) == len(
            [line for line in panel.lines if line.every]
        )
        for line in panel.lines:
            points = [row for row in rows if row.method == line.name.split(", any")[0]]
            of = "share" if line.every == 0 else "share_at_radius"
            assert list(line.y) == [getattr(row, of) for row in points]
            x = "gamma" if scenario.name == "gamma" else "components"
            assert list(line.x) == [getattr(row, x) for row in points]
    assert panels[0].log_x == (scenario.name == "components")


def test_the_figure_says_how_many_draws_each_method_sees(sweep) -> None:
    scenario, rows = sweep
    panels = synthetic_panels(rows, scenario)
    assert f"{scenario.selection} draws choose, {scenario.trials} others" in panels[0].title
    assert f"all {scenario.draws} draws" in panels[1].title
    assert "early stopping" in panels[2].title
    assert f"{scenario.draws} draws in all" in synthetic_note(scenario, 3)


def test_tables_fit_a_terminal(sweep) -> None:
    scenario, rows = sweep
    request = replace(STREET, grid=4, budget=0.01)
    compared = [Compared("pooled k-FWER, k = 0.1% of N", 110, 3, 0.5, 0.25, 0.75, 0.125)]
    tables = [
        synthetic_table(rows, scenario, "a title"),
        plan_table(prospects(request), request),
        plan_table(prospects(replace(request, passes=10)), request),
        curve_table(likely_curves(request, (100, 10_000)), (100, 10_000)),
        correction_table(compared, "a title"),
    ]
    for table in tables:
        text = screen(table)
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= 80


def test_plan_table_marks_what_was_asked_and_says_what_is_too_little() -> None:
    lines = screen(plan_table(prospects(STREET), STREET)).splitlines()
    assert [line.split()[0] for line in lines if "*" in line and "asked" not in line] == ["pooled"]
    assert any("107/110" in line and "82.0%" in line for line in lines)
    few = screen(plan_table(prospects(replace(STREET, passes=70)), replace(STREET, passes=70)))
    assert few.count("too few") == 2
    assert "radius 0.1686" in plan_title(STREET)[1]


def test_needed_probabilities_are_rounded_up() -> None:
    text = screen(curve_table({"pooled": [0.91231, None]}, (100, 200)))
    assert "0.9124" in text
    assert text.split()[-1] == "-"


def test_plan_panel_leaves_out_what_cannot_be_certified() -> None:
    panel = plan_panel({"split": [None, 0.9], "none": [None, None]}, (50, 100), STREET)
    assert [(line.name, list(line.x), list(line.y)) for line in panel.lines] == [
        ("split", [100], [0.9])
    ]
    assert panel.levels[0][0] == 0.75


def test_correction_words_and_families() -> None:
    rows = [
        Compared("Holm", 110, 3, 0.5, 0.25, 0.75, 0.0),
        Compared("pooled Holm", 110, 3, 0.6, 0.5, 0.75, 0.1),
        Compared("radius map", 110, 3, 0.6, 0.5, 0.75, 0.1),
    ]
    task = Task(Gaussian(0.25), 0.75, 1e-3, trials=100, selection=10, model=None, grid=False)
    assert correction_title(rows, task) == (
        "3 images, 110 draws (10 choose in two-stage methods), sigma = 0.25, tau = 0.75, "
        "alpha = 0.001"
    )
    two_stages, pooled, whole_map = correction_ranges(rows)
    assert two_stages.style != pooled.style == whole_map.style
    text = " ".join(screen(correction_table(rows, "")).split())
    assert "fixed before sampling" in text
    assert "+0.1000" in text


def test_only_all_is_shown_as_all() -> None:
    nearly, almost = 1 - 1e-6, 0.1 + 0.2
    rows = [Compared("Holm", 110, 3, nearly, almost, 1.0, 0.0)]
    text = screen(correction_table(rows, ""))
    assert ["Holm", "0.9999", "0.3000", "1.0000", "+0.0000"] in [
        line.split() for line in text.splitlines()
    ]


def test_csv_has_a_column_a_field() -> None:
    rows = prospects(replace(STREET, passes=60))
    back = list(csv.DictReader(io.StringIO(Table((), rows).csv())))
    assert [row["name"] for row in back] == [row.name for row in rows]
    assert back[0]["cutoff"] == ""
    assert float(back[-1]["chance"]) == rows[-1].chance
