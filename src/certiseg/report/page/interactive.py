"""Plotly charts for the page, as JSON, and Plotly's script."""

from __future__ import annotations

import base64
import gzip
import html
import importlib.util
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

from certiseg.errors import InputError
from certiseg.report.charts import Chart
from certiseg.report.figures import COLOURS, INK, RULE, Bars, Panel
from certiseg.rounding import down, share_down

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_DASHES = ("solid", "dash", "dot", "dashdot")
# Formatted here, since Plotly would round to nearest.
_HOVER = "%{customdata}<extra>%{fullData.name}</extra>"


def need_page_libraries() -> None:
    """Raise InputError without Jinja2 or Plotly; to be called before long computations."""
    for module, name in (("jinja2", "Jinja2"), ("plotly", "Plotly")):
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"expected {name} for a report, got none; pip install 'certiseg[report]'"
            )


@cache
def plotly_library() -> str:
    """plotly.min.js as base64 of gzip, about 2 MB instead of 5."""
    import plotly

    library = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    return base64.b64encode(gzip.compress(library.read_bytes(), 9, mtime=0)).decode()


def plotly_figure(chart: Chart) -> dict[str, Any]:
    """Data and layout of the chart for Plotly.newPlot, as plain JSON values."""
    import plotly.graph_objects as go

    drawing = chart.drawing
    figure = go.Figure(layout={"template": "none"})
    if isinstance(drawing, Bars):
        _bars(figure, drawing)
    else:
        _lines(figure, drawing)
    values: dict[str, Any] = json.loads(figure.to_json())
    return values


def plain(name: str) -> str:
    """Escape a name, in which Plotly would interpret some HTML tags."""
    return html.escape(name, quote=False)


def _lines(figure: Any, panel: Panel) -> None:
    for line in panel.lines:
        figure.add_scatter(
            x=list(line.x),
            y=list(line.y),
            name=plain(line.name),
            mode="lines",
            line={
                # Steps down before the next point, so that a bound is not overstated.
                "shape": "vh" if line.steps else "linear",
                "color": COLOURS[line.style % len(COLOURS)],
                "dash": _DASHES[line.style % len(_DASHES)],
                "width": 2.25,
            },
            customdata=[
                f"{share_down(y)} at {down(x)}" for x, y in zip(line.x, line.y, strict=True)
            ],
            hovertemplate=_HOVER,
        )
    _dress(figure, len(panel.lines))
    figure.update_xaxes(title_text=plain(panel.x_label), rangemode="tozero")
    figure.update_yaxes(title_text=plain(panel.y_label), range=list(panel.y_range))
    figure.update_layout(height=360)


def _bars(figure: Any, bars: Bars) -> None:
    labels = [plain(name) for name in bars.categories]
    # By position, since class names may repeat.
    places = list(range(len(labels)))
    for number, (name, shares) in enumerate(bars.series):
        shown = [None if math.isnan(value) else value for value in shares]
        across, along = (shown, places) if bars.horizontal else (places, shown)
        figure.add_bar(
            x=across,
            y=along,
            orientation="h" if bars.horizontal else "v",
            name=plain(name),
            customdata=[
                f"{label}: {bars.show(v)}" for label, v in zip(labels, shares, strict=True)
            ],
            marker={"color": COLOURS[number % len(COLOURS)], "line": {"width": 0}},
            hovertemplate=_HOVER,
        )
    _dress(figure, len(bars.series))
    ticks: dict[str, Any] = {
        "tickvals": places,
        "ticktext": labels,
        "title_text": plain(bars.category_label),
    }
    values: dict[str, Any] = {"title_text": plain(bars.value_label), "range": [0, 1]}
    if bars.horizontal:
        figure.update_yaxes(autorange="reversed", showgrid=False, ticklabelstandoff=6, **ticks)
        figure.update_xaxes(**values)
        figure.update_layout(height=110 + (8 * len(bars.series) + 8) * max(len(labels), 4))
    else:
        figure.update_xaxes(showgrid=False, **ticks)
        figure.update_yaxes(**{**values, "range": None, "rangemode": "tozero"})
        figure.update_layout(height=360)
    figure.update_layout(bargap=0.28, bargroupgap=0.06)


def _dress(figure: Any, entries: int) -> None:
    figure.update_layout(
        font={"family": _FONT, "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 12, "r": 16, "t": 12, "b": 12},
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
        },
        showlegend=entries > 1,
        hoverlabel={"font": {"family": _FONT, "size": 13}, "namelength": -1},
        dragmode=False,
    )  # fmt: skip
    figure.update_xaxes(
        title_font_size=13,
        title_standoff=10,
        automargin=True,
        gridcolor=RULE,
        zeroline=False,
        linecolor=INK,
        fixedrange=True,
    )
    figure.update_yaxes(automargin=True, gridcolor=RULE, zeroline=False, fixedrange=True)
