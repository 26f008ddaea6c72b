"""The plan against the certifying functions, and the numbers of theory T14."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

import certiseg as cs
from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.studies.plan import (
    Request,
    first_cutoff,
    likely_curves,
    pass_grid,
    prospects,
    tau_for_radius,
)

STREET = Request(size=(1024, 2048), num_classes=19, noise=Gaussian(0.25), passes=110)


def test_numbers_of_theory_t14() -> None:
    """One pixel with p = .98 in a street picture, 110 passes."""
    rows = {row.name: row for row in prospects(STREET)}
    for name, chance in (
        ("split, n0 = 10", 0.68),
        ("pooled", 0.82),
        ("grid 4", 0.93),
        ("k = 0.1%", 0.998),
    ):
        assert rows[name].chance == pytest.approx(chance, abs=0.0051 if chance < 0.99 else 5e-4)
        assert rows[name].passes == 110
    assert rows["grid 4"].components == 1024 * 2048 // 16
    assert rows["k = 0.1%"].budget == 2097
    assert rows["split, n0 = 10"].draws == 100
    assert rows["pooled"].n_min == 75


@pytest.mark.parametrize("selection", ["pooled", "split"])
@pytest.mark.parametrize("budget", [1, 3])
def test_the_cutoff_is_the_one_that_certifies(selection: str, budget: int) -> None:
    """One component alone in doubt among 50: at the cutoff it passes, one hit below it fails."""
    cutoff = first_cutoff(50, 60, tau=0.75, alpha=0.01, selection=selection, budget=budget)
    kind = (
        {"correction": "k-fwer-single", "budget": budget}
        if budget > 1
        else {"correction": "bonferroni"}
    )
    counts = np.tile([31, 29], (50, 1))
    first = cs.VoteCounts(np.tile([1, 0], (50, 1)), 1) if selection == "split" else None
    for hits, held in ((cutoff, True), (cutoff - 1, False)):
        counts[0] = (hits, 60 - hits)
        certificate = cs.certify(
            cs.VoteCounts(counts, 60),
            noise=Gaussian(0.25),
            alpha=0.01,
            selection_votes=first,
            **kind,
        )
        assert certificate.certified[0] == held


def test_probabilities_have_the_chances_they_are_named_for() -> None:
    for row in prospects(STREET):
        assert row.cutoff is not None
        assert binom.sf(row.cutoff - 1, row.draws, row.even) == pytest.approx(0.5)
        assert binom.sf(row.cutoff - 1, row.draws, row.likely) == pytest.approx(0.9)
        assert row.chance == pytest.approx(binom.sf(row.cutoff - 1, row.draws, 0.98))


def test_n_min_is_where_a_cutoff_appears() -> None:
    for count, there in ((74, False), (75, True)):
        row = next(r for r in prospects(replace(STREET, passes=count)) if r.name == "pooled")
        assert (row.cutoff is not None) == there
        assert row.n_min == 75
        assert (row.chance > 0) == there


def test_few_passes_are_no_error() -> None:
    for row in prospects(replace(STREET, passes=5)):
        assert (row.cutoff, row.even, row.likely, row.chance) == (None, None, None, 0.0)
    assert prospects(replace(STREET, passes=5))[0].draws == 0


def test_what_was_asked_is_marked_once() -> None:
    for asked, name, more in (
        (STREET, "pooled", 0),
        (replace(STREET, grid=4), "grid 4", 0),
        (replace(STREET, grid=2), "grid 2", 1),
        (replace(STREET, grid=4, budget=7), "grid 4, k = 7", 1),
    ):
        rows = prospects(asked)
        assert [row.name for row in rows if row.asked] == [name]
        assert len(rows) == 6 + more


def test_points_have_no_grid() -> None:
    cloud = replace(STREET, size=(2048,))
    assert [row.name for row in prospects(cloud)] == ["split, n0 = 10", "pooled", "k = 0.1%"]
    assert cloud.components == 2048


def test_cells_at_the_border_count() -> None:
    assert replace(STREET, size=(9, 10), grid=4).components == 3 * 3


def test_curves_begin_at_n_min_and_fall_towards_tau() -> None:
    passes = pass_grid(60, points=20)
    assert (passes[0], passes[-1]) == (60, 10_000)
    curves = likely_curves(STREET, passes)
    assert list(curves) == [row.name for row in prospects(STREET)]
    for row in prospects(STREET):
        curve = curves[row.name]
        chooses = 10 if row.selection == "split" else 0
        there = [count - chooses >= row.n_min for count in passes]
        assert [value is not None for value in curve] == there
        found = [value for value in curve if value is not None]
        assert all(value > 0.75 for value in found)
        assert found[0] > found[-1]
        assert found[-1] < 0.8


@given(st.floats(0.01, 2.0), st.floats(0.001, 5.0))
def test_tau_reaches_the_wanted_radius(sigma: float, ratio: float) -> None:
    noise, radius = Gaussian(sigma), sigma * ratio
    tau = tau_for_radius(noise, radius)
    assert noise.radius(tau) >= radius
    # And no more than rounding asks for.
    assert noise.radius(max(0.5, tau - 1e-12)) < radius or tau - 1e-12 < 0.5


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf"), 10.0])
def test_bad_radius(radius: float) -> None:
    with pytest.raises(InputError, match="expected a radius"):
        tau_for_radius(Gaussian(0.25), radius)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": (0, 5)}, "expected a size of at least 1"),
        ({"num_classes": 1}, "expected classes of at least 2"),
        ({"passes": 0}, "expected draws"),
        ({"grid": 0}, "expected a grid of at least 1"),
        ({"size": (7,), "grid": 2}, "expected an image with a grid, got 7 points"),
        ({"budget": 0}, "expected a budget"),
        ({"budget": 10**9}, "expected a budget"),
        ({"tau": 1.0}, "expected tau"),
        ({"alpha": 0.0}, "expected alpha"),
        ({"tau": 1.0 - 1e-12}, "expected a tau that"),
        ({"probability": 0.0}, "expected a probability"),
        ({"selection": 0}, "expected selection draws"),
    ],
)
def test_bad_requests(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(STREET, **change)
