"""The single-stage p-value (theory T3) by exact enumeration, and n_min (T7)."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product

import pytest

from certiseg.errors import InputError
from certiseg.stats.pvalues import dominant_tail, min_trials, pooled_pvalues
from exact import multinomial

GRID = 20
SIMPLEX = [
    (Fraction(a, GRID), Fraction(b, GRID), Fraction(GRID - a - b, GRID))
    for a, b in product(range(GRID + 1), repeat=2)
    if b <= a and 0 <= GRID - a - b <= b
]


def _excess(trials: int, tau: float, table) -> Fraction:
    """Largest P(some label with p <= tau is certified at count >= k) - pvalue[k], over p and k."""
    worst = Fraction(-1)
    for p in SIMPLEX:
        errors = [Fraction(0)] * (trials + 1)
        for counts, weight in multinomial(trials, list(p)):
            mode = max(range(3), key=lambda c: counts[c])
            if p[mode] <= Fraction(tau):
                for k in range(counts[mode] + 1):
                    errors[k] += weight
        for k in range(1, trials + 1):
            worst = max(worst, errors[k] - Fraction(float(table[k])))
    return worst


@pytest.mark.parametrize("tau", [0.5, 0.6, 0.75, 0.9])
@pytest.mark.parametrize("trials", [1, 2, 5, 8])
def test_pooled_pvalue_is_valid(trials, tau):
    assert _excess(trials, tau, pooled_pvalues(trials, tau)) <= 0


def test_one_tail_alone_is_caught():
    """Negative control: h(k, n, tau) with the mode as candidate is no p-value at tau = 1/2."""
    assert _excess(5, 0.5, dominant_tail(5, 0.5)) > Fraction(1, 100)


def test_pvalue_does_not_grow_with_hits():
    for trials, tau in ((1, 0.5), (7, 0.75), (100, 0.75), (1000, 0.99)):
        table = pooled_pvalues(trials, tau)
        assert all(a >= b for a, b in pairwise(table))


def test_n_min_of_a_large_image():
    """Theory T7: N = 2 097 152, tau = .75, alpha = 1e-3 needs 75 draws."""
    assert min_trials(2_097_152, 0.75, 1e-3) == 75


@pytest.mark.parametrize("selection", ["pooled", "split"])
@pytest.mark.parametrize("tau", [0.5, 0.75, 0.95])
@pytest.mark.parametrize("components", [1, 10, 172_800])
def test_n_min_is_the_first_that_passes(components, tau, selection):
    table = pooled_pvalues if selection == "pooled" else dominant_tail
    n = min_trials(components, tau, 1e-3, selection=selection)
    assert components * table(n, tau)[-1] <= 1e-3
    assert n == 1 or components * table(n - 1, tau)[-1] > 1e-3


def test_n_min_of_extreme_levels():
    """tau close to 1 asks for many draws, at once and without large tables."""
    assert min_trials(2_000_000, 0.999999, 1e-3) == pytest.approx(21.4e6, rel=0.01)
    with pytest.raises(InputError, match="alpha / components"):
        min_trials(10, 0.75, 1e-300)
    with pytest.raises(InputError, match=r"1e\+10 draws"):
        min_trials(10, 1 - 1e-12, 1e-3)
