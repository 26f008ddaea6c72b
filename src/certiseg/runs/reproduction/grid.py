"""The paper's tables: which scales, noises, thresholds and levels they go through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from certiseg.certificates.method import Method
from certiseg.certifiers.radius_map import RadiusMap
from certiseg.certifiers.segcertify import Correction, SegCertify
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.rounding import exact
from certiseg.runs.parameters import Law
from certiseg.runs.settings import Settings
from certiseg.stats.spending import plan_looks

PAPER, POOLED, BUDGET, RADIUS_MAP, EARLY = "paper", "pooled", "budget", "radius-map", "early"
METHODS = (PAPER, POOLED, BUDGET, RADIUS_MAP, EARLY)
CORRECTIONS: tuple[Correction, ...] = ("holm", "bonferroni")
"""Those the paper compares, with candidates from draws of their own."""
ERROR_BUDGET = 0.001
"""Of the method "budget": this share of the pixels, less one, may be certified falsely (T5)."""

Scales = tuple[float, ...]
"""Sizes at which one model looks at a picture; several are a multi-scale model."""


@dataclass(frozen=True)
class Point:
    """Threshold, and draws that test."""

    tau: float
    num_samples: int


@dataclass(frozen=True)
class Grid:
    """A table of pictures.

    selection: draws that choose candidates, its n0. methods: of METHODS; "paper" certifies in its
    two stages, the others use all draws to choose and to test. base_size: of the longer side at
    scale 1, in pixels; None: the picture's own.

    One set of draws of each picture, scale and sigma serves all thresholds, levels and methods: a
    point of fewer draws looks at the first of them.
    """

    scales: tuple[Scales, ...]
    sigmas: tuple[float, ...]
    points: tuple[Point, ...] = (Point(0.75, 100), Point(0.95, 500))
    alphas: tuple[float, ...] = (1e-3, 1e-4)
    selection: int = 10
    methods: tuple[str, ...] = METHODS
    base_size: int | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.methods if name not in METHODS]
        if unknown or not self.methods:
            raise InputError(
                f"expected --methods among {', '.join(METHODS)}, got "
                f"{', '.join(unknown) or 'none'}; name some of these"
            )
        if not self.scales or any(not scale > 0 for scales in self.scales for scale in scales):
            raise InputError(
                f"expected scales above 0, got {', '.join(map(words, self.scales)) or 'none'}; "
                "0.5 halves height and width, 0.5+1 looks at both"
            )
        if len(set(self.scales)) < len(self.scales) or len(set(self.sigmas)) < len(self.sigmas):
            raise InputError("expected each scale and sigma once, got one twice; leave it out")
        if not self.sigmas:
            raise InputError("expected at least one sigma, got none; 0.25 is the paper's first")
        for sigma in self.sigmas:
            self.noise(sigma)  # refuses a bad one

    @property
    def kind(self) -> str:
        """Of the data: "pictures" or "clouds"."""
        return "pictures"

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Those of the method "paper"."""
        return CORRECTIONS

    @property
    def law(self) -> Law:
        """What is drawn."""
        return "gaussian"

    def noise(self, sigma: float) -> Noise:
        """Raises InputError for a bad sigma."""
        return Settings(sigma=sigma, law=self.law).noise

    def within(self, most: int | None) -> Grid:
        """The points that take at most so many test draws; InputError where none is left."""
        left = tuple(p for p in self.points if most is None or p.num_samples <= most)
        if not left:
            fewest = min(p.num_samples for p in self.points)
            raise InputError(f"expected --most-draws of at least {fewest}, got {most}; raise it")
        return replace(self, points=left)

    @property
    def draws(self) -> int:
        """Draws of one sample at one scale and sigma."""
        return self.selection + max(point.num_samples for point in self.points)

    def looks(self, components: int, point: Point, alpha: float) -> tuple[tuple[int, float], ...]:
        """When early stopping looks, with all draws of the point as its budget (theory T7)."""
        return plan_looks(
            components, self.selection + point.num_samples, tau=point.tau, alpha=alpha
        )

    def ends(self, components: int) -> list[int]:
        """Numbers of draws at which some method looks at the votes, rising."""
        found = {self.selection}
        for point in self.points:
            found.add(self.selection + point.num_samples)
            if EARLY in self.methods:
                for alpha in self.alphas:
                    found.update(trials for trials, _ in self.looks(components, point, alpha))
        return sorted(found)

    def check(self, components: int) -> None:
        """Raise InputError unless every line can certify a sample of so many components."""
        for point in self.points:
            whole = self.selection + point.num_samples
            for alpha in self.alphas:
                level: dict[str, Any] = {"tau": point.tau, "alpha": alpha}
                made: dict[str, tuple[Method, int]] = {
                    PAPER: (SegCertify(selection="split", **level), point.num_samples),
                    POOLED: (SegCertify(**level), whole),
                    BUDGET: (SegCertify(correction="k-fwer", budget=ERROR_BUDGET, **level), whole),
                    RADIUS_MAP: (RadiusMap(alpha=alpha), whole),
                }
                for name in self.methods:
                    if name in made:
                        method, draws = made[name]
                        method.check_draws(components, draws)
                if EARLY in self.methods:
                    self.looks(components, point, alpha)


@dataclass(frozen=True)
class CloudGrid(Grid):
    """A table of point clouds. compared: the corrections of the method "paper"."""

    drawn: Law = "coordinates"
    compared: tuple[Correction, ...] = CORRECTIONS

    @property
    def kind(self) -> str:
        return "clouds"

    @property
    def corrections(self) -> tuple[Correction, ...]:
        return self.compared

    @property
    def law(self) -> Law:
        return self.drawn


GRIDS = {
    "cityscapes": Grid(((0.25,), (0.5,), (0.75,), (1.0,)), (0.25, 0.33, 0.5)),
    "pascal-context": Grid(((0.25,), (0.5,), (0.75,), (1.0,)), (0.25, 0.33, 0.5), base_size=520),
    "camvid": Grid(((1.0,),), (0.25, 0.5)),
}
"""Fischer, Baader, Vechev 2021: semantic segmentation. The base size is that of the published code;
Cityscapes pictures have theirs, 2048, of their own. CamVid, not in the paper, at its own size."""
CLOUD_GRIDS = {
    "shapenet": CloudGrid(
        scales=((1.0,),),
        sigmas=(0.25, 0.5),
        points=(Point(0.75, 1000), Point(0.85, 1000), Point(0.95, 10_000), Point(0.99, 10_000)),
        alphas=(1e-3,),
        selection=100,
        methods=(PAPER, POOLED),
    ),
    "shapenet-rotation": CloudGrid(
        scales=((1.0,),),
        sigmas=(0.125, 0.25),
        points=(Point(0.75, 1000),),
        alphas=(1e-3,),
        selection=100,
        methods=(PAPER, POOLED),
        drawn="rotation",
        compared=("holm",),
    ),
}
"""The same: part segmentation under l2 noise and under rotation."""
LIMITS = {"cityscapes": 100, "pascal-context": 100, "camvid": 26}
"""Pictures, at an even stride."""


def words(scales: Scales) -> str:
    """ "0.5", or "0.5+1" for a model that looks at both sizes."""
    return "+".join(f"{exact(scale)}" for scale in scales)


def scales_of(text: str) -> tuple[Scales, ...]:
    """Inverse of words, with commas between: "0.25,0.5,0.5+1". Raises InputError."""
    try:
        return tuple(tuple(float(scale) for scale in one.split("+")) for one in text.split(","))
    except ValueError:
        raise InputError(
            f"expected --scales such as 0.25,0.5,0.5+1, got {text!r}; write numbers with commas "
            "between, and + for one model that looks at several sizes"
        ) from None


def chosen(grid: Grid, methods: Sequence[str]) -> Grid:
    """The grid with these methods."""
    return replace(grid, methods=tuple(dict.fromkeys(methods)))
