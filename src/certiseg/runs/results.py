"""What an evaluation ends with: pooled figures, a table, a curve, and their provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from certiseg.datasets.card import KINDS, Samples, note_of
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.part_iou import PartIou
from certiseg.report.curve import write_curve
from certiseg.report.folder.comparison import CERTIFIED
from certiseg.report.folder.layout import RESULTS
from certiseg.report.folder.pooled import Pooled
from certiseg.report.tables import Row, csv_text, markdown, records
from certiseg.rounding import exact
from certiseg.runs.environment import environment
from certiseg.runs.output import write_text
from certiseg.runs.settings import Settings
from certiseg.runs.tally import number


@dataclass
class Evaluation:
    """What was found. images: one record an image; percentile: means over the images of the bounds
    on one noisy pass (theory T10), where they were asked for."""

    rows: list[Row] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    curve: RadiusCurve | None = None
    percentile: dict[str, float] | None = None


def title_of(settings: Settings) -> str:
    """Name of the certified row."""
    drawn = f"n {'<=' if settings.stopping else '='} {settings.num_samples}"
    return f"{CERTIFIED}{', map at R(tau)' if settings.radius_map else ''}, {drawn}"


def write_results(
    out: Path,
    pooled: Pooled,
    manifest: Mapping[str, Any],
    samples: Samples,
    settings: Settings,
    command: str,
) -> Evaluation:
    """Write table, curve and results.json of the run to OUT. settings: as the user gave them."""
    evaluation = _evaluation(pooled, settings)
    named = {name: manifest[name] for name in ("run", "model", "non_robust")}
    results = {**named, **_results(evaluation, samples, settings, pooled, command)}
    whole, part = KINDS[samples.card.kind]
    thinned = "" if (left := note_of(samples)) is None else f" ({left})"
    data = f"{samples.card.name}, {len(samples)} {whole}{'' if len(samples) == 1 else 's'}{thinned}"
    note = (
        f"{data}, sigma = {exact(settings.sigma)}, alpha = {exact(settings.alpha)}; the edge is "
        f"what n = {settings.num_samples} can prove"
    )
    run = manifest["run"]
    write_text(out / "table.md", f"{markdown(evaluation.rows)}\nData: {data}. Run: {run}.\n")
    write_text(out / "table.csv", csv_text(evaluation.rows, run=run))
    if evaluation.curve is not None:
        write_curve(out, evaluation.curve, note, noise=settings.noise, part=part)
    # The last file: with it the run is finished.
    write_text(out / RESULTS, json.dumps(results, indent=1) + "\n")
    return evaluation


def _evaluation(pooled: Pooled, settings: Settings) -> Evaluation:
    rows = pooled.rows(
        title_of(settings),
        settings.noise.radius(settings.tau),
        draws_vary=settings.stopping is not None,
    )
    bounds = [image["percentile"] for image in pooled.images if "percentile" in image]
    means = {
        name: float(np.mean([bound[name] for bound in bounds if name in bound]))
        for name in ("accuracy", "mean_iou")
        if any(name in bound for bound in bounds)
    }
    return Evaluation(rows, pooled.images, pooled.curve, means if bounds else None)


def _results(
    evaluation: Evaluation, samples: Samples, settings: Settings, pooled: Pooled, command: str
) -> dict[str, Any]:
    held = pooled.certified
    assert held is not None
    paper = {name: confusion.iou for name, confusion in pooled.models.items()}
    return {
        "rows": records(evaluation.rows),
        "data": samples.card.name,
        "num_images": len(samples),
        "thinned": note_of(samples),
        "classes": list(samples.card.classes),
        "iou": {
            name: [number(value) for value in values]
            for name, values in {**paper, CERTIFIED: held.iou}.items()
        },
        "by_category": {name: _by_category(shapes) for name, shapes in pooled.shapes.items()},
        "certified_iou": [number(value) for value in held.certified_iou],
        "allowed": held.allowed,
        "method": settings.method,
        "settings": asdict(settings),
        "radius": settings.noise.radius(settings.tau),
        "norm": settings.noise.norm,
        "curve": None if evaluation.curve is None else evaluation.curve.record(),
        "percentile": evaluation.percentile,
        "made_with": environment(command, settings.device),
        "images": evaluation.images,
    }


def _by_category(shapes: PartIou) -> dict[str, dict[str, Any]]:
    """Figures of each category of point clouds."""
    return {name: figures._asdict() for name, figures in shapes.by_category.items()}
