"""`certiseg study synthetic`: the paper's simulation, as tables and figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from certiseg.folders import locked
from certiseg.report.figures import curves, need_matplotlib, write_figure
from certiseg.report.rows import rows_csv
from certiseg.report.study_figures import synthetic_note, synthetic_panels
from certiseg.runs.environment import environment
from certiseg.runs.output import write_text
from certiseg.runs.progress import steps
from certiseg.studies.stopping import MIN_GAIN
from certiseg.studies.synthetic import (
    Measured,
    Scenario,
    check_simulation,
    over_noise,
    over_size,
    simulate,
)

RECORD = "study.json"


@dataclass(frozen=True)
class Sweep:
    """One sweep with its measurements, all methods at every point."""

    scenario: Scenario
    rows: list[Measured]


def study_synthetic(
    out: Path,
    *,
    repetitions: int,
    seed: int = 0,
    quick: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: bool = False,
) -> list[Sweep]:
    """Simulate both sweeps; writes gamma and components, each as .csv, .png and .svg, and
    study.json with what they were made with.

    quick: fewer points. Everything that can be wrong is checked before anything is computed.
    Raises InputError.
    """
    check_simulation(repetitions, seed)
    need_matplotlib()
    scenarios = [over_noise(quick), over_size(quick)]
    names = [f"{s.name}.{kind}" for s in scenarios for kind in ("csv", "png", "svg")]
    with locked(out, [*names, RECORD], overwrite):
        return _study(out, scenarios, repetitions, seed, command, progress)


def _study(
    out: Path,
    scenarios: Sequence[Scenario],
    repetitions: int,
    seed: int,
    command: str,
    progress: bool,
) -> list[Sweep]:
    points = chain.from_iterable(simulate(s, repetitions, seed) for s in scenarios)
    total = sum(len(scenario.toys) for scenario in scenarios)
    rows = [row for point in steps(points, total, "points", show=progress) for row in point]
    sweeps = [Sweep(s, [row for row in rows if row.scenario == s.name]) for s in scenarios]
    for sweep in sweeps:
        stem = out / sweep.scenario.name
        write_text(stem.with_suffix(".csv"), rows_csv(sweep.rows))
        panels = synthetic_panels(sweep.rows, sweep.scenario)
        write_figure(curves(panels, synthetic_note(sweep.scenario, repetitions)), stem)
    record = {
        "study": "synthetic",
        "repetitions": repetitions,
        "seed": seed,
        "sweeps": [_parameters(scenario) for scenario in scenarios],
        "min_gain": MIN_GAIN,
        "made_with": environment(command, None),
    }
    write_text(out / RECORD, json.dumps(record, indent=1) + "\n")
    return sweeps


def _parameters(scenario: Scenario) -> dict[str, Any]:
    return {**asdict(scenario), "draws": scenario.draws}
