"""Tails and bounds against exact rationals: never on the wrong side, and tight."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.special import betainc, betaincinv

from certiseg.errors import InputError
from certiseg.stats.binomial import lower_bound, upper_tail
from exact import binomial, tail, tails

PROBABILITIES = (0.5, 0.6, 0.75, 0.85, 0.95, 0.99, 0.25, 0.05, 0.01, 0.001, 1 / 3)
SIZES = (1, 2, 5, 20, 100, 200)


def _sides(function, n: int, p: float) -> tuple[bool, bool]:
    """(never below the exact tail, at most 1e-11 or 1e-240 above it), over all counts."""
    above, tight = True, True
    exact, den = tails(n, p)
    values = np.asarray(function(np.arange(1, n + 1), n, p))
    for numerator, value in zip(exact[1:], values.tolist(), strict=True):
        top, bottom = value.as_integer_ratio()
        above &= top * den >= numerator * bottom
        room = numerator * bottom * 10**240 * (10**11 + 1) + bottom * den * 10**11
        tight &= top * den * 10**251 <= room
    return above, tight


@pytest.mark.parametrize("n", SIZES)
def test_upper_tail_is_rounded_up_and_tight(n):
    for p in PROBABILITIES:
        assert _sides(upper_tail, n, p) == (True, True), (n, p)


def test_unrounded_tail_is_caught():
    """Negative control: SciPy's own value is below the exact tail somewhere."""

    def scipy_tail(k, n, p):
        return betainc(k, n - k + 1, p)

    assert not all(_sides(scipy_tail, 50, p)[0] for p in PROBABILITIES)


@pytest.mark.parametrize(
    ("n", "k", "p"), [(10_000, 7_700, 0.75), (10_000, 8_700, 0.75), (20_000, 10_300, 0.5)]
)
def test_upper_tail_of_many_draws(n, k, p):
    """Halves and quarters keep the exact integers short."""
    num, den = p.as_integer_ratio()
    weight, exact = comb(n, k) * num**k * (den - num) ** (n - k), 0
    # The terms fall by more than a fifth each: what is left out is far below one ulp.
    for j in range(k, min(n, k + 900) + 1):
        exact += weight
        weight = weight * (n - j) * num // ((j + 1) * (den - num))
    top, bottom = float(upper_tail(k, n, p)).as_integer_ratio()
    assert top * den**n >= exact * bottom
    assert top * den**n * 10**10 <= exact * bottom * (10**10 + 1)


def test_upper_tail_at_the_ends():
    assert upper_tail(0, 10, 0.0) == 1.0
    assert upper_tail(1, 10, 0.0) == 0.0
    assert upper_tail(10, 10, 1.0) == 1.0


def test_tails_that_scipy_underflows():
    """P(Bin(200, 0.01) >= 162) is 8e-284; SciPy's incomplete beta gives 0 (negative control)."""
    assert betainc(162, 39, 0.01) == 0.0
    for k in range(155, 201):
        exact, value = tail(k, 200, 0.01), Fraction(float(upper_tail(k, 200, 0.01)))
        assert value >= exact
        assert value <= max(exact * 100, Fraction(1, 10**299))
    assert upper_tail(400, 400, 0.05) > 0.0


@pytest.mark.parametrize("p", [0.01, 0.001, 0.99])
@pytest.mark.slow
def test_extreme_shares_of_many_draws(p):
    assert _sides(upper_tail, 1000, p) == (True, True)


@pytest.mark.parametrize("alpha", [0.05, 1e-3, 1e-9])
@pytest.mark.parametrize("n", SIZES)
def test_lower_bound_is_rounded_down_and_tight(n, alpha):
    counts = np.arange(0, n + 1, max(1, n // 25))
    for k, bound in zip(counts.tolist(), lower_bound(counts, n, alpha).tolist(), strict=True):
        if k == 0:
            assert bound == 0.0
            continue
        # The exact limit solves tail(k, n, p) = alpha: so exact - 1e-12 <= bound <= exact.
        assert tail(k, n, Fraction(bound)) <= Fraction(alpha)
        assert tail(k, n, Fraction(bound) + Fraction(1, 10**12)) >= Fraction(alpha)


def test_unrounded_bound_is_caught():
    """Negative control: SciPy's limit lies above the exact one somewhere."""
    wrong = [
        k
        for k in range(1, 101)
        if tail(k, 100, Fraction(float(betaincinv(k, 101 - k, 1e-3)))) > Fraction(1e-3)
    ]
    assert wrong


def test_coverage_is_exact():
    """P(bound > p) <= alpha for every p, summed exactly over all outcomes (theory T6)."""
    n, alpha = 25, 0.05
    bounds = [Fraction(float(b)) for b in lower_bound(np.arange(n + 1), n, alpha)]
    for p in (Fraction(i, 40) for i in range(41)):
        error = sum(w for w, b in zip(binomial(n, p), bounds, strict=True) if b > p)
        assert error <= Fraction(alpha)


def test_lower_bound_grows_with_hits():
    bounds = lower_bound(np.arange(1001), 1000, 1e-6)
    assert np.all(np.diff(bounds) > 0)


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: upper_tail(5, 4, 0.5), "0 <= hits <= trials"),
        (lambda: upper_tail(-1, 4, 0.5), "0 <= hits <= trials"),
        (lambda: upper_tail(0.5, 4, 0.5), "integer hits"),
        (lambda: upper_tail(1, 4, 1.5), r"probability in \[0, 1\]"),
        (lambda: lower_bound(1, 4, 0.0), r"alpha in \(0, 1\)"),
        (lambda: lower_bound(1, 4, float("nan")), r"alpha in \(0, 1\)"),
    ],
)
def test_bad_arguments(call, part):
    with pytest.raises(InputError, match=part):
        call()
