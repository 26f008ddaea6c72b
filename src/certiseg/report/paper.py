"""Figures for papers as PNG, SVG and PDF: samples and charts, and the comparison as LaTeX, CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, Colour
from certiseg.files.atomic import atomic_write
from certiseg.files.folders import Outputs
from certiseg.report.charts import Chart, drawn_figure
from certiseg.report.cloud import cloud_picture
from certiseg.report.figures import RULE, literal, need_matplotlib, new_figure, style, write_figure
from certiseg.report.heat import cloud_by_radius, coloured
from certiseg.report.overlay import as_rgb
from certiseg.report.page.claim import plan
from certiseg.report.palettes import own_palette, safe_palette, with_nodes
from certiseg.report.summary import RunSummary, SampleSummary, comparison_rows
from certiseg.report.volume import flat
from certiseg.runfolder.comparison import comparison_table
from certiseg.votes import ABSTAIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("png", "svg", "pdf")
UNTRUTH: Colour = (226, 226, 220)
_MOST_NAMED = 24


class Paper:
    """Writes figures into a folder while samples are summarised, replacing earlier ones.

    several: True for several runs side by side. Raises InputError if a file of another origin has
    the name of a figure.
    """

    def __init__(self, outputs: Outputs, palette: str, *, several: bool) -> None:
        need_matplotlib()
        self._outputs, self._folder = outputs, outputs.folder
        self._palette, self._several = palette, several

    def sample(self, number: int, sample: SampleSummary) -> None:
        """Write SAMPLE.png, .svg and .pdf. number: of the run."""
        run = f"-run{number + 1}" if self._several else ""
        stem = f"{sample.kept.planned.file}{run}"
        self._write(sample_row(sample, self._colours(sample)), stem)

    def _write(self, figure: Figure, stem: str) -> None:
        self._outputs.claim((f"{stem}.{kind}" for kind in KINDS), overwrite=True)
        write_figure(figure, self._folder / stem, KINDS)

    def _colours(self, sample: SampleSummary) -> tuple[Colour, ...]:
        classes = sample.manifest.classes
        own = own_palette(sample.manifest.palette)
        chosen = own if self._palette == "own" else safe_palette(len(classes))
        return with_nodes(chosen, sample.certificate.hierarchy)

    def finish(self, summaries: Sequence[RunSummary], drawn: Sequence[Chart]) -> None:
        """Write the charts, table.tex and table.csv."""
        for chart in drawn:
            self._write(drawn_figure(chart), chart.key)
        rows = comparison_rows(summaries)
        if not rows:
            return
        manifest = summaries[0].run.manifest
        caption = f"{manifest.data}, {manifest.model}: {plan(manifest)}"
        if self._several:
            caption = f"{manifest.data}, {len(summaries)} runs"
        self._outputs.claim(("table.tex", "table.csv"), overwrite=True)
        table = comparison_table(rows)
        latex = table.latex(caption).encode(errors="backslashreplace")
        atomic_write(self._folder / "table.tex", latex)
        atomic_write(self._folder / "table.csv", table.csv().encode())


def painted(labels: NDArray[Any], palette: Sequence[Colour]) -> NDArray[np.uint8]:
    """Colours (..., 3) of labels (...): abstentions white, 255 (no truth) light grey."""
    table = np.asarray([*palette, (255, 255, 255), UNTRUTH], dtype=np.uint8)
    places = labels.astype(np.int64)
    places[labels == ABSTAIN] = len(palette)
    places[labels == IGNORE] = len(palette) + 1
    return table[places]


def sample_row(sample: SampleSummary, palette: Sequence[Colour]) -> Figure:
    """Figure of a sample: input, truth, base model, noise, certified labels, radius, and legend."""
    cloud = sample.view.truth.ndim == 1
    height, width = (1, 1) if cloud else flat(sample.view.truth, sample.view.size, 0).shape
    rows, columns = (1, 4) if cloud else (2, 3)
    figure = new_figure(7.2, rows * 7.2 / columns * height / width + (0.6 if cloud else 1.0))
    with style():
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        shown = _cloud_tiles(sample, palette) if cloud else _image_tiles(sample, palette)
        for place, (title, image) in zip(axes, shown, strict=False):
            place.imshow(image, interpolation="nearest")
            place.set_title(title)
        _heat(figure, axes[-1], sample)
        for place in axes:
            place.set(xticks=[], yticks=[])
            for spine in place.spines.values():
                spine.set(visible=not cloud, color=RULE)
        _legend(figure, sample, palette)
    return figure


def _image_tiles(sample: SampleSummary, palette: Sequence[Colour]) -> list[tuple[str, Any]]:
    view = sample.view

    def photograph(pixels: NDArray[np.uint8]) -> NDArray[Any]:
        return as_rgb(flat(pixels, view.size, 255) / np.float32(255))

    def labels(values: NDArray[Any]) -> NDArray[np.uint8]:
        return painted(flat(values.astype(np.int64), view.size, ABSTAIN), palette)

    return [
        ("input", photograph(view.x)),
        ("truth", labels(view.truth)),
        ("base model", labels(view.labels["base_clean"])),
        ("one noisy draw", photograph(view.noisy)),
        ("certified (white: abstains)", labels(sample.certified)),
    ]


def _cloud_tiles(sample: SampleSummary, palette: Sequence[Colour]) -> list[tuple[str, Any]]:
    view = sample.view
    return [
        ("truth", cloud_picture(view.x, view.truth, palette)),
        ("base model", cloud_picture(view.x, view.labels["base_clean"], palette)),
        ("certified (white: abstains)", cloud_picture(view.x, sample.certified, palette)),
    ]


def _heat(figure: Figure, axes: Any, sample: SampleSummary) -> None:
    """Draw the radius map with its colour bar, if there is one."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    radii, view = sample.radii, sample.view
    if radii is None:
        axes.set_axis_off()
        return
    values, largest = flat(view.full(radii.map()), view.size, 0), radii.largest or 1.0
    if values.ndim == 1:
        shown = np.asarray(cloud_by_radius(view.x, values, largest))
    else:
        shown = coloured(values / largest)
        shown[values <= 0] = 255
    axes.imshow(shown, interpolation="nearest")
    axes.set_title("radius (white: none)")
    scale = ScalarMappable(Normalize(0, largest), "viridis")
    figure.colorbar(scale, ax=axes, shrink=0.6 if values.ndim == 1 else 0.85, pad=0.02)


def _legend(figure: Figure, sample: SampleSummary, palette: Sequence[Colour]) -> None:
    from matplotlib.patches import Patch

    names = sample.names
    maps = (sample.view.truth, sample.view.labels["base_clean"], sample.certified)
    present = sorted({label for labels in maps for label in np.unique(labels).tolist()})
    shown = [label for label in present if 0 <= label < len(names) and label != IGNORE]
    if not 0 < len(shown) <= _MOST_NAMED:
        return
    patches = []
    for label in shown:
        red, green, blue = (part / 255 for part in palette[label])
        face = (red, green, blue)
        patches.append(Patch(facecolor=face, edgecolor=RULE, label=literal(names[label])))
    columns = min(6, len(patches))
    figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False)
