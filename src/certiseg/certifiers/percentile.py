"""Percentile smoothing: a bound on the median of a scalar of the noisy model's output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.errors import InputError
from certiseg.noise import Noise, noise_from_record, noise_record
from certiseg.rounding import against, confidence, down, exact, up
from certiseg.stats.binomial import upper_tail
from certiseg.stats.pvalues import MOST_TRIALS, checked_alpha

Side = Literal["lower", "upper", "both"]
SIDES = get_args(Side)


@dataclass(frozen=True)
class PercentileBound:
    """Bounds of percentile smoothing on a scalar, such as the accuracy of one noisy pass.

    lower, upper: bounds on its median under every perturbation of norm <= radius; a side without a
    bound has the end of the scalar's range. median: sample median of the draws, without guarantee.
    rank: the lower bound is the rank-th smallest value, the upper one the rank-th largest. trials:
    number of draws. alpha: error probability of both bounds. side: as in ``percentile``.
    """

    lower: float
    upper: float
    median: float
    radius: float
    alpha: float
    side: str
    rank: int
    trials: int
    noise: Noise

    def statement(self, quantity: str = "the value") -> str:
        """The guarantee in one English sentence. quantity: name of the scalar, as "accuracy"."""
        least = f"at least {down(self.lower, 6)}"
        most = f"at most {up(self.upper, 6)}"
        bound = {"lower": least, "upper": most, "both": f"{least} and {most}"}[self.side]
        where = (
            f"under every {self.noise.moved()} {self.noise.measured} of at most "
            f"{self.noise.size(self.radius)}"
            if self.radius > 0
            else "at the input itself (radius 0)"
        )
        text = (
            f"With confidence {confidence(self.alpha)} over the sampling noise "
            f"(alpha = {exact(self.alpha)}), the median of {quantity} of a single pass of the base "
            f"model under {self.noise.describe()} is {bound} {where} (theory T10, rank {self.rank} "
            f"of {self.trials} draws, the radius fixed before sampling); it speaks of the noisy "
            "single-pass predictor, not of the mask that is voted from many passes; whoever made "
            "the draws answers for their independence and their noise (T1, T12)."
        )
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    def record(self) -> dict[str, Any]:
        """Serialize to plain JSON values."""
        return {**asdict(self), "noise": noise_record(self.noise)}

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> PercentileBound:
        """Inverse of record. Raises InputError for missing or unknown fields."""
        names = {field.name for field in fields(PercentileBound)}
        if set(record) != names or record["side"] not in SIDES:
            raise InputError(
                f"expected a percentile bound with {sorted(names)}, got {sorted(record)}; "
                "the file is damaged or of another version"
            )
        return PercentileBound(**{**record, "noise": noise_from_record(record["noise"])})


def percentile(
    values: ArrayLike,
    *,
    noise: Noise,
    radius: float,
    alpha: float = 1e-3,
    side: Side = "lower",
    bounds: tuple[float, float] = (0.0, 1.0),
    eta: float = 0.0,
) -> PercentileBound:
    """Bound the median of a scalar of one noisy pass under every perturbation within radius.

    Guarantee: with probability >= 1 - alpha over the draws, for every d with norm <= radius at
    once, P(m(f(x + d + Z)) >= lower) >= 1/2 (side "lower" or "both") and P(m(f(x + d + Z)) <=
    upper) >= 1/2 (side "upper" or "both"); "both" uses alpha / 2 for each. m is any scalar function
    of the base model's output (``metrics.scalars``), so there is no multiplicity over pixels.

    Args:
        values: floats (n,), m of n independent draws at x.
        noise: noise of the draws.
        radius: largest norm of the perturbations, fixed before sampling; every further scalar or
            radius needs an alpha of its own.
        alpha: error probability in (0, 1), fixed before sampling.
        side: "lower", "upper" or "both", fixed before sampling.
        bounds: range of m, reported for a side without a bound.
        eta: ``noise.eta(input shape)`` for draws of ``Smoothed`` (theory T12); 0 if the caller
            answers for the draws.

    Returns:
        The bounds, with their statement.

    Raises:
        InputError: for bad parameters, and for too few draws, with the number that suffices.

    Example:
        >>> import certiseg as cs
        >>> values = [0.8 + 0.001 * draw for draw in range(100)]
        >>> round(cs.percentile(values, noise=cs.Gaussian(0.25), radius=0.1).lower, 3)
        0.819

    Reference:
        Chiang et al. 2020 (median smoothing); theory T10.
    """
    alpha, radius = checked_alpha(alpha), _checked_radius(radius)
    if side not in SIDES:
        raise InputError(f"expected side {', '.join(SIDES)}, got {side!r}; choose one")
    drawn = np.sort(_checked_values(values, bounds))
    level = alpha / 2 if side == "both" else alpha
    rank = _rank(len(drawn), noise.needed(radius) + eta, level, radius)
    return PercentileBound(
        lower=float(drawn[rank - 1]) if side != "upper" else float(bounds[0]),
        upper=float(drawn[-rank]) if side != "lower" else float(bounds[1]),
        median=float(np.median(drawn)),
        radius=radius,
        alpha=alpha,
        side=side,
        rank=rank,
        trials=len(drawn),
        noise=noise,
    )


def _rank(trials: int, probability: float, level: float, radius: float) -> int:
    """Largest j with ``P(Bin(n, q) <= j - 1) <= level``, q = 1 - probability.

    Computed as P(Bin(n, probability) >= n - j + 1), which ``upper_tail`` rounds up.
    """
    passed = upper_tail(np.arange(trials + 1), trials, probability) <= level
    if not passed[-1]:
        needed = _needed(probability, level)
        if needed > MOST_TRIALS:
            raise InputError(
                f"expected a radius that {MOST_TRIALS} draws could reach, got {radius:g}; "
                "choose a smaller one"
            )
        raise InputError(
            f"expected at least {needed} draws for a bound at radius {radius:g}, level {level:g}, "
            f"got {trials}; draw more, or choose a smaller radius"
        )
    return trials - int(np.argmax(passed)) + 1


def _needed(probability: float, level: float) -> float:
    """Smallest n with ``probability ** n <= level``, so that a rank exists; infinite beyond
    MOST_TRIALS."""
    if probability >= 1.0:
        return math.inf
    estimate = math.log(level) / math.log(probability)
    if estimate > MOST_TRIALS:
        return math.inf
    trials = max(1, math.floor(estimate * (1.0 - 1e-12)) - 1)
    while not upper_tail(trials, trials, probability) <= level:
        trials += 1
    return trials


def _checked_radius(radius: float) -> float:
    value = math.nan if isinstance(radius, (str, bool)) else float(radius)
    if not 0.0 <= value < math.inf:
        raise InputError(f"expected a radius >= 0, got {radius!r}; pass an l2 norm, or an angle")
    return value


def _checked_values(values: ArrayLike, bounds: tuple[float, float]) -> NDArray[np.float64]:
    drawn = np.asarray(values, dtype=np.float64)
    if drawn.ndim != 1 or drawn.size == 0:
        raise InputError(f"expected one value a draw (n,), got shape {drawn.shape}; join the draws")
    low, high = float(drawn.min()), float(drawn.max())
    # "not <=": refuses NaN too.
    if not (bounds[0] <= low and high <= bounds[1]):
        raise InputError(
            f"expected values in [{bounds[0]:g}, {bounds[1]:g}], got "
            f"[{against(low, *bounds)}, {against(high, *bounds)}]; "
            "give their natural range as bounds"
        )
    return drawn
