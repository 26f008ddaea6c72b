"""The e-process (theory T7): exact values, and how often it crosses a line at any time."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest

from certiseg.errors import InputError
from certiseg.stats.eprocess import anytime_tables, evalues, min_trials_anytime, races
from certiseg.stats.pvalues import dominant_tail, min_trials

HALF = Fraction(1, 2)


def _mixture(hits: int, trials: int, tau: Fraction) -> Fraction:
    """The mean of (q / tau)^x ((1 - q) / (1 - tau))^(n - x) over q uniform on [tau, 1], exactly.

    The polynomial is expanded and integrated term by term: another route than the table's.
    """
    misses = trials - hits
    integral = sum(
        (
            Fraction((-1) ** j * math.comb(misses, j), hits + j + 1) * (1 - tau ** (hits + j + 1))
            for j in range(misses + 1)
        ),
        Fraction(0),
    )
    return integral / (1 - tau) / (tau**hits * (1 - tau) ** misses)


@pytest.mark.parametrize("tau", [0.5, 0.6, 0.75, 0.99])
@pytest.mark.parametrize("trials", [1, 2, 7, 30, 100])
def test_evalues_are_rounded_down_and_tight(trials, tau):
    for hits, value in enumerate(evalues(trials, tau)):
        exact = _mixture(hits, trials, Fraction(tau))
        assert exact * (1 - Fraction(1, 10**12)) <= Fraction(float(value)) <= exact


def test_unrounded_evalues_are_caught():
    """Negative control: the same recursion without the margin lies above the exact value."""
    above, value, odds = 0, 0.0, (1.0 - 0.6) / 0.6
    for hits in range(101):
        value = (1.0 + value * hits * odds) / (101 - hits)
        above += Fraction(value) > _mixture(hits, 100, Fraction(0.6))
    assert above > 10


@pytest.mark.parametrize(("trials", "tau"), [(5, 0.5), (60, 0.75), (20, 0.99)])
def test_the_mean_does_not_grow(trials, tau):
    """E(n + 1) given n is E(n) at p = tau: a martingale, so a supermartingale below."""
    level = Fraction(tau)
    for hits in range(trials + 1):
        hit, miss = (_mixture(hits + j, trials + 1, level) for j in (1, 0))
        assert level * hit + (1 - level) * miss == _mixture(hits, trials, level)
        assert hit >= miss


def test_table_grows_with_hits_and_does_not_overflow():
    for trials, tau in ((1, 0.5), (100, 0.75), (5000, 0.5)):
        table = evalues(trials, tau)
        assert all(a <= b for a, b in pairwise(table[table < 9e289]))
        assert table.max() < 1e290
        assert table.min() > 0


def _crossing(labels: list[Fraction], tau: float, line: float, draws: int, tables) -> Fraction:
    """P(at some n <= draws a label of probability <= tau has tables(n)[hits] >= line), exactly."""
    alive, crossed = {(0,) * len(labels): Fraction(1)}, Fraction(0)
    for trials in range(1, draws + 1):
        table, following = tables(trials), {}
        for counts, weight in alive.items():
            for label, p in enumerate(labels):
                after = (*counts[:label], counts[label] + 1, *counts[label + 1 :])
                following[after] = following.get(after, Fraction(0)) + weight * p
        alive = {}
        for counts, weight in following.items():
            pairs = zip(counts, labels, strict=True)
            if any(table[k] >= line and p <= Fraction(tau) for k, p in pairs):
                crossed += weight
            else:
                alive[counts] = weight
    return crossed


THIRD = Fraction(1, 3)
RACES = [
    [HALF, HALF],
    [HALF, Fraction(1, 4), Fraction(1, 4)],
    [THIRD, THIRD, THIRD],
    [Fraction(3, 4), Fraction(1, 4)],
    [Fraction(9, 20), Fraction(9, 20), Fraction(1, 10)],
]


@pytest.mark.parametrize("labels", RACES)
@pytest.mark.parametrize("tau", [0.5, 0.6, 0.75])
@pytest.mark.parametrize("line", [2.0, 5.0, 20.0])
def test_any_label_crosses_as_rarely_as_stated(labels, tau, line):
    """Theory T7: at most M / y, and at most 1 / y where one label exceeds tau."""
    dominated = any(p > Fraction(tau) for p in labels)
    groups = 1 if dominated else races(tau, len(labels))
    draws = 40 if len(labels) == 2 else 14
    crossed = _crossing(labels, tau, line, draws, lambda n: evalues(n, tau))
    assert crossed * Fraction(line) <= groups


def test_one_group_for_all_labels_is_caught():
    """Negative control: M = 1 at tau = 1/2, where two labels race."""
    crossed = _crossing([HALF, HALF], 0.5, 2.0, 40, lambda n: evalues(n, 0.5))
    assert crossed * 2 > Fraction(4, 3)


def test_pvalues_at_any_time_are_caught():
    """Negative control: 1 / h(k, n, tau) looked at after each draw (fault 5)."""
    tau = 0.75

    def tables(trials):
        return 1.0 / dominant_tail(trials, tau)

    assert _crossing([Fraction(3, 4), Fraction(1, 4)], tau, 5.0, 40, tables) * 5 > Fraction(3, 2)


def test_number_of_groups():
    assert [races(0.5, 2), races(0.5, 3), races(0.5)] == [2, 3, 3]
    # The float nearest to 2/3 lies below it.
    assert [races(2 / 3, 5), races(math.nextafter(2 / 3, 1.0), 5), races(0.75)] == [3, 2, 2]
    pvalues, everywhere = anytime_tables(30, 0.75)
    assert pvalues.tolist() == everywhere.tolist() == (1.0 / evalues(30, 0.75)).tolist()


@pytest.mark.parametrize("num_classes", [2, 19])
@pytest.mark.parametrize("tau", [0.5, 0.75, 0.95])
@pytest.mark.parametrize(("components", "budget"), [(1, 1), (10, 2), (172_800, 100)])
def test_n_min_is_the_first_that_passes(components, budget, tau, num_classes):
    def passes(trials):
        needed = components * races(tau, num_classes) / evalues(trials, tau)[-1]
        return needed <= budget * 1e-3

    options = {"tau": tau, "alpha": 1e-3, "budget": budget}
    n = min_trials_anytime(components, num_classes=num_classes, **options)
    assert passes(n)
    assert not passes(n - 1)
    assert n > min_trials(components, **options)


def test_n_min_checks_its_level():
    with pytest.raises(InputError, match="raise alpha"):
        min_trials_anytime(10, 0.75, 1e-295)
