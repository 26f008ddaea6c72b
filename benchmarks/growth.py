"""How does the time grow with draws, pixels and classes?

``vote`` of a model of one layer (so that what is not the model weighs most) and ``certify`` from
votes, each over a sweep of one quantity with the others fixed. The slope is that of a line by least
squares through the logarithms of all points, each the least of its turns: 1 is proportional, 0 is
free.

    python benchmarks/growth.py -o benchmarks/results/speed/growth
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from certiseg.bench.result import Goal, Result, Row, timing_environment
from certiseg.bench.subject import NOISE, Options, synthetic_image
from certiseg.bench.timing import Spread, interleaved
from certiseg.certifiers.segcertify import certify
from certiseg.report.figures import Line, Panel, curves, figure_bytes, has_matplotlib
from certiseg.sampling.sampler import Smoothed
from command import main
from street import Street

MOST = 1.1
"""What a slope may reach: linear, and the noise of a fit through a few points."""
VOTE, CERTIFY = "vote", "certify"


@dataclass(frozen=True)
class Sweep:
    """One quantity over its values; the others as (draws, (H, W), classes) fixed."""

    quantity: str
    values: tuple[int, ...]
    draws: int
    size: tuple[int, int]
    classes: int

    def at(self, value: int) -> tuple[int, tuple[int, int], int]:
        """Draws, size and classes of a point. Pictures are twice as wide as high."""
        if self.quantity == "draws":
            return value, self.size, self.classes
        if self.quantity == "classes":
            return self.draws, self.size, value
        height = round((value / 2) ** 0.5)
        return self.draws, (height, 2 * height), self.classes


FULL = (
    Sweep("draws", (100, 200, 400, 800, 1600), 0, (128, 256), 19),
    Sweep("pixels", tuple(2 * h * h for h in (64, 128, 256, 512)), 100, (0, 0), 19),
    Sweep("classes", (5, 10, 20, 40, 80, 160), 100, (128, 256), 0),
)
QUICK = (
    Sweep("draws", (50, 100), 0, (8, 16), 4),
    Sweep("pixels", (2 * 64, 2 * 256), 50, (0, 0), 4),
    Sweep("classes", (3, 6), 50, (8, 16), 0),
)


def growth(options: Options) -> Result:
    """Three sweeps; a point's time is the median of the turns."""
    device = options.on()
    rows: list[Row] = []
    slopes: list[Goal] = []
    panels: list[Panel] = []
    for sweep in QUICK if options.quick else FULL:
        lines = []
        found = [_point(sweep, value, options, device) for value in sweep.values]
        for style, stage in enumerate((VOTE, CERTIFY)):
            # The least of the turns: what a machine with other work to do adds is not growth.
            times = [point[stage].lowest for point in found]
            slope = log_slope(sweep.values, times)
            for value, point in zip(sweep.values, found, strict=True):
                draws, size, classes = sweep.at(value)
                rows.append(
                    {
                        "stage": stage,
                        "over": sweep.quantity,
                        "n": draws,
                        "pixels": size[0] * size[1],
                        "classes": classes,
                        "seconds": point[stage],
                        "slope": round(slope, 3),
                    }
                )
            slopes.append(Goal(f"slope of {stage} over {sweep.quantity}", slope, MOST))
            lines.append(Line(stage, [float(v) for v in sweep.values], times, style))
        panels.append(_panel(sweep, lines))
    figures: list[tuple[str, bytes]] = []
    if has_matplotlib():
        figure = curves(panels, _note(options))
        figures = [(f".{kind}", figure_bytes(figure, kind)) for kind in ("png", "svg")]
    return Result(
        "growth",
        "How does the time grow with draws, pixels and classes?",
        rows,
        timing_environment(options.command, device),
        {"noise": NOISE.describe(), "seed": options.seed, "turns": options.turns},
        slopes,
        ("vote: of a model of one layer, the pass included. slope: of the least of the turns.",),
        figures,
    )


def log_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of the line by least squares through (log x, log y)."""
    slope, _ = np.polyfit(np.log(x), np.log(y), 1)
    return float(slope)


def _point(sweep: Sweep, value: int, options: Options, device: torch.device) -> dict[str, Spread]:
    draws, size, classes = sweep.at(value)
    torch.manual_seed(options.seed)
    model = nn.Conv2d(3, classes, 1).eval().to(device)
    smooth = Smoothed(model, NOISE, classes, engine=options.engine)
    x = synthetic_image(3, size, options.seed, device)
    rng = np.random.default_rng(options.seed)
    votes = Street.make(rng, size, classes).votes(rng, draws)
    sides: dict[str, Callable[[], object]] = {
        VOTE: partial(smooth.vote, x, draws, seed=options.seed),
        CERTIFY: partial(certify, votes, noise=NOISE),
    }
    smooth.vote(x, min(draws, 8), seed=options.seed)
    sides[CERTIFY]()
    times = interleaved(
        sides,
        options.turns,
        device=device,
        name=f"{sweep.quantity} = {value}",
        progress=options.progress,
    )
    return {stage: Spread.of(times[stage].wall) for stage in sides}


def _panel(sweep: Sweep, lines: list[Line]) -> Panel:
    seconds = [second for line in lines for second in line.y]
    fixed = {
        "draws": f"{sweep.size[0]} x {sweep.size[1]} pixels, {sweep.classes} classes",
        "pixels": f"n = {sweep.draws}, {sweep.classes} classes",
        "classes": f"n = {sweep.draws}, {sweep.size[0]} x {sweep.size[1]} pixels",
    }
    return Panel(
        title=fixed[sweep.quantity],
        lines=lines,
        x_label=sweep.quantity,
        y_label="seconds",
        y_range=(0.5 * min(seconds), 2.0 * max(seconds)),
        log_x=True,
        log_y=True,
    )


def _note(options: Options) -> str:
    return f"least of {options.turns} turns; vote: of a model of one layer, its pass included"


if __name__ == "__main__":
    main("growth", growth)
