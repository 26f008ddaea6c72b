"""Certified accuracy beyond the radius (theory T17): in the chart, and in its table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from certiseg.certifiers.radius_map import radius_map
from certiseg.report.charts import Chart, chart_table, charts
from certiseg.report.figures import Line, Panel
from certiseg.report.summary import summarise
from certiseg.report.write import write_report
from certiseg.runfolder.layout import Layout
from certiseg.runfolder.run import read_run
from certiseg.runs.settings import Settings, Stopping
from made_runs import SIZE, certificates, made_run

SIDE = 8
WINDOWS = (SIDE, SIDE, 0)
NAME = "certified accuracy, windows together"


def line_of(root: Path, name: str = NAME) -> Line | None:
    summary = summarise(read_run(root), "run", np.linspace(0, 0.75, 301), lambda sample: None)
    (chart,) = (chart for chart in charts([summary]) if chart.key == "curve")
    assert isinstance(chart.drawing, Panel)
    return next((line for line in chart.drawing.lines if line.name == name), None)


def truths(root: Path) -> list[np.ndarray]:
    found = []
    for path in sorted(Path(Layout(root).view("x")).parent.iterdir()):
        with np.load(path) as view:
            found.append(view["truth"])
    return found


def test_of_disjoint_windows_the_fullest_are_lost_first(tmp_path):
    """With one radius the linear program is a knapsack: energy m R^2 changes m windows, and a part
    of the next."""
    settings = Settings(num_samples=200, seed=1, stopping=Stopping(min_gain=0.1, looks=1))
    made_run(tmp_path, settings=settings, source={"windows": WINDOWS})
    line = line_of(tmp_path)
    assert line is not None
    labelled, right = 0, np.zeros(len(line.x))
    for certificate, truth in zip(certificates(tmp_path), truths(tmp_path), strict=True):
        held = (certificate.labels == truth) & (truth != 255)
        labelled += int((truth != 255).sum())
        full = np.sort(
            held.reshape(SIZE[0] // SIDE, SIDE, SIZE[1] // SIDE, SIDE).sum((1, 3)).ravel()
        )
        for place, norm in enumerate(line.x):
            energy = (norm / certificate.radius) ** 2 if norm > certificate.radius else 0.0
            whole = min(int(energy), full.size)
            lost = float(full[::-1][:whole].sum())
            if whole < full.size:
                lost += (energy - whole) * full[::-1][whole]
            right[place] += held.sum() - np.floor(lost + 1e-6)
    assert np.array_equal(np.rint(np.array(line.y) * labelled), right)
    # To sqrt(15) radii and no further: 15 windows.
    assert right[line.x.index(3 * certificates(tmp_path)[0].radius)] > 0
    assert line.y[-1] == 0
    assert line.steps


@pytest.mark.parametrize("method", ["each", "map", "regions"])
def test_it_goes_on_where_the_map_of_radii_ends(tmp_path, method):
    settings = Settings(
        num_samples=200, seed=1, radius_map=method == "map", regions=method == "regions"
    )
    made_run(tmp_path, settings=settings, source={"windows": WINDOWS})
    line, plain = line_of(tmp_path), line_of(tmp_path, "certified accuracy")
    assert line is not None
    assert plain is not None
    grid = np.array(plain.x)
    for norm, value in zip(line.x, line.y, strict=True):
        # The grid's next radius is beyond the norm, where fewer hold.
        beyond = np.flatnonzero(grid > norm)
        assert value >= (plain.y[beyond[0]] if beyond.size else 0.0)
        assert value <= plain.y[0]
    largest = max(
        radius_map(c.votes, noise=c.noise, alpha=c.alpha).radius.max()
        for c in certificates(tmp_path)
    )
    assert any(norm > largest and value > 0.5 for norm, value in zip(line.x, line.y, strict=True))


@pytest.mark.parametrize(("windows", "grid"), [(None, None), (WINDOWS, 4)])
def test_without_windows_or_on_cells_there_is_no_such_line(tmp_path, windows, grid):
    made_run(
        tmp_path, settings=Settings(num_samples=200, seed=1, grid=grid), source={"windows": windows}
    )
    assert line_of(tmp_path) is None


def test_the_page_says_what_the_line_is_of(tmp_path):
    made_run(tmp_path / "run", source={"windows": WINDOWS})
    text = write_report([tmp_path / "run"], tmp_path / "report.html").page.read_text()
    assert "over the 3 kept images" in text
    runs = [tmp_path / "run", tmp_path / "other"]
    made_run(tmp_path / "other")
    text = write_report(runs, tmp_path / "report.html").page.read_text()
    assert f"run, {NAME}" in text
    assert f"other, {NAME}" not in text


def test_a_table_reads_falling_steps_between_their_points():
    lines = [
        Line("fine", [0.0, 0.25, 0.5, 0.75], [1.0, 0.875, 0.5, 0.0], 0, steps=True),
        Line("few", [0.0, 0.625, 1.0], [0.75, 0.5, 0.25], 1, steps=True),
    ]
    head, rows = chart_table(Chart("curve", "", "", Panel("", lines, "norm", "y", (0, 1))))
    assert head == ["norm", "fine", "few"]
    assert [[float(cell) for cell in row] for row in rows] == [
        [0, 1, 0.75],
        [0.25, 0.875, 0.5],
        [0.5, 0.5, 0.5],
        [0.625, 0, 0.5],
        [0.75, 0, 0.25],
        [1, 0, 0.25],
    ]
