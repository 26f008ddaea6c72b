"""When a sequential test looks at its votes, and what share of alpha each look may spend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import Literal

import numpy as np

from certiseg.errors import InputError
from certiseg.stats.eprocess import min_trials_anytime
from certiseg.stats.pvalues import min_trials

ANYTIME = "e-process"
SPENDINGS = ("late", "equal", ANYTIME)
MOST_LOOKS = 100
Spending = Literal["late", "equal", "e-process"] | tuple[float, ...]
"""Name of a rule, or a table of shares of alpha, one a look."""


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
) -> tuple[tuple[int, float], ...]:
    """The looks ``((n_1, alpha_1), ..., (n_L, alpha_L))`` of theory T7, fixed before sampling.

    n_1 is the smallest n at which a unanimous component passes at its own share, n_L is
    num_samples, the others lie on a geometric grid between them. The alphas add up to at most
    alpha, however they are summed. components: N. budget: k of theory T5.
    spending: "equal", the same share for each look; "late", half of alpha for the last look and
    the rest in equal parts; a tuple of shares that sum to at most 1, one a look (``looks`` is then
    not used); "e-process", which spends nothing: its threshold holds at any time (Ville), so each
    look has the whole alpha. num_classes: needed by the e-process alone; None: any number.
    Where num_samples does not reach for that many looks, a named rule takes fewer; one look is the
    plain test. Raises InputError for bad parameters and, naming the number that would do, for too
    few samples.
    """
    check_spending(looks, spending)

    @cache
    def first_useful(level: float) -> int:
        """n_min at this level."""
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
        f"expected at least {earliest[-1]} draws for {components} components at tau = {tau:g}, "
        f"alpha = {alpha:g}, got {num_samples}; with fewer {lost}, "
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
    """The levels of each plan that may be taken, most looks first."""
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
    """Shares of alpha, rounded down so far that no order of floating-point sums exceeds alpha."""
    # Each of the L - 1 additions may round up by a factor of 1 + 2^-53.
    slack = 1 - Fraction(len(shares) - 1, 2**53)
    scale = Fraction(alpha) * slack / max(Fraction(1), sum(shares, Fraction(0)))
    return tuple(_down(scale * share) for share in shares)


def _down(exact: Fraction) -> float:
    value = float(exact)
    return value if Fraction(value) <= exact else math.nextafter(value, 0.0)


def _earliest(levels: tuple[float, ...], first_useful: Callable[[float], int]) -> list[int]:
    """For each look the smallest n at which it can certify and that no earlier look has."""
    earliest: list[int] = []
    for level in levels:
        earliest.append(max(first_useful(level), earliest[-1] + 1 if earliest else 1))
    return earliest


def _grid(earliest: list[int], last: int) -> list[int]:
    """Geometric from the first useful n to the last, distinct, and no look before its time."""
    first, steps = earliest[0], max(len(earliest) - 1, 1)
    grid: list[int] = []
    for look, needed in enumerate(earliest):
        wanted = round(first * (last / first) ** (look / steps))
        least = max(wanted, needed, grid[-1] + 1 if grid else needed)
        # Leave room for the looks that follow; it is never below what this one needs.
        grid.append(min(least, last - (len(earliest) - 1 - look)))
    grid[-1] = last
    return grid
