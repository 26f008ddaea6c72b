"""The report as one HTML file that carries all it shows and asks nothing of the network."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from certiseg._version import __version__
from certiseg.report.charts import Chart
from certiseg.report.look import Overview
from certiseg.report.page.interactive import plotly_figure, plotly_library
from certiseg.report.page.planes import SHIFT
from certiseg.report.page.slider import slider, why_no_slider
from certiseg.report.page.tiles import sample_words
from certiseg.report.page.words import labels, words
from certiseg.report.palettes import own_palette, safe_palette, with_nodes

PALETTES = ("own", "safe")
_SCRIPTS = (
    "report.js", "decode.js", "readout.js", "pictures.js", "clouds.js", "charts.js", "controls.js",
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """Runs side by side. names: of the runs. samples: those on the page, each what all runs share
    and, as "runs", what each says (see ``report.payload``). notes: what is missing or broken."""

    overviews: Sequence[Overview]
    names: Sequence[str]
    charts: Sequence[Chart]
    samples: Sequence[dict[str, Any]]
    notes: Sequence[str] = ()
    refuted: Sequence[str] = ()
    palette: str = "own"

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Name of each kept sample that is not shown, and why."""
        runs = (overview.run for overview in self.overviews)
        return [entry for run in runs for entry in run.left_out.items()]

    @property
    def legend_run(self) -> int:
        """The run whose labels the legend names: one with groups of classes, if any has them."""
        groups = (n for n, overview in enumerate(self.overviews) if overview.hierarchy is not None)
        return next(groups, 0)


def page(shown: Shown) -> str:
    """The whole page. All names in it are text, whatever they hold: Jinja2 escapes them, data are
    JSON without a "<", and the script sets text alone."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_asset("page.html"))
    control = slider(shown.overviews, shown.samples)
    return template.render(
        **words(shown.overviews, shown.names, shown.charts, len(shown.samples)),
        kind=shown.overviews[0].run.manifest.kind,
        several=len(shown.overviews) > 1,
        palette=shown.palette,
        notes=shown.notes,
        refuted=shown.refuted,
        left_out=shown.left_out,
        slider=control,
        no_slider=why_no_slider(shown.overviews, shown.names),
        labels=labels(shown.overviews[shown.legend_run]),
        samples=[sample_words(sample, shown.names) for sample in shown.samples],
        data=_data(shown, control),
        **_assets(),
    )


def _assets() -> dict[str, Any]:
    from markupsafe import Markup

    # Files of this package and base64: the only text that is not escaped.
    return {
        "css": Markup(_asset("page.css")),
        "script": Markup("\n".join(["'use strict';", *map(_asset, _SCRIPTS)])),
        "plotly": Markup(plotly_library()),
        "nonce": secrets.token_urlsafe(16),
        "version": __version__,
    }


def _asset(name: str) -> str:
    return (files("certiseg.report.page") / "assets" / name).read_text(encoding="utf-8")


def _data(shown: Shown, control: dict[str, Any] | None) -> dict[str, Any]:
    """What the script knows beside the samples."""
    manifest = shown.overviews[0].run.manifest
    return {
        "kind": manifest.kind,
        "shift": SHIFT,
        "palette": shown.palette,
        "slider": control and {name: control[name] for name in ("radii", "texts", "start")},
        "heatEnd": max(overview.largest for overview in shown.overviews) or 1.0,
        "legendRun": shown.legend_run,
        "runs": [
            _run(overview, name)
            for overview, name in zip(shown.overviews, shown.names, strict=True)
        ],
        "charts": {chart.key: plotly_figure(chart) for chart in shown.charts},
    }


def _run(overview: Overview, name: str) -> dict[str, Any]:
    classes, hierarchy = overview.run.manifest.classes, overview.hierarchy
    own = own_palette(overview.run.manifest.palette)
    safe = safe_palette(len(classes))
    inside = None
    if hierarchy is not None:
        inside = [[int(label) for label in row.nonzero()[0]] for row in hierarchy.leaves()]
    return {
        "title": name,
        "labels": labels(overview),
        "colours": {"own": with_nodes(own, hierarchy), "safe": with_nodes(safe, hierarchy)},
        "leaves": inside,
    }
