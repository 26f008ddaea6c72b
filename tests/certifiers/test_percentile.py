"""Percentile smoothing (theory T10): exact coverage, with ties and at the shifted input."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy.special import ndtr

import certiseg as cs
from certiseg.certifiers.percentile import PercentileBound, percentile
from certiseg.stats.normal import probability_up
from exact import multinomial, tail

mpmath.mp.dps = 50
NOISE = cs.Gaussian(0.5)
RATIOS = [0.0, 1e-9, 0.1, 0.5, 1.0, 1.7, 2.5, 4.0, 6.0]


def _phi(ratio: float) -> Fraction:
    """Phi(ratio) to 50 digits."""
    return Fraction(str(mpmath.ncdf(mpmath.mpf(ratio))))


def _bound(values, ratio: float, **options) -> PercentileBound:
    return percentile(values, noise=NOISE, radius=ratio * NOISE.sigma, **options)


def test_probability_is_rounded_up_and_tight():
    ratios = RATIOS + np.random.default_rng(0).uniform(0, 5, 300).tolist()
    for ratio in ratios:
        exact = _phi(ratio)
        assert exact <= Fraction(probability_up(ratio)) <= exact + Fraction(1, 10**14)


def test_unrounded_probability_is_caught():
    """Negative control: SciPy's own value lies below the exact one somewhere."""
    ratios = np.random.default_rng(0).uniform(0, 5, 300).tolist()
    assert any(Fraction(float(ndtr(ratio))) < _phi(ratio) for ratio in ratios)


def _linear_error(rank: int, trials: int, ratio: float) -> Fraction:
    """P(the rank-th smallest of n draws is no bound) for m(x) = x in one dimension, exactly.

    Under the shift by -R the median of Z - R is -R, and the rank-th draw lies above it when at
    most rank - 1 draws lie below: theory T10 is tight there.
    """
    return tail(trials - rank + 1, trials, _phi(ratio))


@pytest.mark.parametrize("trials", [40, 100, 300])
@pytest.mark.parametrize("alpha", [1e-3, 0.05])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_shifted_median_of_a_linear_model(ratio, alpha, trials):
    """The error is at most alpha; the negative control, one rank higher, is above it."""
    rank = _bound(np.linspace(0, 1, trials), ratio, alpha=alpha).rank
    assert _linear_error(rank, trials, ratio) <= Fraction(alpha)
    assert _linear_error(rank + 1, trials, ratio) > Fraction(alpha)


def test_forgetting_the_shift_is_caught():
    """Negative control: the quantile at the clean median, as if R were 0."""
    rank = _bound(np.linspace(0, 1, 100), 0.0, alpha=0.05).rank
    assert _linear_error(rank, 100, 0.0) <= Fraction(0.05)
    assert _linear_error(rank, 100, 0.5) > Fraction(9, 10)


ATOMS = (0.0, 0.25, 1.0)
TRIALS, RATIO, ALPHA = 12, 0.5, 0.1
EDGE = Fraction(float(_phi(RATIO))) - Fraction(1, 1000)
"""A probability at which the shifted claim just fails: P(V >= v) < Phi(R / sigma)."""
LAWS = [
    (Fraction(a, 10), Fraction(b, 10), Fraction(10 - a - b, 10))
    for a in range(11)
    for b in range(11 - a)
] + [(1 - EDGE, EDGE, Fraction(0)), (1 - EDGE, Fraction(0), EDGE), (EDGE / 2, EDGE / 2, 1 - EDGE)]


def _worst(bounded) -> Fraction:
    """Largest P(claim false) over laws on three values, all outcomes enumerated.

    A monotone function of one coordinate meets the worst case of theory T10: shifted against it,
    P(V' >= v) >= 1/2 just when P(V >= v) >= Phi(R / sigma); towards it, likewise for <=.
    """
    needed, worst = _phi(RATIO), Fraction(0)
    for law in LAWS:
        error = Fraction(0)
        for counts, weight in multinomial(TRIALS, list(law)):
            lower, upper = bounded(np.repeat(ATOMS, counts))
            above = sum(p for p, v in zip(law, ATOMS, strict=True) if v >= lower)
            below = sum(p for p, v in zip(law, ATOMS, strict=True) if v <= upper)
            if above < needed or below < needed:
                error += weight
        worst = max(worst, error)
    return worst


@pytest.mark.parametrize("side", ["lower", "upper", "both"])
@pytest.mark.slow
def test_coverage_with_ties_is_exact(side):
    def bounded(values):
        bound = _bound(values, RATIO, alpha=ALPHA, side=side)
        return bound.lower, bound.upper

    assert Fraction(ALPHA) / 20 < _worst(bounded) <= Fraction(ALPHA)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["one rank higher", "no shift", "alpha for each side"])
def test_broken_bounds_are_caught(fault):
    """Negative controls on the same laws."""

    def bounded(values):
        drawn = np.sort(values)
        if fault == "one rank higher":
            return drawn[_bound(values, RATIO, alpha=ALPHA).rank], 1.0
        if fault == "no shift":
            return _bound(values, 0.0, alpha=ALPHA).lower, 1.0
        low = _bound(values, RATIO, alpha=0.3, side="lower").lower
        return low, _bound(values, RATIO, alpha=0.3, side="upper").upper

    assert _worst(bounded) > Fraction(0.3 if fault == "alpha for each side" else ALPHA)


def test_sides_are_mirror_images():
    values = np.random.default_rng(1).uniform(0, 1, 60)
    lower, upper = (
        _bound(values, 0.4, alpha=0.01),
        _bound(1 - values, 0.4, alpha=0.01, side="upper"),
    )
    assert upper.upper == 1 - lower.lower
    assert (lower.upper, upper.lower) == (1.0, 0.0)
    both = _bound(values, 0.4, alpha=0.02, side="both")
    assert both.lower == lower.lower
    assert both.upper == _bound(values, 0.4, alpha=0.01, side="upper").upper
    assert both.lower <= both.median == np.median(values) <= both.upper


def test_order_of_draws_does_not_matter():
    values = np.random.default_rng(2).uniform(0, 1, 50)
    assert _bound(values, 0.4) == _bound(values[::-1], 0.4) == _bound(np.sort(values), 0.4)


def test_a_larger_radius_proves_less():
    values = np.random.default_rng(3).uniform(0, 1, 400)
    lower = [_bound(values, ratio).lower for ratio in (0.0, 0.25, 0.5, 1.0, 1.5)]
    assert lower == sorted(lower, reverse=True)
    assert lower[-1] < lower[0]


@pytest.mark.parametrize(("ratio", "side"), [(0.0, "lower"), (0.5, "upper"), (1.0, "both")])
def test_too_few_draws_are_told_how_many_would_do(ratio, side):
    with pytest.raises(cs.InputError) as info:
        _bound([0.5], ratio, side=side)
    needed = int(str(info.value).split("at least ")[1].split(" ")[0])
    assert _bound(np.full(needed, 0.5), ratio, side=side).rank == 1
    with pytest.raises(cs.InputError, match=f"at least {needed} draws"):
        _bound(np.full(needed - 1, 0.5), ratio, side=side)


@pytest.mark.parametrize("ratio", [6.0, 1e3])
def test_radius_out_of_reach(ratio):
    with pytest.raises(cs.InputError, match="draws could reach"):
        _bound(np.full(100, 0.5), ratio)


@pytest.mark.parametrize(
    ("values", "options", "part"),
    [
        ([0.5, 1.5], {}, r"values in \[0, 1\], got \[0.5, 1.5\]"),
        ([0.5, np.nan], {}, "values in"),
        ([], {}, "one value a draw"),
        ([[0.5]], {}, "one value a draw"),
        ([0.5], {"side": "left"}, "side lower, upper, both"),
        ([0.5], {"alpha": 0.0}, "alpha"),
        ([0.5], {"radius": -0.1}, "radius >= 0"),
        ([0.5], {"radius": float("nan")}, "radius >= 0"),
    ],
)
def test_bad_input(values, options, part):
    with pytest.raises(cs.InputError, match=part) as info:
        percentile(values, **{"noise": NOISE, "radius": 0.1, **options})
    assert "\n" not in str(info.value)


def test_statement_says_what_is_bounded():
    """The numbers are cut off away from the claim, and the voted mask is not spoken of."""
    bound = _bound(np.linspace(0.1234567, 0.9, 200), 0.5, side="both")
    text = bound.statement("accuracy")
    assert text.startswith("With confidence 99.9% over the sampling noise (alpha = 0.001), ")
    for part in ("the median of accuracy of a single pass", "N(0, 0.5^2 I)", "at most 0.25",
                 f"rank {bound.rank} of 200", "not of the mask"):  # fmt: skip
        assert part in text
    numbers = [float(part.split(" ")[0]) for part in text.split("at least ")[1].split("at most ")]
    assert numbers[0] <= bound.lower < numbers[0] + 1e-6
    assert numbers[1] - 1e-6 < bound.upper <= numbers[1]
    alone = replace(bound, side="upper", radius=0.0).statement()
    assert "at least" not in alone
    assert "at the input itself" in alone


def test_records_come_back():
    bound = _bound(np.linspace(0, 1, 200), 0.5, side="both")
    record = json.loads(json.dumps(bound.record(), allow_nan=False))
    assert PercentileBound.from_record(record) == bound
    for broken in ({**record, "side": "left"}, {"side": "lower"}, {**record, "more": 1}):
        with pytest.raises(cs.InputError, match="percentile bound"):
            PercentileBound.from_record(broken)
