"""The grids of the paper's tables: scales, noise levels, thresholds, significance levels and
methods."""

from __future__ import annotations

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
"""The corrections that the paper compares, with separate draws for the candidates."""
ERROR_BUDGET = 0.001
"""Method "budget": number of falsely certified pixels controlled, as a share of the pixels, less
one (T5)."""

Scales = tuple[float, ...]
"""Scales at which one model sees an image; several make a multi-scale model."""


@dataclass(frozen=True)
class Point:
    """Threshold, and number of testing draws."""

    tau: float
    num_samples: int


@dataclass(frozen=True)
class Grid:
    """A table of images.

    selection: number of draws that choose candidates (n0). methods: of METHODS; "paper" certifies
    in its two stages, the others use all draws to choose and to test. base_size: length in pixels
    of the longer side at scale 1; None: the image's.

    One set of draws of each image, scale and sigma serves all thresholds, levels and methods; a
    point with fewer draws uses the first of them.
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
                "0.5 halves height and width, 0.5+1 is one model of both"
            )
        if len(set(self.scales)) < len(self.scales) or len(set(self.sigmas)) < len(self.sigmas):
            raise InputError("expected each scale and sigma once, got one twice; leave it out")
        if not self.sigmas:
            raise InputError("expected at least one sigma, got none; 0.25 is the paper's first")
        for sigma in self.sigmas:
            self.noise(sigma)  # refuses a bad one

    @property
    def kind(self) -> str:
        """Kind of the data: "images" or "clouds"."""
        return "images"

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Corrections compared for the method "paper"."""
        return CORRECTIONS

    @property
    def law(self) -> Law:
        """The noise distribution."""
        return "gaussian"

    def noise(self, sigma: float) -> Noise:
        """The noise at this sigma. Raises InputError for an invalid sigma."""
        return Settings(sigma=sigma, law=self.law).noise

    def within(self, most: int | None) -> Grid:
        """The grid without points of more than `most` testing draws. Raises InputError if none is
        left."""
        left = tuple(p for p in self.points if most is None or p.num_samples <= most)
        if not left:
            fewest = min(p.num_samples for p in self.points)
            raise InputError(f"expected --most-draws of at least {fewest}, got {most}; raise it")
        return replace(self, points=left)

    @property
    def draws(self) -> int:
        """Number of draws for each sample, scale and sigma."""
        return self.selection + max(point.num_samples for point in self.points)

    def looks(self, components: int, point: Point, alpha: float) -> tuple[tuple[int, float], ...]:
        """Schedule (draws, level) of early stopping, with all draws of the point as its budget
        (theory T7)."""
        return plan_looks(
            components, self.selection + point.num_samples, tau=point.tau, alpha=alpha
        )

    def ends(self, components: int) -> list[int]:
        """Numbers of draws at which some method needs the votes, ascending."""
        found = {self.selection}
        for point in self.points:
            found.add(self.selection + point.num_samples)
            if EARLY in self.methods:
                for alpha in self.alphas:
                    found.update(trials for trials, _ in self.looks(components, point, alpha))
        return sorted(found)

    def check(self, components: int) -> None:
        """Raise InputError unless every row can certify a sample with this number of components."""
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
    """A table of point clouds. compared: the corrections of the method "paper". drawn: the
    noise."""

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
"""Fischer, Baader, Vechev 2021: semantic segmentation. Base sizes are those of the published code;
Cityscapes images have that size, 2048, themselves. CamVid, which is not in the paper, at its
original size."""
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
"""Fischer, Baader, Vechev 2021: part segmentation under l2 noise and under rotations."""
LIMITS = {"cityscapes": 100, "pascal-context": 100, "camvid": 26}
"""Number of images, an even stride of the data set."""


def words(scales: Scales) -> str:
    """Scales as text: "0.5", or "0.5+1" for a model of both sizes."""
    return "+".join(f"{exact(scale)}" for scale in scales)


def scales_of(text: str) -> tuple[Scales, ...]:
    """Parse scales as given by ``words``, separated by commas: "0.25,0.5,0.5+1". Raises
    InputError."""
    try:
        return tuple(tuple(float(scale) for scale in one.split("+")) for one in text.split(","))
    except ValueError:
        raise InputError(
            f"expected --scales such as 0.25,0.5,0.5+1, got {text!r}; write numbers with commas "
            "between, and + for one model of several scales"
        ) from None
