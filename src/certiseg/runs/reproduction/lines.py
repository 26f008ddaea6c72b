"""What each line of a table certifies, from the draws that all of them share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.segcertify import certify
from certiseg.certifiers.sequential import sequential
from certiseg.noise import Noise
from certiseg.report.reproduction.pictures import UNSOUND, Line
from certiseg.rounding import percent_exact
from certiseg.runs.reproduction.drawn import Drawn
from certiseg.runs.reproduction.grid import (
    BUDGET,
    CORRECTIONS,
    EARLY,
    ERROR_BUDGET,
    PAPER,
    POOLED,
    RADIUS_MAP,
    Grid,
    Point,
)
from certiseg.runs.reproduction.shared_noise import SharedNoise

MIN_GAIN = 0.001
"""Early stopping: until no look is expected to certify this share of the pixels anew."""


@dataclass(frozen=True)
class Held:
    """A line without its figures, and what it says of one picture.

    labels: (*size), ABSTAIN where it abstains. allowed: certified pixels that may be wrong although
    the claim holds (theory T5). every: the claim is of every certified label, p > tau. certificate:
    None for lines that certify nothing.
    """

    line: Line
    labels: NDArray[Any]
    seconds: float
    draws: int
    allowed: int = 0
    every: bool = False
    certificate: Certificate | None = None


def certified_lines(grid: Grid, drawn: Drawn, noise: Noise, scale: str) -> Iterator[Held]:
    """Every point, level and method of the grid. Each claim holds on its own: they share draws."""
    first = drawn.between(0, grid.selection)
    for point in grid.points:
        whole = grid.selection + point.num_samples
        tested = drawn.between(grid.selection, whole)
        together = first + tested
        for alpha in grid.alphas:
            level: dict[str, Any] = {"noise": noise, "tau": point.tau, "alpha": alpha}
            line = _line(grid, point, alpha, noise, scale)
            if PAPER in grid.methods:
                for name in CORRECTIONS:
                    started = time.perf_counter()
                    made = certify(tested, correction=name, selection_votes=first, **level)
                    own = replace(line, model=f"SegCertify, {name}")
                    yield _held(own, made, drawn, started, every=True)
            pooled = replace(line, n=whole, n0=0)
            if POOLED in grid.methods:
                started = time.perf_counter()
                made = certify(together, **level)
                yield _held(replace(pooled, model="pooled, holm"), made, drawn, started, every=True)
            if BUDGET in grid.methods:
                started = time.perf_counter()
                made = certify(together, correction="k-fwer", budget=ERROR_BUDGET, **level)
                own = replace(pooled, model=f"pooled, budget {percent_exact(ERROR_BUDGET)}")
                yield _held(own, made, drawn, started)
            if RADIUS_MAP in grid.methods:
                started = time.perf_counter()
                made = radius_map(together, noise=noise, alpha=alpha)
                own = replace(pooled, model="pooled, radius map")
                yield _held(own, made, drawn, started)
            if EARLY in grid.methods:
                started = time.perf_counter()
                made = sequential(drawn.again(), num_samples=whole, min_gain=MIN_GAIN, **level)
                own = replace(pooled, model="pooled, early stopping")
                yield _held(own, made, drawn, started, every=True)


def shared_noise_lines(
    grid: Grid, shared: list[SharedNoise], drawn: Drawn, noise: Noise, scale: str
) -> Iterator[Held]:
    """UNSOUND: the paper's lines as its published code counts them."""
    for emulated in shared:
        for point in grid.points:
            if point.num_samples != emulated.tested:
                continue
            for alpha in grid.alphas:
                line = _line(grid, point, alpha, noise, scale)
                for name in CORRECTIONS:
                    started = time.perf_counter()
                    labels = emulated.labels(point.tau, alpha, name)
                    yield Held(
                        replace(
                            line,
                            model=f"{UNSOUND} batch of {emulated.batch}, {name}",
                            unsound=True,
                            shared_batch=emulated.batch,
                        ),
                        labels,
                        drawn.seconds(emulated.total) + time.perf_counter() - started,
                        emulated.total,
                        every=True,
                    )


def _line(grid: Grid, point: Point, alpha: float, noise: Noise, scale: str) -> Line:
    return Line(
        scale,
        "",
        noise.sigma,
        point.tau,
        point.num_samples,
        grid.selection,
        alpha,
        noise.radius(point.tau),
    )


def _held(
    line: Line, certificate: Certificate, drawn: Drawn, started: float, *, every: bool = False
) -> Held:
    """A radius map is read at the radius of the line."""
    labels = certificate.labels
    if isinstance(certificate.radius, np.ndarray):
        assert line.radius is not None
        labels = certificate.at(line.radius)
    stage = certificate.selection_votes
    draws = certificate.votes.trials + (0 if stage is None else stage.trials)
    return Held(
        line,
        labels,
        drawn.seconds(draws) + time.perf_counter() - started,
        draws,
        certificate.allowed_errors,
        every,
        certificate,
    )
