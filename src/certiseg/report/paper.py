"""Figures for papers, as PNG, SVG and PDF, with the comparison as LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from certiseg.datasets.card import Colour
from certiseg.files import atomic_write
from certiseg.folders import Outputs
from certiseg.report.charts import Chart, drawn_figure
from certiseg.report.figures import need_matplotlib, write_figure
from certiseg.report.look import Looked, Overview
from certiseg.report.page.claim import plan
from certiseg.report.palettes import own_palette, safe_palette, with_nodes
from certiseg.report.pictures import sample_row
from certiseg.runfolder.comparison import comparison_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("png", "svg", "pdf")


class Paper:
    """Writes into a folder as the samples are looked at, over what it wrote before; names: of the
    runs. Raises InputError where something else has the name of a figure."""

    def __init__(self, outputs: Outputs, names: Sequence[str], palette: str) -> None:
        need_matplotlib()
        self._outputs, self._folder = outputs, outputs.folder
        self._names = names
        self._palette = palette

    def sample(self, number: int, looked: Looked) -> None:
        """SAMPLE.png, .svg and .pdf: the tiles of the page in one row. Of several runs, number
        tells which."""
        run = f"-run{number + 1}" if len(self._names) > 1 else ""
        stem = f"{looked.kept.planned.file}{run}"
        self._write(sample_row(looked, self._colours(looked)), stem)

    def _write(self, figure: Figure, stem: str) -> None:
        self._outputs.claim((f"{stem}.{kind}" for kind in KINDS), overwrite=True)
        write_figure(figure, self._folder / stem, KINDS)

    def _colours(self, looked: Looked) -> tuple[Colour, ...]:
        classes = looked.manifest.classes
        own = own_palette(looked.manifest.palette)
        chosen = own if self._palette == "own" else safe_palette(len(classes))
        return with_nodes(chosen, looked.certificate.hierarchy)

    def finish(self, overviews: Sequence[Overview], drawn: Sequence[Chart]) -> None:
        """The charts, and table.tex and table.csv."""
        for chart in drawn:
            self._write(drawn_figure(chart), chart.key)
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
        self._outputs.claim(("table.tex", "table.csv"), overwrite=True)
        table = comparison_table(rows)
        latex = table.latex(caption).encode(errors="backslashreplace")
        atomic_write(self._folder / "table.tex", latex)
        atomic_write(self._folder / "table.csv", table.csv().encode())
