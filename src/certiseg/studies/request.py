"""What a plan is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from certiseg.certifiers.segcertify import checked_budget
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.pvalues import MOST_TRIALS, checked_alpha, checked_tau


@dataclass(frozen=True)
class Request:
    """What is to be certified, and how.

    size: (H, W) of a picture, or (points,) of a cloud. tau in [1/2, 1); alpha for one input;
    passes: draws of noise in all. grid: stride of the grid the model decides on (theory T14).
    budget: of k-FWER, a whole number or a fraction of the components (T5). selection: draws that
    choose when the selection is split (the paper's). probability: the component whose chance is
    asked. Raises InputError for values that make no sense.
    """

    size: tuple[int, ...]
    num_classes: int
    noise: Noise
    tau: float = 0.75
    alpha: float = 1e-3
    passes: int = 100
    grid: int = 1
    budget: int | float | None = None
    selection: int = 10
    probability: float = 0.98

    def __post_init__(self) -> None:
        checked_tau(self.tau), checked_alpha(self.alpha)
        for words, value, least in (
            ("a size", min(self.size), 1),
            ("classes", self.num_classes, 2),
            ("draws (-n)", self.passes, 1),
            ("a grid", self.grid, 1),
            ("selection draws (--n0)", self.selection, 1),
        ):
            if value < least:
                raise InputError(f"expected {words} of at least {least}, got {value}; raise it")
        if self.grid > 1 and len(self.size) != 2:
            raise InputError(
                f"expected a picture with a grid, got {self.size[0]} points and grid {self.grid}; "
                "points have no grid, leave it out"
            )
        if not 0.0 < self.probability <= 1.0:
            raise InputError(
                f"expected a probability in (0, 1], got {self.probability}; such as 0.98"
            )
        checked_budget(self.budget, self.components)
        # Not even a single hypothesis would be tested with fewer draws than this.
        if math.log(self.alpha) / math.log(self.tau) > MOST_TRIALS:
            raise InputError(
                f"expected a tau that {MOST_TRIALS} draws can tell from 1, got {self.tau!r}; "
                "lower tau or the radius"
            )

    @property
    def components(self) -> int:
        """N, the hypotheses tested at once: cells of the grid, or points."""
        return math.prod(-(-side // self.grid) for side in self.size)


def tau_for_radius(noise: Noise, radius: float) -> float:
    """Smallest tau found with ``noise.radius(tau) >= radius``, such as Phi(R / sigma)."""
    if not 0.0 < radius < math.inf:
        raise InputError(f"expected a radius above 0, got {radius}; such as 0.17")
    tau, step = noise.needed(radius), 2.0**-53
    while tau < 1.0 and noise.radius(tau) < radius:
        tau, step = tau + step, 2.0 * step
    if tau >= 1.0:
        raise InputError(
            f"expected a radius within reach of sigma = {noise.sigma:g}, got {radius:g}; no label "
            "is that certain, lower --radius or raise --sigma"
        )
    return tau
