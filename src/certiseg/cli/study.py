"""`certiseg study`: methods compared by simulation, and on stored votes."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options
from certiseg.screen import Screen

app = typer.Typer(help="Compare methods: simulated, or on stored votes.", rich_markup_mode=None)

_FULL, _QUICK = 600, 60


@app.command()
def synthetic(
    out: options.Output,
    seed: Annotated[
        int, typer.Option(help="Seed of the simulation; fixed, since a study is not a certificate.")
    ] = 0,
    repetitions: Annotated[
        int | None,
        typer.Option(help=f"Runs per point; default {_FULL}, {_QUICK} with --quick."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer points and repetitions.")] = False,
    overwrite: options.Overwrite = False,
    json_record: options.Json = False,
) -> None:
    """The paper's simulation (its section 6.1) of all methods: tables and figures."""
    from certiseg.report.study import sweep_title, synthetic_table
    from certiseg.runs.study import study_synthetic

    sweeps = study_synthetic(
        out,
        repetitions=repetitions if repetitions is not None else (_QUICK if quick else _FULL),
        seed=seed,
        quick=quick,
        overwrite=overwrite,
        command=_command(),
        progress=not json_record,
    )
    if json_record:
        print(json.dumps([asdict(row) for sweep in sweeps for row in sweep.rows]))
        return
    console = Screen()
    for sweep in sweeps:
        # The last point is the hardest: most noise, or most components.
        last = sweep.scenario.toys[-1]
        rows = [r for r in sweep.rows if (r.components, r.gamma) == (last.components, last.gamma)]
        console.print(synthetic_table(rows, sweep.scenario, sweep_title(sweep.scenario, last)))
    console.print(f"all points and figures: {out}")


@app.command()
def correction(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of certiseg certify or evaluate --save-certificates, or certificates.",
            show_default=False,
        ),
    ],
    out: options.Output,
    overwrite: options.Overwrite = False,
    json_record: options.Json = False,
) -> None:
    """Compare all methods on the votes of stored certificates."""
    from certiseg.report.study import correction_table, correction_title
    from certiseg.runs.study import study_correction

    rows, task = study_correction(
        runs, out, overwrite=overwrite, command=_command(), progress=not json_record
    )
    if json_record:
        print(json.dumps([asdict(row) for row in rows]))
        return
    title = correction_title(rows, task)
    console = Screen()
    console.print(correction_table(rows, title))
    console.print(f"table and figure: {out}")


def _command() -> str:
    return shlex.join(["certiseg", *sys.argv[1:]])
