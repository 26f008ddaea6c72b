"""The e-process of "some label has probability > tau": evidence that may be looked at any time.

For x hits in n draws, E_n(x) is the likelihood ratio of q against tau, averaged over q uniform on
[tau, 1]. A label of probability <= tau drives E to y or more, at any n, with probability <= 1 / y.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError
from certiseg.stats.pvalues import min_trials

# Larger values are reported as this, which is below them; 1 / value stays a normal number.
_LARGEST = 1e290
# A step rounds five times, each by at most 1.2e-16, and adds positive terms only.
_RELATIVE_ERROR_PER_STEP = 1e-15


def evalues(trials: int, tau: float) -> NDArray[np.float64]:
    """Table over x = 0..n of ``E_n(x)``, rounded down (never above the exact value).

    Guarantee: if each draw is a hit with probability <= tau, P(E_n >= y for some n) <= 1 / y.

        E_n(x) = P(Bin(n + 1, tau) <= x) / ((n + 1) (1 - tau) P(Bin(n, tau) = x))

    is computed as ``E_n(x) = (1 + E_n(x - 1) x (1 - tau) / tau) / (n + 1 - x)``, E_n(0) =
    1 / (n + 1), which divides the sum of the binomial tail by its last term: nothing cancels and
    nothing underflows. It grows with x, and is cut off at 1e290.
    Source: Ville 1939; Robbins 1970 (mixture of likelihood ratios); theory T7.
    """
    odds = (1.0 - tau) / tau
    table, value = np.empty(trials + 1), 0.0
    for hits in range(trials + 1):
        value = min((1.0 + value * hits * odds) / (trials + 1 - hits), _LARGEST)
        table[hits] = value
    # Ten steps more than were made, for the few roundings of the test itself (theory T4).
    return table * (1.0 - _RELATIVE_ERROR_PER_STEP * (np.arange(trials + 1) + 10.0))


def races(tau: float, num_classes: int | None = None) -> int:
    """M: any label with probability <= tau crosses y with probability <= M / y (theory T7).

    Labels that each have probability <= tau can be packed into M groups that still have, and a
    group is hit at least as often as its labels. None: any number of classes.
    """
    two = Fraction(tau) >= Fraction(2, 3) or (num_classes is not None and num_classes <= 2)
    return 2 if two else 3


def anytime_tables(
    trials: int, tau: float, num_classes: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tables by count, ``(M - 1) / E`` and ``1 / E``, for the step-down rule of theory T7.

    They take the places of ``dominant_tail`` and ``wrong_label_tail``: with m of N components no
    longer in doubt, ``(N - m) (M - 1) / E + N / E = ((N - m) M + m) / E``.
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
        """log of E_n(n) over what is wanted, by the closed form."""
        log_tail = math.log(-math.expm1((trials + 1) * math.log(tau)))
        per_draw = trials * math.log(tau) + math.log((trials + 1) * (1.0 - tau))
        return log_tail - per_draw - math.log(wanted)

    def unsure(trials: int) -> float:
        """More than the logarithms and the rounding of the table can make up."""
        return 1e-12 + 4.0 * _RELATIVE_ERROR_PER_STEP * (trials + 10)

    # E_n(n) grows with n.
    below, trials = 0, min_trials(components, tau, alpha, budget=budget)
    while excess(trials) < unsure(trials):
        below, trials = trials, 2 * trials
    while trials - below > 1:
        middle = (below + trials) // 2
        passes = excess(middle) >= unsure(middle)
        below, trials = (below, middle) if passes else (middle, trials)
    # Where the closed form cannot tell, the table decides.
    if trials > 1 and excess(trials - 1) > -unsure(trials - 1):
        return trials - int(wanted <= float(evalues(trials - 1, tau)[-1]))
    return trials
