"""Figures of studies and plans: curves and ranges, as PNG and SVG. Matplotlib is optional."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write
from certiseg.rounding import share_down

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart with any kind of colour vision. Lines differ in marker and
# dashes too, for paper without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
INK, RULE = "#222226", "#C9C9CF"
_SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "text.color": INK,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.2,
    # Text stays text, and the same figure gives the same bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "certiseg",
}


@dataclass(frozen=True)
class Line:
    """A curve. style: which colour, marker and dashes; the same number looks the same in every
    panel. error: half the height of the band around it. every: points from one marker to the next;
    0 for a dotted line without markers. steps: each value holds from the point before it on, so
    that a falling bound is never drawn above itself."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: int
    error: Sequence[float] | None = None
    every: int = 1
    steps: bool = False


@dataclass(frozen=True)
class Panel:
    """Curves over one horizontal axis. levels: (y, words) of lines drawn across."""

    title: str
    lines: Sequence[Line]
    x_label: str
    y_label: str
    y_range: tuple[float, float]
    log_x: bool = False
    log_y: bool = False
    levels: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class Bars:
    """Values by category, one bar a series. horizontal: categories from top to bottom. show: a
    value in words, by default a share that is better when larger."""

    categories: Sequence[str]
    series: Sequence[tuple[str, Sequence[float]]]
    category_label: str
    value_label: str
    horizontal: bool = False
    show: Callable[[float], str] = share_down


@dataclass(frozen=True)
class Range:
    """A mean between its least and its largest value. style: colour and marker."""

    name: str
    mean: float
    low: float
    high: float
    style: int = 0


def curves(panels: Sequence[Panel], note: str = "") -> Figure:
    """The panels side by side over one legend of all lines; note: one line across the top.

    Raises InputError where Matplotlib is missing.
    """
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    # Rows of one length, as a legend is filled column by column.
    rows = max(1, -(-len(names) // (2 if len(panels) == 1 else 5)))
    columns = -(-len(names) // rows)
    figure = new_figure(max(3.7 * len(panels), 5.4), 3.5 + 0.2 * rows)
    with style():
        entries: dict[str, Any] = {}
        for axes, panel in zip(_row(figure, len(panels)), panels, strict=True):
            entries |= _draw(axes, panel)
        figure.legend(
            entries.values(),
            entries.keys(),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            handlelength=3.4,
            columnspacing=1.6,
        )
        _note(figure, note)
    return figure


def ranges(rows: Sequence[Range], label: str, note: str = "") -> Figure:
    """One line a row: the mean as a dot, least to largest as a bar; note as in curves."""
    figure = new_figure(6.0, 1.0 + 0.25 * len(rows))
    with style():
        (axes,) = _row(figure, 1)
        for position, row in enumerate(rows):
            colour = COLOURS[row.style % len(COLOURS)]
            axes.plot([row.low, row.high], [position] * 2, color=colour, linewidth=3, alpha=0.4)
            axes.plot(row.mean, position, _MARKERS[row.style % len(_MARKERS)], color=colour, ms=6)
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.invert_yaxis()
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(label)
        _note(figure, note)
    return figure


def bars(drawn: Bars, note: str = "") -> Figure:
    """Grouped bars; a value that is NaN has none. note as in curves."""
    rows, groups = len(drawn.categories), len(drawn.series)
    across = drawn.horizontal
    size = (6.4, 1.4 + rows * (0.1 + 0.11 * groups)) if across else (6.4, 3.6)
    figure = new_figure(*size)
    with style():
        (axes,) = _row(figure, 1)
        width = 0.8 / groups
        for number, (name, values) in enumerate(drawn.series):
            places = [row + (number - (groups - 1) / 2) * width for row in range(rows)]
            colour = COLOURS[number % len(COLOURS)]
            draw = axes.barh if across else axes.bar
            draw(places, values, 0.92 * width, color=colour, label=literal(name))
        names = [literal(name) for name in drawn.categories]
        if across:
            axes.set_yticks(range(rows), names)
            axes.invert_yaxis()
            axes.set(xlabel=drawn.value_label, ylabel=drawn.category_label, xlim=(0, 1))
        else:
            axes.set_xticks(range(rows), names, rotation=30 if rows > 6 else 0)
            axes.set(xlabel=drawn.category_label, ylabel=drawn.value_label)
        axes.grid(axis="x" if across else "y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        if groups > 1:
            columns = 2 if groups > 3 else groups
            figure.legend(loc="outside lower center", ncols=columns, frameon=False)
        _note(figure, note)
    return figure


def literal(text: str) -> str:
    """A name that Matplotlib shows as it is: between two dollar signs it would set formulas."""
    return text.replace("$", r"\$")


_KINDS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 200},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}


def write_figure(
    figure: Figure, stem: str | Path, kinds: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Write STEM.png (200 dots an inch), STEM.svg or STEM.pdf, atomically; vector files have the
    same bytes each time."""
    written = []
    for kind in kinds:
        written.append(Path(f"{stem}.{kind}"))
        atomic_write(written[-1], figure_bytes(figure, kind))
    return written


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as a file of this kind."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, bbox_inches="tight", **_KINDS[kind])
    return buffer.getvalue()


def need_matplotlib() -> None:
    """Raise InputError where Matplotlib is missing, before anything is computed."""
    if not has_matplotlib():
        raise InputError(
            "expected Matplotlib for figures, got none; pip install 'certiseg[report]'"
        )


def has_matplotlib() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def new_figure(width: float, height: float) -> Figure:
    need_matplotlib()
    # Not pyplot: no window, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
    return figure


def style() -> Any:
    from matplotlib import rc_context

    return rc_context(_SETTINGS)


def _row(figure: Figure, count: int) -> list[Axes]:
    return list(figure.subplots(1, count, squeeze=False)[0])


def _draw(axes: Axes, panel: Panel) -> dict[str, Any]:
    """Draw the panel; returns what its legend shows, by name."""
    entries: dict[str, Any] = {}
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for height, words in panel.levels:
        axes.axhline(height, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
        axes.annotate(
            words, (1.0, height), (-2, 3), ha="right", fontsize=8,
            xycoords=("axes fraction", "data"), textcoords="offset points",
        )  # fmt: skip
    for line in panel.lines:
        colour = COLOURS[line.style % len(COLOURS)]
        # A second round of the colours has other dashes and open markers.
        again, style = divmod(line.style, len(COLOURS))
        (entries[literal(line.name)],) = axes.plot(
            line.x,
            line.y,
            color=colour,
            marker=_MARKERS[style] if line.every else "",
            markevery=(line.style % line.every, line.every) if line.every else None,
            markerfacecolor="white" if again else colour,
            drawstyle="steps-pre" if line.steps else "default",
            linestyle=_DASHES[(style + again) % len(_DASHES)] if line.every else (0, (1, 1)),
        )
        if line.error is not None:
            low = [y - e for y, e in zip(line.y, line.error, strict=True)]
            high = [y + e for y, e in zip(line.y, line.error, strict=True)]
            axes.fill_between(line.x, low, high, color=colour, alpha=0.15, linewidth=0)
    if panel.log_x:
        axes.set_xscale("log")
    if panel.log_y:
        axes.set_yscale("log")
    axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label, ylim=panel.y_range)
    return entries


def _note(figure: Figure, note: str) -> None:
    if note:
        figure.suptitle(note, fontsize=8, x=0.01, ha="left")
