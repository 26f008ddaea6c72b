"""The report as one self-contained HTML file, without network access."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from certiseg._version import __version__
from certiseg.datasets.card import KINDS
from certiseg.report.charts import Chart
from certiseg.report.page.claim import region_claim
from certiseg.report.page.context import chart_context, given_word, page_context, sample_context
from certiseg.report.page.encoding import SHIFT
from certiseg.report.page.interactive import plotly_figure, plotly_library
from certiseg.report.page.slider import slider, why_no_slider
from certiseg.report.palettes import own_palette, safe_palette, with_nodes
from certiseg.report.summary import RunSummary

PALETTES = ("own", "safe")
_SCRIPTS = (
    "report.js", "decode.js", "regions.js", "readout.js", "images.js", "clouds.js", "charts.js",
    "controls.js",
)  # fmt: skip


def page(
    summaries: Sequence[RunSummary],
    charts: Sequence[Chart],
    samples: Sequence[dict[str, Any]],
    *,
    notes: Sequence[str] = (),
    refuted: Sequence[str] = (),
    palette: str = "own",
) -> str:
    """Render the page of one run, or of several side by side.

    samples: data of the samples on the page: ``shared_payload``, and as "runs" the ``run_payload``
    of each. notes: missing or broken files. refuted: contradictions. Names are never interpreted as
    HTML: Jinja2 escapes them, data is JSON without "<", and the script sets text only.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    manifest, names = summaries[0].run.manifest, [summary.name for summary in summaries]
    whole, part = KINDS[manifest.kind]
    # Volumes are drawn as images of their slices.
    drawn_as = "clouds" if manifest.kind == "clouds" else "images"
    control = slider(summaries, samples)
    # The legend is that of the first run with a hierarchy, if any.
    grouped = (n for n, summary in enumerate(summaries) if summary.hierarchy is not None)
    legend = next(grouped, 0)
    drawn = {chart.key: plotly_figure(chart) for chart in charts}
    script = {
        "kind": drawn_as,
        "whole": whole,
        "part": part,
        "shift": SHIFT,
        "palette": palette,
        "slider": control and {name: control[name] for name in ("radii", "texts", "start")},
        "heatEnd": max(summary.largest for summary in summaries) or 1.0,
        "legendRun": legend,
        "runs": [_run(summary) for summary in summaries],
        "charts": drawn,
    }
    given = [given_word(summary.run.manifest) for summary in summaries]
    return environment.from_string(_asset("page.html")).render(
        **page_context(summaries, len(samples)),
        charts=[chart_context(chart, drawn[chart.key]["layout"]["height"]) for chart in charts],
        kind=drawn_as,
        several=len(summaries) > 1,
        palette=palette,
        notes=notes,
        refuted=refuted,
        left_out=[entry for summary in summaries for entry in summary.run.left_out.items()],
        slider=control,
        no_slider=why_no_slider(summaries),
        labels=summaries[legend].labels,
        samples=[sample_context(sample, names, given) for sample in samples],
        data=script,
        **_assets(),
    )


def _assets() -> dict[str, Any]:
    from markupsafe import Markup

    # Only files of this package and base64 text are not escaped.
    return {
        "css": Markup(_asset("page.css")),
        "script": Markup("\n".join(["'use strict';", *map(_asset, _SCRIPTS)])),
        "plotly": Markup(plotly_library()),
        "nonce": secrets.token_urlsafe(16),
        "version": __version__,
    }


def _asset(name: str) -> str:
    return (files("certiseg.report.page") / "assets" / name).read_text(encoding="utf-8")


def _run(summary: RunSummary) -> dict[str, Any]:
    manifest, hierarchy = summary.run.manifest, summary.hierarchy
    own, safe = own_palette(manifest.palette), safe_palette(len(manifest.classes))
    leaves = None
    if hierarchy is not None:
        leaves = [row.nonzero()[0].tolist() for row in hierarchy.leaves()]
    return {
        "title": summary.name,
        "labels": list(summary.labels),
        "colours": {"own": with_nodes(own, hierarchy), "safe": with_nodes(safe, hierarchy)},
        "regions": region_claim(manifest),
        "byRegion": manifest.certifier.counts_regions,
        "leaves": leaves,
    }
