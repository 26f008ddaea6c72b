"""Plans of looks (theory T7): when they are, and that they spend no more than alpha."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from certiseg.errors import InputError
from certiseg.stats.eprocess import min_trials_anytime
from certiseg.stats.pvalues import min_trials
from certiseg.stats.spending import plan_looks

SPENDINGS = ["late", "equal", (0.1, 0.2, 0.7), (0.6, 0.4), "e-process"]


@given(
    st.integers(1, 3_000_000),
    st.integers(1, 2000),
    st.sampled_from([0.5, 0.6, 0.75, 0.9]),
    st.floats(1e-6, 0.3),
    st.integers(1, 30),
    st.sampled_from(SPENDINGS),
    st.integers(1, 50),
)
def test_every_plan_is_sound(components, num_samples, tau, alpha, looks, spending, budget):
    options = {"tau": tau, "alpha": alpha, "budget": min(budget, components)}
    try:
        plan = plan_looks(components, num_samples, looks=looks, spending=spending, **options)
    except InputError:
        assume(False)
    trials, levels = [n for n, _ in plan], [level for _, level in plan]
    assert len(plan) <= (len(spending) if isinstance(spending, tuple) else looks)
    assert all(a < b for a, b in pairwise(trials))
    assert trials[-1] == num_samples
    if spending == "e-process":
        assert set(levels) == {alpha}
        n_min = min_trials_anytime(components, **options)
        assert trials[0] == (n_min if len(plan) > 1 else num_samples)
        return
    assert sum(map(Fraction, levels)) <= Fraction(alpha)
    assert sum(levels) <= alpha
    assert sum(reversed(levels)) <= alpha
    assert float(sum(map(Fraction, levels))) >= alpha * (1 - 1e-13)
    n_mins = [min_trials(components, tau, a, budget=options["budget"]) for a in levels]
    # No look comes before a unanimous component can pass it, and the first comes just then.
    assert all(n >= least for n, least in zip(trials, n_mins, strict=True))
    assert trials[0] == (n_mins[0] if len(plan) > 1 else num_samples)


def test_rounding_to_nearest_is_caught():
    """Negative control: shares rounded to nearest and added up one by one exceed alpha."""
    exceeded = [L for L in range(2, 100) if sum([1e-3 / L] * L) > 1e-3]
    assert exceeded
    for looks in exceeded:
        plan = plan_looks(10, 5000, tau=0.75, alpha=1e-3, looks=looks, spending="equal")
        assert sum(level for _, level in plan) <= 1e-3


def test_a_plan_by_hand():
    """N = 2 097 152: n_min is 82 at alpha / 8; then by (300 / 82)^(1/4) = 1.383 a look."""
    plan = plan_looks(2_097_152, 300, tau=0.75, alpha=1e-3)
    assert [n for n, _ in plan] == [82, 113, 157, 217, 300]
    assert [level for _, level in plan] == pytest.approx([1.25e-4] * 4 + [5e-4])


def test_one_look_is_the_plain_test():
    for spending in ("late", "equal", (1.0,), "e-process"):
        assert plan_looks(5, 100, tau=0.75, alpha=0.05, looks=1, spending=spending) == (
            (100, 0.05),
        )


def test_fewer_looks_where_there_is_no_room():
    """At n_min itself one look is all there is; a few draws later there are more."""
    n_min = min_trials(100, 0.75, 1e-3)
    assert plan_looks(100, n_min, tau=0.75, alpha=1e-3) == ((n_min, 1e-3),)
    assert 1 < len(plan_looks(100, n_min + 8, tau=0.75, alpha=1e-3)) < 5


@pytest.mark.parametrize("spending", SPENDINGS)
def test_the_number_that_would_do_does(spending):
    options = {"tau": 0.75, "alpha": 1e-3, "spending": spending}
    with pytest.raises(InputError, match="expected at least") as raised:
        plan_looks(100, 20, **options)
    needed = int(str(raised.value).split("at least ")[1].split()[0])
    plan_looks(100, needed, **options)
    with pytest.raises(InputError, match=f"at least {needed} draws for 100 components"):
        plan_looks(100, needed - 1, **options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"looks": 0}, "looks"),
        ({"looks": 2.0}, "looks"),
        ({"looks": True}, "looks"),
        ({"spending": "early"}, "late, equal, e-process"),
        ({"spending": (0.6, 0.5)}, "at most 1"),
        ({"spending": (0.5, 0.0)}, "shares"),
        ({"spending": (0.5, float("nan"))}, "shares"),
        ({"spending": ()}, "shares"),
        ({"spending": ("half", 0.5)}, "shares"),
    ],
)
def test_bad_parameters(options, named):
    with pytest.raises(InputError, match=named):
        plan_looks(10, 100, **{"tau": 0.75, "alpha": 1e-3, **options})


def test_shares_in_decimals_sum_to_one():
    """Ten tenths exceed 1 by rounding alone; they are shares all the same."""
    plan = plan_looks(10, 1000, tau=0.75, alpha=1e-3, spending=(0.1,) * 10)
    assert len(plan) == 10
    assert sum(Fraction(level) for _, level in plan) <= Fraction(1e-3)
