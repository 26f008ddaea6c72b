"""The certificates of each row of a table, from draws that all rows share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.segcertify import certify
from certiseg.certifiers.sequential import sequential
from certiseg.noise import Noise
from certiseg.report.reproduction.tables import UNSOUND, PictureRow
from certiseg.rounding import percent_exact
from certiseg.runs.reproduction.grid import (
    BUDGET,
    EARLY,
    ERROR_BUDGET,
    PAPER,
    POOLED,
    RADIUS_MAP,
    Grid,
    Point,
)
from certiseg.runs.reproduction.shared_noise import SharedNoise
from certiseg.votes import VoteCounts

MIN_GAIN = 0.001
"""Early stopping ends when no further look is expected to certify this share of the pixels in
addition."""


class SharedDraws:
    """Votes of the first draws of one sample, in consecutive parts, and the seconds that each part
    took."""

    def __init__(self, parts: Sequence[VoteCounts], seconds: Sequence[float]) -> None:
        self._parts, self._seconds = list(parts), list(seconds)
        self._stops: list[int] = []
        for part in self._parts:
            self._stops.append(part.trials + (self._stops[-1] if self._stops else 0))

    def between(self, start: int, stop: int) -> VoteCounts:
        """Votes of draws start .. stop - 1, both of which must be borders of parts."""
        first = 0 if start == 0 else self._stops.index(start) + 1
        last = self._stops.index(stop)
        votes = self._parts[first]
        for part in self._parts[first + 1 : last + 1]:
            votes = votes + part
        return votes

    def sizes(self) -> tuple[int, int]:
        """Number of components and number of classes."""
        return self._parts[0].num_components, self._parts[0].num_classes

    def seconds(self, stop: int) -> float:
        """Time taken by draws 0 .. stop - 1."""
        return sum(self._seconds[: self._stops.index(stop) + 1])


class Replay:
    """A ``VoteSource`` that replays draws made before, for sequential certification (theory T7).

    The certificate equals that from drawing live.
    """

    def __init__(self, draws: SharedDraws) -> None:
        self._draws, self._given = draws, 0

    def sizes(self) -> tuple[int, int]:
        return self._draws.sizes()

    def more(self, draws: int) -> VoteCounts:
        votes = self._draws.between(self._given, self._given + draws)
        self._given += draws
        return votes


@dataclass(frozen=True)
class RowResult:
    """A row of the table without metrics, with its labels for one sample.

    labels: (*size), ABSTAIN where it abstains. allowed: number of certified components that may be
    wrong although the claim holds (theory T5). every: the claim is p > tau for every certified
    label. certificate: None for rows that certify nothing.
    """

    row: PictureRow
    labels: NDArray[Any]
    seconds: float
    draws: int
    allowed: int = 0
    every: bool = False
    certificate: Certificate | None = None


def certified_rows(grid: Grid, draws: SharedDraws, noise: Noise, scale: str) -> Iterator[RowResult]:
    """Certify every point, level and method of the grid. They share draws, so that each claim holds
    by itself, not all jointly."""
    for point in grid.points:
        for alpha in grid.alphas:
            plain = _row(grid, point, alpha, noise, scale)
            for model, made in _methods(grid, point, alpha, noise, draws):
                started = time.perf_counter()
                certificate = made()
                first = certificate.selection_votes
                row = replace(plain, model=model)
                if first is None:
                    row = replace(row, n=grid.selection + point.num_samples, n0=0)
                labels = certificate.labels
                if isinstance(certificate.radius, np.ndarray):
                    labels = certificate.at(noise.radius(point.tau))
                used = certificate.votes.trials + (0 if first is None else first.trials)
                yield RowResult(
                    row,
                    labels,
                    draws.seconds(used) + time.perf_counter() - started,
                    used,
                    certificate.allowed_errors,
                    certificate.budget is None and certificate.method != "radius_map",
                    certificate,
                )


def _methods(
    grid: Grid, point: Point, alpha: float, noise: Noise, draws: SharedDraws
) -> Iterator[tuple[str, Callable[[], Certificate]]]:
    """Names of rows, each with a function that computes its certificate."""
    whole = grid.selection + point.num_samples
    first = draws.between(0, grid.selection)
    tested = draws.between(grid.selection, whole)
    together = first + tested
    level: dict[str, Any] = {"noise": noise, "tau": point.tau, "alpha": alpha}
    if PAPER in grid.methods:
        for name in grid.corrections:
            yield (
                f"SegCertify, {name}",
                partial(certify, tested, correction=name, selection_votes=first, **level),
            )
    if POOLED in grid.methods:
        yield "pooled, holm", partial(certify, together, **level)
    if BUDGET in grid.methods:
        yield (
            f"pooled, budget {percent_exact(ERROR_BUDGET)}",
            partial(certify, together, correction="k-fwer", budget=ERROR_BUDGET, **level),
        )
    if RADIUS_MAP in grid.methods:
        yield "pooled, radius map", partial(radius_map, together, noise=noise, alpha=alpha)
    if EARLY in grid.methods:
        yield (
            "pooled, early stopping",
            partial(sequential, Replay(draws), num_samples=whole, min_gain=MIN_GAIN, **level),
        )


def shared_noise_rows(
    grid: Grid, shared: Sequence[SharedNoise], draws: SharedDraws, noise: Noise, scale: str
) -> Iterator[RowResult]:
    """UNSOUND: the paper's rows as counted by its published code."""
    for emulated in shared:
        for point in grid.points:
            if point.num_samples != emulated.tested:
                continue
            for alpha in grid.alphas:
                plain = _row(grid, point, alpha, noise, scale)
                for name in grid.corrections:
                    started = time.perf_counter()
                    labels = emulated.labels(point.tau, alpha, name)
                    yield RowResult(
                        replace(
                            plain,
                            model=f"{UNSOUND} batch of {emulated.batch}, {name}",
                            unsound=True,
                            shared_batch=emulated.batch,
                        ),
                        labels,
                        draws.seconds(emulated.total) + time.perf_counter() - started,
                        emulated.total,
                        every=True,
                    )


def _row(grid: Grid, point: Point, alpha: float, noise: Noise, scale: str) -> PictureRow:
    return PictureRow(
        scale,
        "",
        noise.sigma,
        point.tau,
        point.num_samples,
        grid.selection,
        alpha,
        noise.radius(point.tau),
    )
