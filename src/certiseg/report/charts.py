"""Data and captions of a report's charts, drawn by Plotly (page) or Matplotlib (figures)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import KINDS
from certiseg.files.atomic import atomic_write
from certiseg.metrics.boundary import BoundaryCounts
from certiseg.metrics.curve import RadiusCurve
from certiseg.noise import Noise
from certiseg.report.figures import Bars, Line, Panel, bars, curves, has_matplotlib, write_figure
from certiseg.report.summary import RunSummary
from certiseg.rounding import down, exact, nearest, share_down, share_up
from certiseg.runfolder.comparison import CERTIFIED
from certiseg.runfolder.layout import CURVE_FILES
from certiseg.runfolder.results import curve_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Chart:
    """A chart. caption: what was measured, over which samples. key: file name and HTML id."""

    key: str
    title: str
    caption: str
    drawing: Panel | Bars


def charts(summaries: Sequence[RunSummary]) -> list[Chart]:
    """The charts for which there is data."""
    made = (
        _curve(summaries),
        _gap(summaries),
        _gap_by_class(summaries),
        _classes(summaries),
        _boundary(summaries),
    )
    return [chart for chart in made if chart is not None]


def curve_end(curve: RadiusCurve) -> int:
    """Number of points to show: to the first at which nothing is certified, or all."""
    nothing = curve.certified.sum(axis=1) == 0
    return int(nothing.argmax()) + 1 if nothing.any() else len(curve.radii)


def write_curve(
    out: Path, curve: RadiusCurve, note: str, *, noise: Noise, part: str = "pixel"
) -> None:
    """Write OUT/curve.csv and, where Matplotlib is installed, curve.png and curve.svg.

    note: line above the figure. part: name of a component, "pixel" or "point".
    """
    atomic_write(out / CURVE_FILES[0], curve_csv(curve).encode())
    if has_matplotlib():
        panel = _curve_panel(_curve_lines(curve, part), noise, "share, IoU")
        write_figure(curves([panel], note), out / "curve")


def _curve_lines(curve: RadiusCurve, part: str) -> list[Line]:
    drawn = (
        (f"certified, share of the labelled {part}s", curve.certified_share),
        ("certified accuracy", curve.certified_accuracy),
        ("certified mIoU", curve.certified_miou),
    )
    return [_line(name, curve, values, style) for style, (name, values) in enumerate(drawn)]


def _line(name: str, curve: RadiusCurve, values: NDArray[np.float64], style: int) -> Line:
    end = curve_end(curve)
    radii, shown = curve.radii[:end].tolist(), values[:end].tolist()
    return Line(name, radii, shown, style, every=max(1, end // 12), steps=True)


def _curve_panel(lines: Sequence[Line], noise: Noise, y_label: str) -> Panel:
    x_label = f"{noise.radius_name}, {noise.unit or 'in units of the input'}"
    return Panel("", lines, x_label, y_label, (0.0, 1.0))


def _curve(summaries: Sequence[RunSummary]) -> Chart | None:
    several = len(summaries) > 1
    whole, part = KINDS[summaries[0].run.manifest.kind]
    lines: list[Line] = []
    for number, summary in enumerate(summaries):
        curve = summary.curve
        if curve is not None and several:
            lines.append(_line(summary.name, curve, curve.certified_accuracy, number))
        elif curve is not None:
            lines += _curve_lines(curve, part)
    captions = []
    if lines:
        captions.append(
            f"From one map of radii a sample ({_over(summaries)}). All radii hold at once (theory "
            "T6), so any point of a line may be quoted after a look at it. A line ends where the "
            "draws can prove no more."
        )
    beyond = [summary for summary in summaries if summary.collective is not None]
    for summary in beyond:
        lines.append(_collective_line(summary, f"{summary.name}, " if several else "", len(lines)))
    if beyond:
        kept = " / ".join(dict.fromkeys(str(s.collective.samples) for s in beyond if s.collective))
        captions.append(
            "The line of windows together continues where the others end: certified accuracy under "
            f"every perturbation of the whole {whole} below that norm, as what is spent on some "
            "windows is missing in the others (theory T17). It is a bound from the same radii, or "
            "from the certificates where there is no map of radii, at a few norms, over the "
            f"{kept} kept {whole}s."
        )
    if not lines:
        return None
    y_label = "certified accuracy" if several else "share, IoU"
    return Chart(
        "curve",
        f"{'Certified accuracy' if several else 'What holds'} at each radius",
        " ".join(captions),
        _curve_panel(lines, summaries[0].run.manifest.noise, y_label),
    )


def _collective_line(summary: RunSummary, of: str, style: int) -> Line:
    """The line to the first norm at which nothing holds."""
    curve = summary.collective
    assert curve is not None
    nothing = curve.right == 0
    end = int(nothing.argmax()) + 1 if nothing.any() else len(nothing)
    return Line(
        f"{of}certified accuracy, windows together",
        curve.norms[:end].tolist(),
        curve.accuracy[:end].tolist(),
        style,
        steps=True,
    )


def _gap(summaries: Sequence[RunSummary]) -> Chart | None:
    attacked = [summary for summary in summaries if summary.run.pooled.attacked is not None]
    lines: list[Line] = []
    for summary in attacked:
        of = f"{summary.name}, " if len(summaries) > 1 else ""
        lines.append(_lower_line(summary, f"{of}certified accuracy", len(lines)))
        assert summary.run.pooled.attacked is not None
        for model, counts in summary.run.pooled.attacked.counts.items():
            shares = [found.accuracy for found in counts.values()]
            lines.append(Line(f"{of}{model}, attacked", list(counts), shares, len(lines)))
    if not lines:
        return None
    manifest = attacked[0].run.manifest
    done = " / ".join(dict.fromkeys(str(len(summary.run.done)) for summary in attacked))
    norms = sorted({epsilon for s in attacked for epsilon in s.run.manifest.epsilons or ()})
    return Chart(
        "gap",
        "Between certificate and attack",
        "No perturbation below that norm brings the smoothed model's accuracy under the certified "
        "one; the strongest attack that was found brings it to the attacked one. The worst "
        f"perturbation lies between. Over all {done} {KINDS[manifest.kind][0]}s, attacked within "
        f"norms {', '.join(nearest(norm, 4) for norm in norms)}.",
        Panel(
            "", lines, f"{manifest.noise.norm} norm, in units of the input", "accuracy", (0.0, 1.0)
        ),
    )


def _lower_line(summary: RunSummary, name: str, style: int) -> Line:
    """Certified accuracy over all samples: of radius maps at each radius, else at the one radius,
    where it also holds for all smaller norms."""
    pooled = summary.run.pooled
    if pooled.curve is not None:
        return _line(name, pooled.curve, pooled.curve.certified_accuracy, style)
    assert pooled.certified is not None
    held = pooled.certified.certified_accuracy
    return Line(name, [0.0, summary.run.manifest.radius], [held, held], style, steps=True)


def _gap_by_class(summaries: Sequence[RunSummary]) -> Chart | None:
    """Bars at the largest norm within the radius; only for one run, as its bars are many."""
    summary = summaries[0]
    attacked, certified = summary.run.pooled.attacked, summary.run.pooled.certified
    if len(summaries) > 1 or attacked is None or certified is None:
        return None
    radius = summary.run.manifest.radius
    inside = [epsilon for epsilon in summary.run.manifest.epsilons or () if epsilon < radius]
    if not inside:
        return None
    found = {model: counts[inside[-1]] for model, counts in attacked.counts.items()}
    series = [
        ("certified: lower bound", certified.certified_class_accuracy.tolist()),
        *((f"{model}, attacked", of.class_accuracy.tolist()) for model, of in found.items()),
    ]
    present = np.flatnonzero(certified.counts.sum(axis=1)).tolist()
    return Chart(
        "gap-classes",
        "Certificate and attack, class by class",
        f"Share of each class's {KINDS[summary.run.manifest.kind][1]}s that are right: certified "
        f"below l2 norm {down(radius)}, and under attacks within norm {nearest(inside[-1], 4)}. An "
        "attack changes as many labels as it can, so that it may spare small classes.",
        Bars(
            [summary.run.manifest.classes[label] for label in present],
            [(name, [values[label] for label in present]) for name, values in series],
            "",
            "accuracy",
            horizontal=True,
        ),
    )


def _over(summaries: Sequence[RunSummary]) -> str:
    """Phrase for the samples that the curves are pooled over."""
    phrases = []
    for summary in summaries:
        whole, _ = KINDS[summary.run.manifest.kind]
        done = len(summary.run.done)
        part = f"all {done}" if summary.of_all else f"{summary.mapped} kept of {done}"
        phrases.append(f"{part} {whole}s")
    return "; ".join(dict.fromkeys(phrases))


def _classes(summaries: Sequence[RunSummary]) -> Chart | None:
    runs = [summary.run for summary in summaries]
    if not any(run.done for run in runs):
        return None
    classes = runs[0].manifest.classes
    series: list[tuple[str, Sequence[float]]] = []
    if len(runs) == 1:
        series = [(name, c.iou.tolist()) for name, c in runs[0].pooled.models.items()]
    for summary in summaries:
        certified = summary.run.pooled.certified
        if certified is not None:
            label = f"{CERTIFIED}: lower bound" if len(runs) == 1 else summary.name
            series.append((label, certified.certified_iou.tolist()))
    present = [n for n in range(len(classes)) if any(v[n] == v[n] for _, v in series)]
    whole, _ = KINDS[runs[0].manifest.kind]
    done = " / ".join(dict.fromkeys(str(len(run.done)) for run in runs))
    return Chart(
        "classes",
        "Intersection over union, class by class",
        f"Pooled over {done} {whole}s. Bars of a model say how it did; the certified bar is a "
        "lower bound under every perturbation within the radius (theory T9), where what abstains "
        "may become anything.",
        Bars(
            [classes[n] for n in present],
            [(name, [values[n] for n in present]) for name, values in series],
            "",
            "IoU",
            horizontal=True,
        ),
    )


def _boundary(summaries: Sequence[RunSummary]) -> Chart | None:
    found = [(summary, summary.boundary) for summary in summaries if summary.boundary is not None]
    if not found:
        return None
    counts = found[0][1]
    kind = summaries[0].run.manifest.kind
    pixels = kind != "clouds"
    series: list[tuple[str, Sequence[float]]] = [
        ("abstains" if len(summaries) == 1 else summary.name, _share(boundary, boundary.abstained))
        for summary, boundary in found
    ]
    if len(summaries) == 1:
        series.append(("base model is wrong (clean)", _share(counts, counts.base_wrong)))
        series.append(("certified, but wrong", _share(counts, counts.wrong)))
    whole, part = KINDS[kind]
    unit = f"{part}s" if pixels else "units of the input"
    kept = " / ".join(dict.fromkeys(str(summary.kept) for summary, _ in found))
    return Chart(
        "boundary",
        "Where abstention sits",
        f"Share of the labelled {part}s at each distance to the nearest boundary between true "
        f"classes, over the {kept} kept {whole}s.",
        Bars(
            _bins(counts.edges, whole=pixels),
            series,
            f"distance to the nearest boundary, {unit}",
            f"share of the {part}s",
            show=share_up,
        ),
    )


def _share(counts: BoundaryCounts, part: NDArray[np.int64]) -> list[float]:
    filled = np.maximum(counts.components, 1)
    return [float(share) for share in np.where(counts.components > 0, part / filled, np.nan)]


def _bins(edges: NDArray[np.float64], *, whole: bool) -> list[str]:
    """Labels of the bins. whole: distances are integers."""
    words = []
    for low, high in pairwise(edges.tolist()):
        if whole:
            last = int(high) - 1
            words.append(f"{int(low)}" if last == int(low) else f"{int(low)} to {last}")
        else:
            words.append(f"{exact(low)} to {exact(high)}")
    return [*words, f"{exact(edges[-1])} and more"]


def drawn_figure(chart: Chart) -> Figure:
    """Draw the chart with Matplotlib."""
    drawing = chart.drawing
    return bars(drawing) if isinstance(drawing, Bars) else curves([drawing])


def chart_table(chart: Chart, points: int = 12) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the chart's data as text; of curves about ``points`` points."""
    drawing = chart.drawing
    if isinstance(drawing, Bars):
        head = [drawing.category_label, *(name for name, _ in drawing.series)]
        rows = [
            [name, *(drawing.show(values[place]) for _, values in drawing.series)]
            for place, name in enumerate(drawing.categories)
        ]
        return head, rows
    head = [drawing.x_label, *(line.name for line in drawing.lines)]
    thinned = [line.x[:: max(1, len(line.x) // points)] for line in drawing.lines]
    rows = [
        [down(x), *(_at(line, x) for line in drawing.lines)]
        for x in sorted({x for some in thinned for x in some})
    ]
    return head, rows


def _at(line: Line, x: float) -> str:
    """Value of a falling line of steps; nothing is known to hold beyond its end."""
    place = bisect_left(line.x, x)
    return share_down(line.y[place]) if place < len(line.y) else "0"
