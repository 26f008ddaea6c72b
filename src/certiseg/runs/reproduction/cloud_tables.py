"""The paper's experiments on point clouds: their noise, and the lines of their tables."""

from __future__ import annotations

from dataclasses import dataclass, replace

from certiseg.certifiers.segcertify import Correction
from certiseg.errors import InputError
from certiseg.runs.parameters import Law

ALPHA = 1e-3
SELECTION = 100
"""Draws that choose the candidates, the paper's n0."""
CLOUDS = 100


@dataclass(frozen=True)
class Point:
    """One line of a table: noise, threshold, test draws."""

    sigma: float
    tau: float
    num_samples: int


@dataclass(frozen=True)
class Experiment:
    """A table of the paper. corrections: those it compares, with candidates from draws of their
    own."""

    name: str
    law: Law
    points: tuple[Point, ...]
    corrections: tuple[Correction, ...]

    def within(self, most: int | None) -> Experiment:
        """The lines that take at most so many test draws; InputError where none is left."""
        left = tuple(p for p in self.points if most is None or p.num_samples <= most)
        if not left:
            fewest = min(p.num_samples for p in self.points)
            raise InputError(
                f"expected --most-draws of at least {fewest} for {self.name}, got {most}; raise it"
            )
        return replace(self, points=left)

    @property
    def sigmas(self) -> tuple[float, ...]:
        return tuple(dict.fromkeys(point.sigma for point in self.points))

    @property
    def draws(self) -> int:
        """Draws a cloud takes in all: lines of one noise share theirs."""
        most = (max(p.num_samples for p in self.points if p.sigma == s) for s in self.sigmas)
        return sum(SELECTION + draws for draws in most)


EXPERIMENTS = {
    "shapenet": Experiment(
        "shapenet",
        "coordinates",
        tuple(
            Point(sigma, tau, draws)
            for sigma in (0.25, 0.5)
            for tau, draws in ((0.75, 1000), (0.85, 1000), (0.95, 10_000), (0.99, 10_000))
        ),
        ("holm", "bonferroni"),
    ),
    "shapenet-rotation": Experiment(
        "shapenet-rotation",
        "rotation",
        (Point(0.125, 0.75, 1000), Point(0.25, 0.75, 1000)),
        ("holm",),
    ),
}
"""Fischer, Baader, Vechev 2021: part segmentation under l2 noise and under rotation."""
