"""Figures of the paper's experiment on pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from certiseg.metrics.curve import RadiusCurve
from certiseg.report.charts import curve_end
from certiseg.report.figures import Bars, Panel, bars, curves, write_figure
from certiseg.report.figures import Line as Drawn
from certiseg.report.reproduction.pictures import UNSOUND, Line

_ROOM = 4
"""Panels side by side that stay readable."""


def write_figures(
    out: Path,
    lines: Sequence[Line],
    radius_curves: Mapping[tuple[str, float], RadiusCurve],
    note: str,
) -> None:
    """OUT/radius.png and .svg: certified accuracy by radius, a panel a scale; where lines emulate
    shared noise, OUT/shared-noise.png and .svg beside them. note: one line across the top."""
    level = max((line.alpha for line in lines if line.alpha is not None), default=None)
    shown = [line for line in lines if line.alpha == level]
    scales = list(dict.fromkeys(line.scale for line in shown))[:_ROOM]
    panels = [_panel(scale, shown, radius_curves) for scale in scales]
    if any(panel.lines for panel in panels):
        write_figure(curves(panels, f"{note}, α = {level:g}"), out / "radius")
    if any(line.unsound for line in shown):
        heading = f"{note}, α = {level:g}; {UNSOUND} where noise is shared"
        write_figure(bars(_shares(shown), heading), out / "shared-noise")


def _panel(
    scale: str, lines: Sequence[Line], radius_curves: Mapping[tuple[str, float], RadiusCurve]
) -> Panel:
    """The paper's certificates, each from 0 to its radius, and the whole radius map."""
    own = [line for line in lines if line.scale == scale and not line.unsound]
    drawn = []
    for style, sigma in enumerate(dict.fromkeys(line.sigma for line in own)):
        paper = [x for x in own if x.sigma == sigma and x.model == "SegCertify, holm"]
        paper.sort(key=lambda line: line.radius or 0.0)
        if paper:
            radii = [0.0, *(line.radius or 0.0 for line in paper)]
            held = [line.certified_accuracy or 0.0 for line in paper]
            name = f"σ = {sigma:g}, SegCertify"
            drawn.append(Drawn(name, radii, [held[0], *held], 2 * style, steps=True))
        curve = None if sigma is None else radius_curves.get((scale, sigma))
        if curve is not None:
            end = curve_end(curve)
            values = curve.certified_accuracy[:end].tolist()
            name = f"σ = {sigma:g}, radius map"
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


def _shares(lines: Sequence[Line]) -> Bars:
    """Share of all pixels called certified by the paper's method, by how many draws share a
    noise."""
    compared = [x for x in lines if x.unsound or x.model.startswith("SegCertify")]
    compared = [line for line in compared if line.model.endswith("holm")]
    places = list(dict.fromkeys((x.scale, x.sigma, x.tau, x.n) for x in compared))
    batches = list(dict.fromkeys(line.shared_batch for line in compared))
    series = []
    for batch in batches:
        by_place = {
            (x.scale, x.sigma, x.tau, x.n): 1.0 - (x.abstention_all or 0.0)
            for x in compared
            if x.shared_batch == batch
        }
        name = "every draw its own noise" if batch is None else f"{UNSOUND}: batches of {batch}"
        series.append((name, [by_place.get(place, float("nan")) for place in places]))
    return Bars(
        categories=[
            f"scale {scale}, σ = {sigma:g}, τ = {tau:g}, n = {n}" for scale, sigma, tau, n in places
        ],
        series=series,
        category_label="",
        value_label="share of pixels called certified",
        horizontal=True,
    )
