"""What an evaluation ends with: pooled figures, a table, a curve, and their provenance."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certiseg.datasets.card import KINDS, Samples, note_of
from certiseg.metrics.curve import RadiusCurve
from certiseg.report.charts import write_curve
from certiseg.rounding import exact
from certiseg.runfolder.layout import RESULTS
from certiseg.runfolder.pooled import Pooled
from certiseg.runfolder.results import percentile_means, results
from certiseg.runfolder.rows import Row, csv_text, markdown
from certiseg.runs.environment import environment
from certiseg.runs.output import write_text
from certiseg.runs.settings import Settings


@dataclass
class Evaluation:
    """What was found. images: one record an image; percentile: means over the images of the bounds
    on one noisy pass (theory T10), where they were asked for."""

    rows: list[Row] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    curve: RadiusCurve | None = None
    percentile: dict[str, float] | None = None


def write_results(
    out: Path,
    pooled: Pooled,
    samples: Samples,
    settings: Settings,
    command: str,
) -> Evaluation:
    """Write table, curve and results.json of the run to OUT. settings: as the user gave them."""
    evaluation = Evaluation(pooled.rows(), pooled.images, pooled.curve, percentile_means(pooled))
    found = {**results(pooled), "made_with": environment(command, settings.device)}
    whole, part = KINDS[samples.card.kind]
    thinned = "" if (left := note_of(samples)) is None else f" ({left})"
    data = f"{samples.card.name}, {len(samples)} {whole}{'' if len(samples) == 1 else 's'}{thinned}"
    note = (
        f"{data}, sigma = {exact(settings.sigma)}, alpha = {exact(settings.alpha)}; the edge is "
        f"what n = {settings.num_samples} can prove"
    )
    run = pooled.manifest.run
    write_text(out / "table.md", f"{markdown(evaluation.rows)}\nData: {data}. Run: {run}.\n")
    write_text(out / "table.csv", csv_text(evaluation.rows, run=run))
    if evaluation.curve is not None:
        write_curve(out, evaluation.curve, note, noise=settings.noise, part=part)
    # The last file: with it the run is finished.
    write_text(out / RESULTS, json.dumps(found, indent=1) + "\n")
    return evaluation
