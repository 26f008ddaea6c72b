"""Curves, bars and ranges drawn with Matplotlib (optional) and written as PNG, SVG and PDF."""

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

# Okabe and Ito's colour-blind safe palette. Lines also differ in marker and dashes.
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
    # Text as text, and reproducible bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "certiseg",
}


@dataclass(frozen=True)
class Line:
    """A curve.

    style: number of colour, marker and dashes, the same in all panels. error: half height of the
    band around it. every: distance of markers in points; 0 for a dotted line without markers.
    steps: draw each value from the previous point on, so that a falling bound is not overstated.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: int
    error: Sequence[float] | None = None
    every: int = 1
    steps: bool = False


@dataclass(frozen=True)
class Panel:
    """Curves over one horizontal axis. levels: (y, label) of horizontal lines."""

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
    """Values by category, with one bar per series. show: formats a value."""

    categories: Sequence[str]
    series: Sequence[tuple[str, Sequence[float]]]
    category_label: str
    value_label: str
    horizontal: bool = False
    show: Callable[[float], str] = share_down


@dataclass(frozen=True)
class Range:
    """A mean with smallest and largest value. style: colour and marker."""

    name: str
    mean: float
    low: float
    high: float
    style: int = 0


def curves(panels: Sequence[Panel], note: str = "") -> Figure:
    """Draw panels side by side with one legend. note: line across the top.

    Raises InputError without Matplotlib.
    """
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    # Matplotlib fills a legend column by column.
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
    """Draw one line per row: the mean as a dot, the range as a bar. note: as in ``curves``."""
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
    """Draw grouped bars; NaN has no bar. note: as in ``curves``."""
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
    """Escape text that Matplotlib would otherwise typeset as a formula."""
    return text.replace("$", r"\$")


_KINDS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 200},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}


def write_figure(
    figure: Figure, stem: str | Path, kinds: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Write STEM.png (200 dpi), STEM.svg or STEM.pdf atomically; returns their paths."""
    written = []
    for kind in kinds:
        written.append(Path(f"{stem}.{kind}"))
        atomic_write(written[-1], figure_bytes(figure, kind))
    return written


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """Render a figure to "png", "svg" or "pdf"; vector formats give reproducible bytes."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, bbox_inches="tight", **_KINDS[kind])
    return buffer.getvalue()


def need_matplotlib() -> None:
    """Raise InputError without Matplotlib; to be called before long computations."""
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
    # pyplot would open windows and keep global state.
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
    """Draw a panel; returns its legend entries by name."""
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
        # When colours repeat, dashes differ and markers are open.
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
