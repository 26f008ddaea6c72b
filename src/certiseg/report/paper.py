"""Figures for papers, as PNG, SVG and PDF, with the comparison as LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from certiseg.datasets.card import Colour
from certiseg.files import atomic_write, output_folder
from certiseg.report.charts import Chart, drawn_figure
from certiseg.report.figures import need_matplotlib, write_figure
from certiseg.report.latex import latex_table
from certiseg.report.look import Looked, Overview
from certiseg.report.page.claim import plan
from certiseg.report.palettes import own_palette, safe_palette, with_nodes
from certiseg.report.pictures import sample_row
from certiseg.report.tables import csv_text

KINDS = ("png", "svg", "pdf")


class Paper:
    """Writes below ``folder`` as the samples are looked at; names: of the runs."""

    def __init__(self, folder: Path, names: Sequence[str], palette: str) -> None:
        need_matplotlib()
        self._folder = output_folder(folder)
        self._names = names
        self._palette = palette

    def sample(self, number: int, looked: Looked) -> None:
        """SAMPLE.png, .svg and .pdf: the tiles of the page in one row. Of several runs, number
        tells which."""
        run = f"-run{number + 1}" if len(self._names) > 1 else ""
        stem = self._folder / f"{looked.kept.planned.file}{run}"
        write_figure(sample_row(looked, self._colours(looked)), stem, KINDS)

    def _colours(self, looked: Looked) -> tuple[Colour, ...]:
        classes = looked.manifest.classes
        own = own_palette(looked.manifest.palette)
        chosen = own if self._palette == "own" else safe_palette(len(classes))
        return with_nodes(chosen, looked.certificate.hierarchy)

    def finish(self, overviews: Sequence[Overview], drawn: Sequence[Chart]) -> None:
        """The charts, and table.tex and table.csv."""
        for chart in drawn:
            write_figure(drawn_figure(chart), self._folder / chart.key, KINDS)
        several = len(self._names) > 1
        rows = [
            replace(row, model=f"{name}: {row.model}") if several else row
            for overview, name in zip(overviews, self._names, strict=True)
            for row in overview.run.rows(draws=True)
        ]
        if not rows:
            return
        manifest = overviews[0].run.manifest
        caption = f"{manifest.data}, {manifest.model}: {plan(manifest)}"
        if several:
            caption = f"{manifest.data}, {len(overviews)} runs"
        atomic_write(
            self._folder / "table.tex", latex_table(rows, caption).encode(errors="backslashreplace")
        )
        atomic_write(self._folder / "table.csv", csv_text(rows).encode())
