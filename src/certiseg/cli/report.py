"""`certiseg report`: a run as an HTML page, and figures for a paper."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from certiseg.screen import remark, say


class Palette(StrEnum):
    own = "own"
    safe = "safe"


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folder written by certiseg evaluate or demo; several are compared.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file.")] = Path("report.html"),
    figures: Annotated[
        Path | None,
        typer.Option(help="Folder for figures (PNG, SVG, PDF) and tables (LaTeX, CSV)."),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            help="At most this many samples, evenly spread; default all, if not too large."
        ),
    ] = None,
    palette: Annotated[
        Palette, typer.Option(help="Class colours: the data set's, or safe for colour-blind eyes.")
    ] = Palette.own,
) -> None:
    """Write one HTML file that shows a run: masks, a radius slider, curves; no network needed."""
    from certiseg.report.write import write_report

    written = write_report(
        runs,
        out,
        figures=figures,
        images=images,
        palette="own" if palette is Palette.own else "safe",
    )
    for note in written.notes:
        remark(f"note: {note}")
    for line in written.refuted:
        remark(f"does not follow: {line}")
    say(f"report: {written.page}")
    if figures is not None:
        say(f"figures: {figures}")
    if written.refuted:
        raise typer.Exit(1)
