"""Figures: files that are whole, the same each time, and readable; a clear word without them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from certiseg.errors import InputError
from certiseg.report.figures import (
    Line,
    Panel,
    Range,
    curves,
    need_matplotlib,
    ranges,
    write_figure,
)


def panels() -> list[Panel]:
    x = [100.0, 1000.0, 10_000.0]
    lines = [
        Line("Holm", x, [0.5, 0.75, 1.0], 0, error=[0.1, 0.1, 0.0]),
        Line("Bonferroni", x, [0.25, 0.5, 0.75], 9),
        Line("any radius", x, [0.0, 0.1, 0.2], 1, every=0),
    ]
    return [
        Panel("left", lines, "components N", "share", (0.0, 1.0), log_x=True),
        Panel("right", lines[:1], "noise γ", "share", (0.0, 1.0), levels=[(0.75, "τ")]),
    ]


def test_both_files_are_whole(tmp_path: Path) -> None:
    png, svg = write_figure(curves(panels(), "a note"), tmp_path / "figure")
    with Image.open(png) as picture:
        picture.load()
        assert picture.format == "PNG"
        # Two panels of 3.7 inches at 200 dots an inch.
        assert picture.width > 1400
        assert len(set(picture.convert("L").tobytes())) > 10
    text = svg.read_text()
    assert text.rstrip().endswith("</svg>")
    for words in ("Holm", "Bonferroni", "any radius", "noise γ", "components N", "a note", "τ"):
        assert words in text
    # One entry a line in the legend, also where two panels show it.
    assert text.count(">Holm<") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.png", "figure.svg"]


@pytest.mark.slow
def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_figure(curves(panels()), tmp_path / "one")
    second = write_figure(curves(panels()), tmp_path / "two")
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
    assert b"<dc:date>" not in first[1].read_bytes()


@pytest.mark.slow
def test_another_figure_gives_other_bytes(tmp_path: Path) -> None:
    """Negative control of the comparison above."""
    first = write_figure(curves(panels()), tmp_path / "one")
    second = write_figure(curves(panels()[:1]), tmp_path / "two")
    assert first[1].read_bytes() != second[1].read_bytes()


def test_styles_differ_in_more_than_colour() -> None:
    """Sixteen styles: no two alike in marker, filling, dashes and colour, and at most two of one
    colour, which then differ in the other three."""
    lines = [Line(str(style), [0.0, 1.0], [0.0, float(style)], style) for style in range(16)]
    (axes,) = curves([Panel("", lines, "", "", (0, 16))]).axes
    drawn = axes.get_lines()
    filled = [line.get_markerfacecolor() != "white" for line in drawn]
    looks = [
        (line.get_marker(), full, str(line._dash_pattern))  # type: ignore[attr-defined]
        for line, full in zip(drawn, filled, strict=True)
    ]
    assert len(set(looks)) == 16
    for style in range(8):
        first, second = drawn[style], drawn[style + 8]
        assert first.get_color() == second.get_color()
        assert filled[style] != filled[style + 8]
        assert looks[style][2] != looks[style + 8][2]


def test_ranges_show_every_row(tmp_path: Path) -> None:
    rows = [Range("Holm", 0.8, 0.7, 0.9), Range("radius map", 0.6, 0.6, 0.6, style=2)]
    figure = ranges(rows, "certified share", "two images")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Holm", "radius map"]
    # The first row is the uppermost.
    low, high = axes.get_ylim()
    assert low > high
    _, svg = write_figure(figure, tmp_path / "ranges")
    assert "certified share" in svg.read_text()


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for attempt in (need_matplotlib, lambda: curves(panels())):
        with pytest.raises(InputError, match=r"pip install 'certiseg\[report\]'") as caught:
            attempt()
        assert "\n" not in str(caught.value)
