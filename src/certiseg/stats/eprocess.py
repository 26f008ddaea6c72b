"""E-process against "the label has probability <= tau", valid at any stopping time.

For x hits in n draws, E_n(x) is the likelihood ratio of q against tau, averaged over q uniform on
[tau, 1]. If the label has probability <= tau, E_n reaches y at any n with probability <= 1 / y.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError
from certiseg.stats.pvalues import min_trials

# Larger e-values are capped here, so that their reciprocal stays a normal number.
_LARGEST = 1e290
# A step rounds five times, each by at most 1.2e-16, and adds positive terms only.
_RELATIVE_ERROR_PER_STEP = 1e-15


def evalues(trials: int, tau: float) -> NDArray[np.float64]:
    """Table over x = 0..n of ``E_n(x)``, rounded down (never above the exact value).

    Guarantee: if each draw is a hit with probability <= tau, P(E_n >= y for some n) <= 1 / y.

        E_n(x) = P(Bin(n + 1, tau) <= x) / ((n + 1) (1 - tau) P(Bin(n, tau) = x))

    is computed as ``E_n(x) = (1 + E_n(x - 1) x (1 - tau) / tau) / (n + 1 - x)``, E_n(0) =
    1 / (n + 1): the binomial tail divided by its last term, without cancellation or underflow.
    It grows with x, and is capped at 1e290.
    Source: Ville 1939; Robbins 1970 (mixture of likelihood ratios); theory T7.
    """
    odds = (1.0 - tau) / tau
    table, value = np.empty(trials + 1), 0.0
    for hits in range(trials + 1):
        value = min((1.0 + value * hits * odds) / (trials + 1 - hits), _LARGEST)
        table[hits] = value
    # Ten extra steps cover the roundings of the test itself (theory T4).
    return table * (1.0 - _RELATIVE_ERROR_PER_STEP * (np.arange(trials + 1) + 10.0))


def races(tau: float, num_classes: int | None = None) -> int:
    """Number of groups M for the union bound over labels: some label with probability <= tau
    reaches an e-value y with probability <= M / y (theory T7).

    Labels of probability <= tau each can be packed into M groups of probability <= tau, and a group
    is hit at least as often as each of its labels. num_classes: None for any number.
    """
    two = Fraction(tau) >= Fraction(2, 3) or (num_classes is not None and num_classes <= 2)
    return 2 if two else 3


def anytime_tables(
    trials: int, tau: float, num_classes: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tables over the count, ``(M - 1) / E`` and ``1 / E``, for the step-down rule of theory T7.

    They replace ``dominant_tail`` and ``wrong_label_tail``: with m of N hypotheses already
    rejected, ``(N - m) (M - 1) / E + N / E = ((N - m) M + m) / E``.
    """
    stray = 1.0 / evalues(trials, tau)
    return (races(tau, num_classes) - 1) * stray, stray


def min_trials_anytime(
    components: int, tau: float, alpha: float, *, num_classes: int | None = None, budget: int = 1
) -> int:
    """Smallest n at which a unanimous component passes: ``N M / E_n(n) <= k alpha`` (theory T7).

    k is the budget. Raises InputError as ``min_trials`` does, which is smaller.
    """
    groups = races(tau, num_classes)
    if components * groups > 0.5 * _LARGEST * alpha:
        raise InputError(
            f"expected alpha / components of at least {2 * groups / _LARGEST:g}, got alpha = "
            f"{alpha:g} for {components} components; e-values that large are not resolved, "
            "raise alpha"
        )

    wanted = components * groups / (budget * alpha)

    def excess(trials: int) -> float:
        """Closed form of log(E_n(n) / wanted)."""
        log_tail = math.log(-math.expm1((trials + 1) * math.log(tau)))
        per_draw = trials * math.log(tau) + math.log((trials + 1) * (1.0 - tau))
        return log_tail - per_draw - math.log(wanted)

    def unsure(trials: int) -> float:
        """Bound on the rounding errors of the logarithms and of the table."""
        return 1e-12 + 4.0 * _RELATIVE_ERROR_PER_STEP * (trials + 10)

    # E_n(n) grows with n.
    below, trials = 0, min_trials(components, tau, alpha, budget=budget)
    while excess(trials) < unsure(trials):
        below, trials = trials, 2 * trials
    while trials - below > 1:
        middle = (below + trials) // 2
        passes = excess(middle) >= unsure(middle)
        below, trials = (below, middle) if passes else (middle, trials)
    # Within that bound the table decides.
    if trials > 1 and excess(trials - 1) > -unsure(trials - 1):
        return trials - int(wanted <= float(evalues(trials - 1, tau)[-1]))
    return trials
