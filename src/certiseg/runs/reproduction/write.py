"""The files of a table of pictures, written anew after every picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from certiseg.report.figures import has_matplotlib
from certiseg.report.reproduction.figures import write_figures
from certiseg.report.reproduction.pictures import counted, latex, markdown, records
from certiseg.report.rows import rows_csv
from certiseg.rounding import exact
from certiseg.runs.output import write_text
from certiseg.runs.reproduction.pooled import Pooled
from certiseg.runs.reproduction.reference import LEVEL


def write_tables(
    out: Path, whole: Pooled, about: Mapping[str, Any], done: int, *, last: bool
) -> None:
    """OUT/table.md, table.csv, table.tex and results.json; false.csv where there is a reference
    set of draws; figures at the end, where Matplotlib is there."""
    lines, false = whole.lines(), whole.false_lines()
    notes = _notes(about, done, bool(false))
    write_text(out / "table.md", markdown(lines, false, notes))
    write_text(out / "table.csv", rows_csv(lines))
    write_text(out / "table.tex", latex(lines, false, notes))
    if false:
        write_text(out / "false.csv", rows_csv(false))
    record = {
        **about,
        "done": done,
        "lines": records(lines),
        "false": records(false),
        "curves": [
            {"scale": scale, "sigma": sigma, **curve.record()}
            for (scale, sigma), curve in whole.curves.items()
        ],
    }
    write_text(out / "results.json", json.dumps(record, indent=1) + "\n")
    if last and has_matplotlib():
        number = counted(len(about["pictures"]))
        write_figures(out, lines, false, whole.curves, f"{about['data']}, {number}")


def _notes(about: Mapping[str, Any], done: int, false: bool) -> list[str]:
    total = len(about["pictures"])
    some = "" if done == total else f", the first {done} so far"
    thinned = "" if about["thinned"] is None else f" ({about['thinned']})"
    noted = [
        f"{about['data']}, {counted(total)}{thinned}{some}; alpha is for each picture. Lines of "
        "one scale and sigma look at the same draws, and the claim of each holds on its own; n "
        "draws test, n0 others choose candidates, where it is 0 all do both.",
        "Only the certified figures hold under attack, an abstaining pixel becoming anything; in "
        "the others abstention is a label of its own, as the paper counts it.",
        f"Run {about['run']}.",
    ]
    if false:
        extras = about["extras"]
        noted.append(
            f"False certificates are counted by {extras['reference_draws']} further draws: pixels "
            "whose label has p < tau by a one-sided Clopper-Pearson bound, at confidence "
            f"1 - {exact(LEVEL)} for all pixels of a picture together. There may be more."
        )
    return noted
