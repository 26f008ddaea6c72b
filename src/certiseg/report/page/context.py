"""Variables of the page's template: title, statements, tables, provenance, and rows of samples."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from certiseg.datasets.card import KINDS
from certiseg.report.charts import Chart, chart_table, drawn_figure
from certiseg.report.figures import figure_bytes, has_matplotlib
from certiseg.report.page.claim import claim, plan
from certiseg.report.summary import RunSummary, comparison_rows
from certiseg.report.volume import MOST_SLICES
from certiseg.rounding import confidence, percent_down, share
from certiseg.runfolder.comparison import Row, comparison_table, draws_text, footnote
from certiseg.runfolder.manifest import Manifest

_SETTINGS = ("correction", "budget", "selection", "grid", "seed", "device")


def page_context(summaries: Sequence[RunSummary], samples: int) -> dict[str, Any]:
    """Variables of the whole page. samples: number of samples on it."""
    first, several = summaries[0].run, len(summaries) > 1
    manifest = first.manifest
    whole, part = KINDS[manifest.kind]
    rows = comparison_rows(summaries)
    largest = max(summary.largest for summary in summaries)
    return {
        "whole": whole,
        "part": part,
        "title": _title(summaries),
        "claims": [
            {
                "name": summary.name if several else "",
                "text": claim(summary.run.manifest, summary.source),
            }
            for summary in summaries
        ],
        "statement": None if several else summaries[0].statement,
        "facts": [] if several or not rows else _facts(rows[-1], summaries[0]),
        "table": _comparison(rows),
        "footnote": footnote(rows),
        "shown": (
            f"{samples} of the run's {len(manifest.samples)} {whole}s. Colours say which class a "
            f"{part} has; in a certified mask a white {part} abstains.{_slices(manifest.kind)}"
        ),
        "heat_end": manifest.noise.size(largest) if largest else "-",
        "recomputed": " ".join(dict.fromkeys(map(_recomputed, summaries))),
        "provenance": [_provenance(summary) for summary in summaries],
    }


def _slices(kind: str) -> str:
    """Content of the pictures of volumes."""
    if kind != "volumes":
        return ""
    return (
        f" Up to {MOST_SLICES} slices across the last axis are drawn, each with its index; numbers "
        "are of whole volumes."
    )


def _comparison(rows: Sequence[Row]) -> dict[str, Any]:
    """The comparison of all runs: "head", and "rows" with "cells" and "certified"."""
    if not rows:
        return {"head": [], "rows": []}
    head, body = comparison_table(rows).cells()
    lines = [
        {"cells": cells, "certified": row.certified_accuracy is not None}
        for cells, row in zip(body, rows, strict=True)
    ]
    return {"head": ["", *head[1:]], "rows": lines}


def _title(summaries: Sequence[RunSummary]) -> str:
    runs = [summary.run for summary in summaries]
    data = " and ".join(dict.fromkeys(run.manifest.data for run in runs))
    if len(runs) > 1:
        return f"{data}: {len(runs)} runs side by side"
    whole, _ = KINDS[runs[0].manifest.kind]
    done = len(runs[0].done)
    return f"{data}: {done} {whole}{'' if done == 1 else 's'}, certified"


def given_word(manifest: Manifest) -> str:
    """Word for components with a label, which a method for regions does not certify one by one."""
    return "given a label" if manifest.certifier.counts_regions else "certified"


def _facts(row: Row, summary: RunSummary) -> list[dict[str, str]]:
    manifest = summary.run.manifest
    whole, part = KINDS[manifest.kind]
    assert row.abstention_all is not None
    values = (
        (f"of the {part}s {given_word(manifest)}", percent_down(1 - share(row.abstention_all))),
        ("certified accuracy", percent_down(row.certified_accuracy)),
        (manifest.noise.radius_name, manifest.noise.size(manifest.radius)),
        (f"draws per {whole}", draws_text(row.draws)),
        (f"confidence for each {whole}", confidence(manifest.certifier.alpha)),
    )
    return [{"name": name, "value": value} for name, value in values]


def chart_context(chart: Chart, height: int) -> dict[str, Any]:
    """Variables of a chart: texts, data as a table, and a static image. height: in pixels."""
    head, rows = chart_table(chart)
    return {
        "key": chart.key,
        "title": chart.title,
        "caption": chart.caption,
        "height": height,
        "still": _still(chart),
        "head": head,
        "rows": rows,
    }


def _still(chart: Chart) -> str:
    """The chart as a data URL, shown without scripts. Empty without Matplotlib."""
    if not has_matplotlib():
        return ""
    drawn = base64.b64encode(figure_bytes(drawn_figure(chart), "svg")).decode()
    return f"data:image/svg+xml;base64,{drawn}"


def _recomputed(summary: RunSummary) -> str:
    """Sentence on the number of samples whose counts were recomputed."""
    done, (whole, _) = len(summary.run.done), KINDS[summary.run.manifest.kind]
    if not done:
        return ""
    rest = "" if summary.kept == done else "; those of the others are as the run recorded them"
    return (
        f"Counts of {summary.kept} of {done} {whole}s were recomputed from votes and truth{rest}."
    )


def _provenance(summary: RunSummary) -> list[tuple[str, str]]:
    """Name and value of each line about a run's origin."""
    run, manifest = summary.run, summary.run.manifest
    made, settings = manifest.made_with, manifest.settings
    machine = made.get("machine")
    machine = machine if isinstance(machine, dict) else {}
    versions = ", ".join(
        f"{part} {made[part]}" for part in ("certiseg", "torch", "numpy", "python") if part in made
    )
    binary = summary.source and summary.source.binary
    shown = [f"{key} {settings[key]}" for key in _SETTINGS if settings.get(key) is not None]
    lines = [
        ("Run", summary.name),
        ("Model", manifest.model),
        ("Data", manifest.data + (f" ({manifest.thinned})" if manifest.thinned else "")),
        ("Files", _chosen(manifest.reading or {})),
        ("Method", plan(manifest)),
        ("Settings", ", ".join(shown)),
        ("Binary output", binary.describe() if binary else ""),
        ("Command", str(made.get("command") or "-")),
        ("Versions", versions),
        ("Machine", ", ".join(str(value) for value in machine.values() if value)),
        ("Started", str(made.get("started", "-"))),
        ("Samples", f"{len(run.done)} of {len(manifest.samples)}"),
    ]
    if manifest.non_robust is not None:
        lines.insert(2, ("Non-robust model", manifest.non_robust))
    return [(key, value) for key, value in lines if value]


def _chosen(reading: Mapping[str, Any]) -> str:
    """How files were read, such as "exif apply, mask binary"."""
    stated = {key: value for key, value in reading.items() if value not in (None, False)}
    return ", ".join(key if value is True else f"{key} {value}" for key, value in stated.items())


@dataclass(frozen=True)
class Tile:
    """An image of a sample on the page.

    layer: what it shows; "column": as chosen by the page's control. run: number of the run. photo:
    an image rather than a label map.
    """

    layer: str
    run: int
    title: str
    note: str
    alt: str
    photo: bool = False


def sample_context(
    sample: dict[str, Any], names: Sequence[str], given: Sequence[str]
) -> dict[str, Any]:
    """Variables of a sample: tiles, statements and data. names, given: ``given_word``, by run."""
    size = sample["size"]
    return {
        "name": sample["name"],
        "ratio": f"{size[1]} / {size[0]}" if len(size) == 2 else "1",
        "tiles": _several(sample, names, given) if len(names) > 1 else _single(sample, given[0]),
        "statements": [
            {"name": name if len(names) > 1 else "", "text": part["statement"]}
            for part, name in zip(sample["runs"], names, strict=True)
        ],
        "payload": sample,
    }


def _single(sample: dict[str, Any], given: str) -> list[Tile]:
    name, part = sample["name"], sample["runs"][0]
    held = _held(part, given)
    tiles = [
        Tile("truth", 0, "Truth", "", f"True classes of {name}"),
        Tile("clean", 0, "Base model", "on the input itself", f"The base model's labels of {name}"),
        Tile("own", 0, "Certified", "white abstains", f"Certified mask of {name}, {held}"),
        Tile("heat", 0, "Radius", "white: none", f"Certified radius over {name}"),
    ]
    if "photo" not in sample:
        drawn = f"The base model's labels of {name} under one draw"
        return [*tiles[:2], Tile("noisy", 0, "Base model", "on one draw", drawn), *tiles[2:]]
    photo = Tile("photo", 0, "Input", "", f"The input {name}", photo=True)
    noisy = Tile("noisy", 0, "One noisy draw", "clipped", f"{name} under one draw", photo=True)
    return [photo, *tiles[:2], noisy, *tiles[2:]]


def _several(sample: dict[str, Any], names: Sequence[str], given: Sequence[str]) -> list[Tile]:
    name = sample["name"]
    tiles = [Tile("truth", 0, "Truth", "", f"True classes of {name}")]
    if "photo" in sample:
        tiles = [Tile("photo", 0, "Input", "", f"The input {name}", photo=True), *tiles]
    return tiles + [
        Tile("column", number, run, "", f"{name} by {run}, {_held(part, word)}")
        for number, (run, part, word) in enumerate(zip(names, sample["runs"], given, strict=True))
    ]


def _held(part: dict[str, Any], given: str) -> str:
    counts = part["ownCounts"]
    return f"{percent_down(Fraction(counts['held'], counts['all']))} {given}"
