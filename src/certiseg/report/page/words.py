"""What the page says around its pictures: title, claims, figures, tables, provenance."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from certiseg.datasets.card import KINDS
from certiseg.report.charts import Chart, chart_table, drawn_figure
from certiseg.report.figures import figure_bytes, has_matplotlib
from certiseg.report.look import Overview
from certiseg.report.page.claim import claim, confidence, plan
from certiseg.report.page.interactive import plotly_figure
from certiseg.rounding import percent_down, share
from certiseg.runfolder.comparison import CERTIFIED, Row, comparison_table, draws_text, footnote

_SETTINGS = ("correction", "budget", "selection", "grid", "seed", "device")


def words(
    overviews: Sequence[Overview], names: Sequence[str], charts: Sequence[Chart], samples: int
) -> dict[str, Any]:
    """What the template says. samples: how many are on the page."""
    first, several = overviews[0].run, len(overviews) > 1
    manifest = first.manifest
    whole, part = KINDS[manifest.kind]
    pairs = list(zip(overviews, names, strict=True))
    rows = [(name, row) for overview, name in pairs for row in overview.run.rows(draws=True)]
    largest = max(overview.largest for overview in overviews)
    return {
        "whole": whole,
        "title": _title(overviews),
        "claims": [
            {"name": name if several else "", "text": claim(overview.run.manifest)}
            for overview, name in pairs
        ],
        "statement": None if several else overviews[0].statement,
        "facts": [] if several or not rows else _facts(rows[-1][1], overviews[0]),
        "table": comparison(rows, several=several),
        "footnote": footnote([row for _, row in rows]),
        "charts": [_chart(chart) for chart in charts],
        "shown": (
            f"{samples} of the run's {len(manifest.samples)} {whole}s. Colours say which class a "
            f"{part} has; in a certified mask a white {part} abstains."
        ),
        "heat_end": manifest.noise.size(largest) if largest else "-",
        "recomputed": " ".join(dict.fromkeys(map(_recomputed, overviews))),
        "provenance": [_provenance(overview, name) for overview, name in pairs],
    }


def labels(overview: Overview) -> list[str]:
    """Names of all labels that the run's certificates may give."""
    hierarchy = overview.hierarchy
    return list(overview.run.manifest.classes if hierarchy is None else hierarchy.names)


def comparison(rows: Sequence[tuple[str, Row]], *, several: bool) -> dict[str, Any]:
    """Rows of all runs as one table of text: "head" and "rows" of "cells"."""
    if not rows:
        return {"head": [], "rows": []}
    named = [
        replace(row, model=f"{name}: {row.model}" if several else row.model) for name, row in rows
    ]
    head, body = comparison_table(named).cells()
    marks = [row.model.startswith(CERTIFIED) for _, row in rows]
    lines = [{"cells": line, "certified": m} for line, m in zip(body, marks, strict=True)]
    return {"head": ["", *head[1:]], "rows": lines}


def _title(overviews: Sequence[Overview]) -> str:
    runs = [overview.run for overview in overviews]
    data = " and ".join(dict.fromkeys(run.manifest.data for run in runs))
    if len(runs) > 1:
        return f"{data}: {len(runs)} runs side by side"
    whole, _ = KINDS[runs[0].manifest.kind]
    done = len(runs[0].done)
    return f"{data}: {done} {whole}{'' if done == 1 else 's'}, certified"


def _facts(row: Row, overview: Overview) -> list[dict[str, str]]:
    manifest = overview.run.manifest
    whole, part = KINDS[manifest.kind]
    assert row.abstention_all is not None
    values = (
        (f"of the {part}s certified", percent_down(1 - share(row.abstention_all))),
        ("certified accuracy", percent_down(row.certified_accuracy)),
        (manifest.noise.radius_name, manifest.noise.size(manifest.radius)),
        (f"draws a {whole}", draws_text(row.draws)),
        (f"confidence for each {whole}", confidence(manifest)),
    )
    return [{"name": name, "value": value} for name, value in values]


def _chart(chart: Chart) -> dict[str, Any]:
    head, rows = chart_table(chart)
    return {
        "key": chart.key,
        "title": chart.title,
        "caption": chart.caption,
        "height": plotly_figure(chart)["layout"]["height"],
        "still": _still(chart),
        "head": head,
        "rows": rows,
    }


def _still(chart: Chart) -> str:
    """The chart as a picture: there at once, and without scripts. Empty without Matplotlib."""
    if not has_matplotlib():
        return ""
    drawn = base64.b64encode(figure_bytes(drawn_figure(chart), "svg")).decode()
    return f"data:image/svg+xml;base64,{drawn}"


def _recomputed(overview: Overview) -> str:
    """Of how many samples the figures rest on more than the run's own word."""
    done, (whole, _) = len(overview.run.done), KINDS[overview.run.manifest.kind]
    if not done:
        return ""
    rest = "" if overview.kept == done else "; those of the others are as the run recorded them"
    return (
        f"Counts of {overview.kept} of {done} {whole}s were recomputed from votes and truth{rest}."
    )


def _provenance(overview: Overview, name: str) -> list[tuple[str, str]]:
    """Lines about one run, as it recorded itself."""
    run, manifest = overview.run, overview.run.manifest
    made, settings = manifest.made_with, manifest.settings
    machine = made.get("machine")
    machine = machine if isinstance(machine, dict) else {}
    versions = ", ".join(
        f"{part} {made[part]}" for part in ("certiseg", "torch", "numpy", "python") if part in made
    )
    chosen = [f"{key} {settings[key]}" for key in _SETTINGS if settings.get(key) is not None]
    lines = [
        ("Run", name),
        ("Model", manifest.model),
        ("Data", manifest.data + (f" ({manifest.thinned})" if manifest.thinned else "")),
        ("Method", plan(manifest)),
        ("Settings", ", ".join(chosen)),
        ("Command", str(made.get("command") or "-")),
        ("Versions", versions),
        ("Machine", ", ".join(str(value) for value in machine.values() if value)),
        ("Started", str(made.get("started", "-"))),
        ("Samples", f"{len(run.done)} of {len(manifest.samples)}"),
    ]
    if manifest.non_robust is not None:
        lines.insert(2, ("Non-robust model", manifest.non_robust))
    return [(key, value) for key, value in lines if value]
