"""p-values against "no label has probability > tau", as tables over the vote count.

All components of an input share the number of draws n, so that the p-value depends on the count
alone: one table of n + 1 entries serves every component.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError
from certiseg.stats.binomial import upper_tail

MOST_TRIALS = 10_000_000
"""Upper limit on the number of draws, since tables have one entry for each count."""

# Beyond this the outward margin of the tails makes the search of min_trials long.
_LARGEST_N_MIN = 10**10
# Tails below 1e-250 are bounds rather than values (stats/binomial.py).
_SMALLEST_LEVEL = 1e-240


def checked_tau(tau: float) -> float:
    """tau as a Python float (never float32). Raises InputError outside [1/2, 1)."""
    value = _as_float(tau)
    if not 0.5 <= value < 1.0:
        raise InputError(f"expected tau in [1/2, 1), got {tau!r}; the usual choice is 0.75")
    return value


def checked_alpha(alpha: float) -> float:
    """alpha as a Python float. Raises InputError outside (0, 1)."""
    value = _as_float(alpha)
    if not 0.0 < value < 1.0:
        raise InputError(
            f"expected alpha in (0, 1), got {alpha!r}; "
            "alpha is the error probability, such as 0.001"
        )
    return value


def _as_float(value: float) -> float:
    try:
        return math.nan if isinstance(value, (str, bool)) else float(value)
    except (TypeError, ValueError):
        return math.nan


def dominant_tail(trials: int, tau: float) -> NDArray[np.float64]:
    """Table over k = 0..n of ``h(k, n, tau)``: the p-value of theory T2 (split selection)."""
    return upper_tail(np.arange(trials + 1), trials, tau)


def wrong_label_tail(trials: int, tau: float) -> NDArray[np.float64]:
    """Table over k = 0..n of ``h(k, n, 1 - tau)``, and 1 where T3 does not apply.

    Bounds the probability that a label *other* than the dominant one, or all of them together,
    get k votes. T3 needs ``k >= tau (n - 1) + 1``, which is compared in exact rationals.
    """
    first = math.ceil(Fraction(tau) * (trials - 1) + 1)
    # 1 - tau is exact in floating point for tau in [1/2, 1] (Sterbenz).
    tail = upper_tail(np.arange(trials + 1), trials, 1.0 - tau)
    tail[: min(first, trials + 1)] = 1.0
    return tail


def pooled_pvalues(trials: int, tau: float) -> NDArray[np.float64]:
    """Table over k = 0..n of the single-stage p-value of theory T3.

    ``h(k, n, tau) + h(k, n, 1 - tau)`` where ``k >= tau (n - 1) + 1``, else 1.
    """
    return np.minimum(dominant_tail(trials, tau) + wrong_label_tail(trials, tau), 1.0)


def min_trials(
    components: int, tau: float, alpha: float, *, selection: str = "pooled", budget: int = 1
) -> int:
    """Smallest number of draws at which a component with n of n votes is certified (theory T7).

    ``tau^n + (1 - tau)^n <= k alpha / N`` for pooled selection, ``tau^n <= k alpha / N`` for split
    selection; k is the budget. The same holds for Bonferroni and Holm, whose first steps agree.
    """
    if alpha / components < _SMALLEST_LEVEL:
        raise InputError(
            f"expected alpha / components of at least {_SMALLEST_LEVEL:g}, got alpha = {alpha:g} "
            f"for {components} components; tails that small are not resolved, raise alpha"
        )

    def passes(trials: int) -> bool:
        unanimous = float(upper_tail(trials, trials, tau))
        if selection == "pooled":
            unanimous += float(upper_tail(trials, trials, 1.0 - tau))
        return components * unanimous <= budget * alpha

    estimate = math.log(budget * alpha / components) / math.log(tau)
    if estimate > _LARGEST_N_MIN:
        raise InputError(
            f"expected a tau that {_LARGEST_N_MIN:.0e} draws could reach, got {tau!r} for "
            f"{components} components at alpha = {alpha:g}; choose a smaller one"
        )
    trials = max(1, math.floor(estimate * (1.0 - 1e-12)) - 1)
    while not passes(trials):
        trials += 1
    return trials
