"""`certiseg study`: the paper's simulation, and a comparison of methods on stored votes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

from certiseg.certificates.certificate import Certificate
from certiseg.errors import ClaimError, InputError
from certiseg.files.folders import locked
from certiseg.noise import noise_record
from certiseg.report.figures import curves, need_matplotlib, ranges, write_figure
from certiseg.report.study import (
    COMPARING,
    correction_ranges,
    correction_title,
    synthetic_note,
    synthetic_panels,
)
from certiseg.rounding import exact
from certiseg.runs.environment import environment
from certiseg.runs.output import write_text
from certiseg.runs.progress import steps
from certiseg.studies.correction import Compared, Task, compared, shares, task_of
from certiseg.studies.stopping import MIN_GAIN
from certiseg.studies.synthetic import (
    Measured,
    Scenario,
    check_simulation,
    over_noise,
    over_size,
    simulate,
)
from certiseg.table import Table

RECORD, SUFFIX = "study.json", ".cert.npz"


@dataclass(frozen=True)
class Sweep:
    """One sweep of the simulation with the results of all methods at every point."""

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
    """Simulate both sweeps. Writes gamma and components, each as .csv, .png and .svg, and
    study.json with their provenance.

    quick: fewer points. Arguments are checked before anything is computed. Raises InputError.
    """
    check_simulation(repetitions, seed)
    need_matplotlib()
    scenarios = [over_noise(quick), over_size(quick)]
    names = [f"{s.name}.{kind}" for s in scenarios for kind in ("csv", "png", "svg")]
    with locked(out, [*names, RECORD], overwrite):
        points = chain.from_iterable(simulate(s, repetitions, seed) for s in scenarios)
        total = sum(len(scenario.toys) for scenario in scenarios)
        rows = [row for point in steps(points, total, "points", show=progress) for row in point]
        sweeps = [Sweep(s, [row for row in rows if row.scenario == s.name]) for s in scenarios]
        for sweep in sweeps:
            stem = out / sweep.scenario.name
            write_text(stem.with_suffix(".csv"), Table((), sweep.rows).csv())
            panels = synthetic_panels(sweep.rows, sweep.scenario)
            write_figure(curves(panels, synthetic_note(sweep.scenario, repetitions)), stem)
        record = {
            "study": "synthetic",
            "repetitions": repetitions,
            "seed": seed,
            "sweeps": [{**asdict(scenario), "draws": scenario.draws} for scenario in scenarios],
            "min_gain": MIN_GAIN,
            "made_with": environment(command, None),
        }
        write_text(out / RECORD, json.dumps(record, indent=1) + "\n")
    return sweeps


def study_correction(
    runs: Sequence[Path],
    out: Path,
    *,
    overwrite: bool = False,
    command: str = "",
    progress: bool = False,
) -> tuple[list[Compared], Task]:
    """Compare methods on every certificate of the runs. Writes correction.csv, .png, .svg and
    study.json; returns the rows, and the task common to all certificates.

    runs: folders written by `certify` or `evaluate --save-certificates`, or single files. One
    certificate is held at a time. Nothing is written unless all can be read and agree in model,
    noise, tau, alpha and numbers of draws; InputError names the file that differs.
    """
    need_matplotlib()
    kinds = ("csv", "png", "svg")
    files = certificate_files(runs)
    with locked(out, [*(f"correction.{kind}" for kind in kinds), RECORD], overwrite):
        task: Task | None = None
        images = []
        for file in steps(files, len(files), "certificates", show=progress):
            certificate = _load(file)
            its_task = task_of(certificate, str(file))
            if task is None:
                task = its_task
            elif its_task != task:
                raise InputError(
                    f"{file}: expected {_words(task)}, as in {files[0]}, got {_words(its_task)}; "
                    "compare certificates made with the same options"
                )
            images.append(shares(certificate, task))
        assert task is not None, "certificate_files returns at least one"
        rows = compared(images, task.draws)
        write_text(out / "correction.csv", Table((), rows).csv())
        figure = ranges(
            correction_ranges(rows),
            "certified share of components: mean, least and largest image",
            correction_title(rows, task),
        )
        write_figure(figure, out / "correction")
        record = {
            "study": "correction",
            "note": COMPARING,
            "certificates": [str(file) for file in files],
            "task": {**asdict(task), "noise": noise_record(task.noise)},
            "rows": [asdict(row) for row in rows],
            "made_with": environment(command, None),
        }
        write_text(out / RECORD, json.dumps(record, indent=1) + "\n")
    return rows, task


def certificate_files(runs: Sequence[Path]) -> list[Path]:
    """The certificates in the folders, and single files, each once, in order."""
    found: dict[Path, None] = {}
    for run in runs:
        if not run.is_dir():
            found[run] = None
            continue
        inside = sorted(run.glob(f"*{SUFFIX}")) or sorted((run / "certificates").glob(f"*{SUFFIX}"))
        if not inside:
            raise InputError(
                f"expected certificates (*{SUFFIX}) in {run}, got none; pass a folder of certiseg "
                "certify, or of certiseg evaluate --save-certificates"
            )
        found |= dict.fromkeys(inside)
    if not found:
        raise InputError("expected at least one run, got none; name folders or certificates")
    return list(found)


def _load(file: Path) -> Certificate:
    try:
        return Certificate.load(file)
    except ClaimError as error:
        # A study makes no claim about the file: an invalid certificate is bad input here.
        raise InputError(f"{error}; leave it out or make it again") from None


def _words(task: Task) -> str:
    draws = f"{task.selection} + {task.trials}" if task.selection else f"{task.trials}"
    level = f"tau = {exact(task.tau)}, alpha = {exact(task.alpha)}"
    model = "an unknown model" if task.model is None else f"model {task.model[:8]}"
    where = " on cells" if task.grid else ""
    return f"{model}{where}, sigma = {exact(task.noise.sigma)}, {level} and {draws} draws"
