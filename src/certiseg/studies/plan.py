"""Plan a certificate before sampling: n_min, cutoff, and certifiable probability by method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaincinv

from certiseg.certifiers.segcertify import checked_budget
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.rounding import percent_exact
from certiseg.stats.binomial import upper_tail
from certiseg.stats.multiple_testing import bonferroni_cutoff
from certiseg.stats.pvalues import (
    MOST_TRIALS,
    checked_alpha,
    checked_tau,
    dominant_tail,
    min_trials,
    pooled_pvalues,
)
from certiseg.votes import counts_dtype

LONGEST = 10_000
"""Largest number of passes in curves of certifiable probability."""

# Alternatives in a plan: output strides of common networks, and a typical budget.
_STRIDES, _FRACTION = (4, 8), 0.001


@dataclass(frozen=True)
class Request:
    """Input and parameters of the certificate to plan.

    size: (H, W) of an image, (D, H, W) of a volume, or (points,) of a cloud. tau in [1/2, 1).
    alpha: for the whole input. passes: total number of draws. grid: stride of the model's output
    grid (theory T14). budget: of k-FWER, a number or a fraction of the components (T5). selection:
    number of selection draws with split selection (the paper's). probability: of a label, to
    report its chance to be certified. Raises InputError for invalid values.
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
            ("selection draws (--selection-samples)", self.selection, 1),
        ):
            if value < least:
                raise InputError(f"expected {words} of at least {least}, got {value}; raise it")
        if self.grid > 1 and len(self.size) != 2:
            raise InputError(
                f"expected an image with a grid, got {' x '.join(map(str, self.size))} "
                f"{'points' if len(self.size) == 1 else 'voxels'} and grid {self.grid}; "
                "leave it out"
            )
        if not 0.0 < self.probability <= 1.0:
            raise InputError(
                f"expected a probability in (0, 1], got {self.probability}; such as 0.98"
            )
        checked_budget(self.budget, self.components)
        # A lower bound on n_min, for a single hypothesis.
        if math.log(self.alpha) / math.log(self.tau) > MOST_TRIALS:
            raise InputError(
                f"expected a tau that {MOST_TRIALS} draws can tell from 1, got {self.tau!r}; "
                "lower tau or the radius"
            )

    @property
    def components(self) -> int:
        """N, the number of hypotheses: grid cells or points."""
        return math.prod(-(-side // self.grid) for side in self.size)


@dataclass(frozen=True)
class Prospect:
    """Properties of one variant of the planned certificate.

    name: difference from the plain pooled test. selection: "pooled" or "split". draws: number of
    testing draws. n_min: fewest testing draws that can certify anything. cutoff: vote count that is
    certified at the first, hardest step; None if draws < n_min. even, likely: label probability
    that is certified with probability 1/2 and 9/10. chance: probability that a label of
    ``Request.probability`` is certified. vote_bytes: memory of the vote counts. asked: True for the
    variant that was requested.
    """

    name: str
    selection: str
    components: int
    budget: int
    passes: int
    draws: int
    n_min: int
    cutoff: int | None
    even: float | None
    likely: float | None
    chance: float
    vote_bytes: int
    asked: bool


def prospects(request: Request) -> list[Prospect]:
    """The requested variant, and as alternatives the paper's, coarser grids and a budget.

    All have the same number of passes.
    """
    return [
        _prospect(variant, selection, asked=selection == "pooled" and variant == request)
        for selection, variant in _variants(request)
    ]


def likely_curves(request: Request, passes: Sequence[int]) -> dict[str, list[float | None]]:
    """``Prospect.likely`` by name of variant, for each number of passes; None below n_min."""
    return {
        _name(variant, selection): [
            _prospect(replace(variant, passes=count), selection, asked=False).likely
            for count in passes
        ]
        for selection, variant in _variants(request)
    }


def pass_grid(first: int, points: int = 60) -> list[int]:
    """Numbers of passes from first to 10 000, evenly spaced on a logarithmic axis."""
    last = max(first, LONGEST)
    return sorted({int(count) for count in np.rint(np.geomspace(first, last, points))})


def first_cutoff(
    components: int, trials: int, *, tau: float, alpha: float, selection: str, budget: int = 1
) -> int:
    """Cutoff of the first step, which is Bonferroni's and Holm's (theory T4, T5).

    Returns ``trials + 1`` if nothing can be certified.
    """
    pvalues = pooled_pvalues if selection == "pooled" else dominant_tail
    return bonferroni_cutoff([components], pvalues(trials, tau), budget * alpha)


def _variants(request: Request) -> list[tuple[str, Request]]:
    """(selection, request) of each variant; the requested one comes last if it is a new one."""
    plain = replace(request, grid=1, budget=None)
    variants = [("split", plain), ("pooled", plain)]
    if len(request.size) == 2:
        variants += [("pooled", replace(plain, grid=stride)) for stride in _STRIDES]
    variants.append(("pooled", replace(plain, budget=_FRACTION)))
    if len(request.size) == 2:
        variants.append(("pooled", replace(plain, grid=_STRIDES[0], budget=_FRACTION)))
    if ("pooled", request) not in variants:
        variants.append(("pooled", request))
    return variants


def _prospect(request: Request, selection: str, *, asked: bool) -> Prospect:
    components = request.components
    budget = checked_budget(request.budget, components)
    chooses = request.selection if selection == "split" else 0
    draws = max(request.passes - chooses, 0)
    test = {"tau": request.tau, "alpha": request.alpha}
    n_min = min_trials(components, **test, selection=selection, budget=budget)
    cutoff = None
    if draws >= n_min:
        cutoff = first_cutoff(components, draws, **test, selection=selection, budget=budget)
    return Prospect(
        name=_name(request, selection),
        selection=selection,
        components=components,
        budget=budget,
        passes=request.passes,
        draws=draws,
        n_min=n_min,
        cutoff=cutoff,
        even=None if cutoff is None else _certifiable(cutoff, draws, 0.5),
        likely=None if cutoff is None else _certifiable(cutoff, draws, 0.9),
        chance=0.0 if cutoff is None else float(upper_tail(cutoff, draws, request.probability)),
        vote_bytes=components * request.num_classes * counts_dtype(request.passes).itemsize,
        asked=asked,
    )


def _name(request: Request, selection: str) -> str:
    words = [f"split, n0 = {request.selection}"] if selection == "split" else []
    if request.grid > 1:
        words.append(f"grid {request.grid}")
    if request.budget is not None:
        whole = isinstance(request.budget, int)
        words.append(f"k = {request.budget if whole else percent_exact(request.budget)}")
    return ", ".join(words) or "pooled"


def _certifiable(cutoff: int, trials: int, chance: float) -> float:
    """Probability p with ``P(Bin(trials, p) >= cutoff) = chance``."""
    return float(betaincinv(cutoff, trials - cutoff + 1, chance))


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
