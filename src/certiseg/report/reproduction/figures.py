"""Figures of the paper's image experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from certiseg.metrics.curve import RadiusCurve
from certiseg.report.charts import curve_end
from certiseg.report.figures import Line as Drawn
from certiseg.report.figures import Panel, curves, write_figure
from certiseg.report.reproduction.tables import UNSOUND, FalseRow, PictureRow
from certiseg.rounding import exact

_ROOM = 4
"""Largest number of panels side by side."""


def write_figures(
    out: Path,
    lines: Sequence[PictureRow],
    false: Sequence[FalseRow],
    radius_curves: Mapping[tuple[str, float], RadiusCurve],
    note: str,
) -> None:
    """Write OUT/radius.png and .svg, certified accuracy by radius with one panel per scale, and if
    lines emulate shared noise, OUT/shared-noise.png and .svg. note: line at the top."""
    level = max((line.alpha for line in lines if line.alpha is not None), default=None)
    shown = [line for line in lines if line.alpha == level]
    scales = list(dict.fromkeys(line.scale for line in shown))[:_ROOM]
    panels = [_panel(scale, shown, radius_curves) for scale in scales]
    if any(panel.lines for panel in panels):
        write_figure(curves(panels, f"{note}, α = {exact(level)}"), out / "radius")
    if any(line.unsound for line in shown):
        counted = [line for line in false if line.alpha == level]
        heading = f"{note}, α = {exact(level)}, the paper's method with Holm's correction"
        write_figure(curves(_shared(shown, counted), heading), out / "shared-noise")


def _panel(
    scale: str, lines: Sequence[PictureRow], radius_curves: Mapping[tuple[str, float], RadiusCurve]
) -> Panel:
    """The paper's certificates, each from 0 to its radius, and the radius map's curve."""
    sound = [line for line in lines if line.scale == scale and not line.unsound]
    drawn = []
    for style, sigma in enumerate(dict.fromkeys(line.sigma for line in sound)):
        paper = [x for x in sound if x.sigma == sigma and x.model == "SegCertify, holm"]
        paper.sort(key=lambda line: line.radius or 0.0)
        if paper:
            radii = [0.0, *(line.radius or 0.0 for line in paper)]
            held = [line.certified_accuracy or 0.0 for line in paper]
            name = f"σ = {exact(sigma)}, SegCertify"
            drawn.append(Drawn(name, radii, [held[0], *held], 2 * style, steps=True))
        curve = None if sigma is None else radius_curves.get((scale, sigma))
        if curve is not None:
            end = curve_end(curve)
            values = curve.certified_accuracy[:end].tolist()
            name = f"σ = {exact(sigma)}, radius map"
            drawn.append(
                Drawn(
                    name,
                    curve.radii[:end].tolist(),
                    values,
                    2 * style + 1,
                    every=max(1, end // 8),
                    steps=True,
                )
            )
    return Panel(
        title=f"scale {scale}",
        lines=drawn,
        x_label="radius (l2)",
        y_label="certified accuracy",
        y_range=(0.0, 1.0),
    )


def _shared(lines: Sequence[PictureRow], false: Sequence[FalseRow]) -> list[Panel]:
    """Abstention and surely false certificates, by number of draws that share a noise."""
    by_place = {_place(row): row for row in lines if _of_paper(row)}
    counted = {_place(row): row for row in false if _of_paper(row)}
    several = len({row.scale for row in by_place.values()}) > 1
    abstaining, wrong = [], []
    for style, kind in enumerate(dict.fromkeys(place[:-1] for place in by_place)):
        scale, sigma, tau, n = kind
        name = f"σ = {exact(sigma)}, τ = {exact(tau)}, n = {n}"
        name = f"scale {scale}, {name}" if several else name
        batches = [place[-1] for place in by_place if place[:-1] == kind]
        shares = [by_place[*kind, batch].abstention_all or 0.0 for batch in batches]
        abstaining.append(Drawn(name, batches, shares, style))
        there = [batch for batch in batches if (*kind, batch) in counted]
        if there:
            shares = [counted[*kind, batch].share or 0.0 for batch in there]
            wrong.append(Drawn(name, there, shares, style))
    x_label = f"draws that share a noise (from 2 on: {UNSOUND})"
    panels = [_by_batch("abstention, share of all pixels", x_label, abstaining)]
    if wrong:
        panels.append(_by_batch("surely false, share of those called certified", x_label, wrong))
    return panels


def _by_batch(y_label: str, x_label: str, drawn: Sequence[Drawn]) -> Panel:
    highest = max(max(line.y) for line in drawn)
    top = 1.1 * highest if highest > 0 else 1.0
    return Panel("", drawn, x_label, y_label, (-0.03 * top, top))


def _place(row: PictureRow | FalseRow) -> tuple[str, float | None, float | None, int | None, int]:
    return row.scale, row.sigma, row.tau, row.n, row.shared_batch or 1


def _of_paper(row: PictureRow | FalseRow) -> bool:
    """True for the paper's method with Holm's correction, sound or emulated."""
    return row.model.endswith("holm") and (row.unsound or row.model.startswith("SegCertify"))
