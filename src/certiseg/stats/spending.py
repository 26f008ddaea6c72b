"""Group-sequential designs: the number of draws and the share of alpha at each interim look."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import Literal

import numpy as np

from certiseg.errors import InputError
from certiseg.stats.eprocess import min_trials_anytime
from certiseg.stats.pvalues import MOST_TRIALS, min_trials

ANYTIME = "e-process"
SPENDINGS = ("late", "equal", ANYTIME)
MOST_LOOKS = 100
Spending = Literal["late", "equal", "e-process"] | tuple[float, ...]
"""Name of a spending rule, or the share of alpha for each look."""


def plan_looks(
    components: int,
    num_samples: int,
    *,
    tau: float,
    alpha: float,
    budget: int = 1,
    looks: int = 5,
    spending: Spending = "late",
    num_classes: int | None = None,
    tested: str | None = None,
) -> tuple[tuple[int, float], ...]:
    """Plan the looks ``((n_1, alpha_1), ..., (n_L, alpha_L))`` before sampling (theory T7).

    n_1 is the smallest n at which a component with n of n votes passes at level alpha_1, n_L is
    num_samples, and the others lie on a geometric grid between them. The alphas sum to at most
    alpha in any order of summation. With too few samples for all looks, a named rule takes fewer;
    one look is the test of a fixed sample.

    components: N. budget: k of theory T5. num_classes: used by the e-process alone; None: any
    number. spending: "equal", the same share for each look; "late", half of alpha for the last look
    and the rest in equal parts; a tuple with the share of each look, of sum at most 1 (``looks`` is
    then ignored); "e-process", which is valid at any time (Ville), so that each look has the whole
    alpha. tested: what is tested, in errors; default: the components.

    Raises InputError for bad parameters, and for too few samples with the number that suffices.
    """
    check_spending(looks, spending)
    whole = isinstance(num_samples, (int, np.integer)) and not isinstance(num_samples, bool)
    if not whole or not 1 <= num_samples <= MOST_TRIALS:
        raise InputError(
            f"expected num_samples in [1, {MOST_TRIALS}], got {num_samples!r}; "
            "it is the largest number of draws that may be made"
        )
    num_samples = int(num_samples)

    @cache
    def first_useful(level: float) -> int:
        """Smallest n at which a component with n of n votes passes at this level."""
        if spending == ANYTIME:
            return min_trials_anytime(
                components, tau, level, num_classes=num_classes, budget=budget
            )
        return min_trials(components, tau, level, budget=budget)

    for levels in _plans(alpha, looks, spending):
        earliest = _earliest(levels, first_useful)
        if earliest[-1] <= num_samples:
            return tuple(zip(_grid(earliest, num_samples), levels, strict=True))
    one = len(levels) == 1
    lost = "nothing can be certified" if one else f"not each of {len(levels)} looks can certify"
    raise InputError(
        f"expected at least {earliest[-1]} draws for {tested or f'{components} components'} at "
        f"tau = {tau:g}, alpha = {alpha:g}, got {num_samples}; with fewer {lost}, "
        f"set num_samples (-n) to {earliest[-1]} or more"
    )


def check_spending(looks: int, spending: Spending) -> None:
    """Raise InputError unless looks is a number of looks and spending a rule or a table."""
    whole = isinstance(looks, (int, np.integer)) and not isinstance(looks, bool)
    if not whole or not 1 <= looks <= MOST_LOOKS:
        raise InputError(f"expected 1 to {MOST_LOOKS} looks, got {looks!r}; the usual number is 5")
    if isinstance(spending, tuple):
        shares = [value for value in spending if isinstance(value, (int, float, np.floating))]
        valid = len(shares) == len(spending) and all(0.0 < share <= 1.0 for share in shares)
        # Shares written as decimals may exceed 1 in the last digit; _levels scales that away.
        if not valid or not 1 <= len(shares) <= MOST_LOOKS or math.fsum(shares) > 1.0 + 1e-12:
            raise InputError(
                f"expected 1 to {MOST_LOOKS} shares of alpha in (0, 1] that sum to at most 1, got "
                f"{spending!r}; such as (0.1, 0.4, 0.5)"
            )
    elif spending not in SPENDINGS:
        raise InputError(
            f"expected spending {', '.join(SPENDINGS)} or a tuple of shares, got {spending!r}; "
            "choose one"
        )


def _plans(alpha: float, looks: int, spending: Spending) -> Iterator[tuple[float, ...]]:
    """Levels of each plan to try, most looks first."""
    if isinstance(spending, tuple):
        yield _levels(alpha, [Fraction(float(share)) for share in spending])
        return
    for number in range(looks, 0, -1):
        if spending == ANYTIME:
            yield (alpha,) * number
        elif spending == "equal" or number == 1:
            yield _levels(alpha, [Fraction(1, number)] * number)
        else:
            early = [Fraction(1, 2 * (number - 1))] * (number - 1)
            yield _levels(alpha, [*early, Fraction(1, 2)])


def _levels(alpha: float, shares: list[Fraction]) -> tuple[float, ...]:
    """Shares of alpha, rounded down so that no order of floating-point summation exceeds alpha."""
    # Each of the L - 1 additions may round up by a factor of 1 + 2^-53.
    slack = 1 - Fraction(len(shares) - 1, 2**53)
    scale = Fraction(alpha) * slack / max(Fraction(1), sum(shares, Fraction(0)))
    return tuple(_down(scale * share) for share in shares)


def _down(exact: Fraction) -> float:
    value = float(exact)
    return value if Fraction(value) <= exact else math.nextafter(value, 0.0)


def _earliest(levels: tuple[float, ...], first_useful: Callable[[float], int]) -> list[int]:
    """For each look the smallest n at which it can certify and that follows the earlier looks."""
    earliest: list[int] = []
    for level in levels:
        earliest.append(max(first_useful(level), earliest[-1] + 1 if earliest else 1))
    return earliest


def _grid(earliest: list[int], last: int) -> list[int]:
    """Distinct, geometrically spaced n from the first useful one to ``last``, none too early."""
    first, steps = earliest[0], max(len(earliest) - 1, 1)
    grid: list[int] = []
    for look, needed in enumerate(earliest):
        wanted = round(first * (last / first) ** (look / steps))
        least = max(wanted, needed, grid[-1] + 1 if grid else needed)
        # Leaves one n for each later look; never below ``needed``, as earliest[-1] <= last.
        grid.append(min(least, last - (len(earliest) - 1 - look)))
    grid[-1] = last
    return grid
