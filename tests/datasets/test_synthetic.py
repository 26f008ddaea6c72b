"""Solids: areas by hand, points on the surface, normals outward, shares of points by area.

Sampling tests have fixed generators; where one could fail by chance, its false alarm is stated.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from certiseg.datasets.synthetic.placement import about, box, cup, exposed, rod, upright_to
from certiseg.datasets.synthetic.primitives import Arc, Ellipsoid, Prism, Revolution

TRIANGLE = Prism(((0, 0), (3, 0), (0, 4)), 2)
CONE = Revolution(((0, 0), (3, 0), (0, 4)))
TUBE = Revolution(((1, 0), (2, 0), (2, 5), (1, 5)))
SOLIDS = {
    "box": Prism(((-1, -2), (1, -2), (1, 2), (-1, 2)), 6),
    "triangle": TRIANGLE,
    "cone": CONE,
    "tube": TUBE,
    "cup": cup(1.0, 1.3, 2.0, 0.2, 0.3),
    "ball": Ellipsoid((2, 2, 2)),
    "ellipsoid": Ellipsoid((1, 0.5, 3)),
    "ring": Arc(3, 1, np.pi),
    "arc": Arc(3, 1, 1.0),
}


@pytest.mark.parametrize(
    ("solid", "area"),
    [
        (SOLIDS["box"], 2 * (2 * 4 + 2 * 6 + 4 * 6)),
        (TRIANGLE, 2 * 6 + 12 * 2),
        (CONE, np.pi * 9 + np.pi * 3 * 5),
        (TUBE, 2 * np.pi * (4 - 1) + 2 * np.pi * 5 * (1 + 2)),
        (SOLIDS["ball"], 4 * np.pi * 4),
        # An oblate spheroid, in elementary functions.
        (
            Ellipsoid((2, 1, 2)),
            2 * np.pi * 4 * (1 + (1 / 4) / np.sqrt(3 / 4) * np.arctanh(np.sqrt(3 / 4))),
        ),
        (SOLIDS["ring"], 4 * np.pi**2 * 3),
        (SOLIDS["arc"], 4 * np.pi * 3),
    ],
)
def test_areas_by_hand(solid, area):
    assert solid.area == pytest.approx(area, rel=1e-12)


def _faults(solid, points, normals, step=1e-4, bend=20.0):
    """Share of points from which the surface is not where point and normal say.

    Along the normal it lies within 1e-9. A step aside meets it again within bend * step**2, which
    a normal off by 0.002 would not; within a step of an edge neither holds.
    """
    rng = np.random.default_rng(1)
    aside = np.cross(normals, rng.standard_normal(points.shape))
    aside *= step / np.linalg.norm(aside, axis=1, keepdims=True)
    lift, off = 1e-9 * normals, bend * step**2 * normals
    wrong = solid.inside(points + lift) | ~solid.inside(points - lift)
    for way in (aside, -aside):
        wrong |= solid.inside(points + way + off) | ~solid.inside(points + way - off)
    return wrong.mean()


@pytest.mark.parametrize("name", SOLIDS)
def test_points_lie_on_the_surface_and_normals_point_outward(name):
    points, normals = SOLIDS[name].sample(4000, np.random.default_rng(2))
    assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(4000), abs=1e-12)
    assert _faults(SOLIDS[name], points, normals) < 0.004


def test_wrong_points_and_normals_are_caught():
    """Negative controls."""
    for solid in SOLIDS.values():
        points, normals = solid.sample(1000, np.random.default_rng(3))
        assert _faults(solid, points, -normals) > 0.9
        assert _faults(solid, points + 1e-3 * normals, normals) > 0.9
        tilted = normals + np.array((0.01, 0.02, 0.03))
        tilted /= np.linalg.norm(tilted, axis=1, keepdims=True)
        assert _faults(solid, points, tilted) > 0.5


@pytest.mark.parametrize(
    ("solid", "within", "without"),
    [
        (TRIANGLE, [(1, 0.9, 1), (0.1, -0.9, 3)], [(1, 1.1, 1), (2, 0, 2), (-0.1, 0, 1)]),
        (CONE, [(0, 3.9, 0), (2, 0.5, 0)], [(0, 4.1, 0), (2, 2, 0), (0, -0.1, 0)]),
        (TUBE, [(1.5, 1, 0), (0, 4, -1.9)], [(0.5, 1, 0), (0, 2, 0), (2.1, 1, 0), (1.5, 6, 0)]),
        (SOLIDS["cup"], [(0, 0.2, 0), (1.2, 1.9, 0)], [(0, 1, 0), (1.2, 0.5, 0)]),
        (SOLIDS["ellipsoid"], [(0.9, 0, 0), (0, 0, -2.9)], [(0, 0.6, 0), (0.8, 0.3, 1)]),
        (SOLIDS["arc"], [(3, 0, 0.9), (3.9, 0, 0)], [(0, 0, 0), (-3, 0, 0), (3, 0, 1.1)]),
    ],
)
def test_inside_by_hand(solid, within, without):
    assert solid.inside(np.array(within, dtype=float)).all()
    assert not solid.inside(np.array(without, dtype=float)).any()


def _uneven(counts, shares):
    """Whether counts differ from shares by a chi-squared test with false alarm 1e-7."""
    expected = counts.sum() * np.asarray(shares) / np.sum(shares)
    return ((counts - expected) ** 2 / expected).sum() > chi2.isf(1e-7, len(counts) - 1)


@pytest.mark.parametrize(
    ("solid", "coordinate", "edges", "shares"),
    [
        # Archimedes: slices of a ball of equal height have equal area.
        ("ball", lambda p: p[:, 1], np.linspace(-2, 2, 9), np.ones(8)),
        # The slope of a cone up to a radius grows with the radius squared; the floor likewise.
        ("cone", lambda p: np.hypot(p[:, 0], p[:, 2]), (0, 1, 2, 3), (1, 3, 5)),
        ("triangle", lambda p: p[:, 1], (-1, -0.999999, 0, 0.999999, 1.1), (6, 12, 12, 6)),
        # A ring's outer half has the area 2 pi r (pi R + 2 r), its inner one 2 pi r (pi R - 2 r).
        ("ring", lambda p: np.hypot(p[:, 0], p[:, 1]), (2, 3, 4), (3 * np.pi - 2, 3 * np.pi + 2)),
        ("arc", lambda p: np.arctan2(p[:, 1], p[:, 0]), np.linspace(-1, 1, 5), np.ones(4)),
    ],
)
def test_shares_of_points_are_shares_of_area(solid, coordinate, edges, shares):
    points, _ = SOLIDS[solid].sample(20_000, np.random.default_rng(4))
    counts = np.histogram(coordinate(points), edges)[0]
    assert counts.sum() == 20_000
    assert not _uneven(counts, shares)
    # Negative control: a share moved from the first to the last stretch by a tenth of it.
    assert _uneven(counts, np.asarray(shares) * np.linspace(1.1, 0.9, len(shares)))


def test_ellipsoid_is_uniform_by_area():
    """A spheroid's stretches along its axis, against the integral of its circumference."""
    points, _ = Ellipsoid((1, 3, 1)).sample(20_000, np.random.default_rng(5))
    edges = np.linspace(-3, 3, 13)
    fine = np.linspace(-3, 3, 120_001)
    middle = (fine[1:] + fine[:-1]) / 2
    radius = np.sqrt(1 - middle**2 / 9)
    ring = radius * np.sqrt(1 + (middle / 9 / radius) ** 2)
    shares = ring.reshape(12, -1).sum(axis=1)
    counts = np.histogram(points[:, 1], edges)[0]
    assert not _uneven(counts, shares)
    stretched = np.random.default_rng(5).standard_normal((20_000, 3))
    stretched = 3 * stretched[:, 1] / np.linalg.norm(stretched, axis=1)
    assert _uneven(np.histogram(stretched, edges)[0], shares)


def test_exposed_points_are_uniform_on_the_union():
    """A cube on a larger one, sunk by half: of the small one's 6 faces 1 + 4 / 2 are seen."""
    pieces = [box(0, (0, 0, 0), (4, 4, 4)), box(1, (0, 2, 0), (2, 2, 2))]
    points, _, owner = exposed(pieces, 20_000, np.random.default_rng(6))
    assert len(points) == 20_000
    assert not _uneven(np.bincount(owner), (6 * 16 - 4, 4 + 4 * 2))
    assert _uneven(np.bincount(owner), (6 * 16, 6 * 4))
    # In random order: the first half is as good as the second.
    assert not _uneven(np.bincount(owner[:5000]), (6 * 16 - 4, 4 + 4 * 2))


def test_turns():
    assert about("z", np.pi / 2) @ (1, 0, 0) == pytest.approx((0, 1, 0))
    for direction in np.random.default_rng(7).standard_normal((20, 3)):
        direction /= np.linalg.norm(direction)
        turn = upright_to(direction)
        assert turn @ (0, 1, 0) == pytest.approx(direction)
        assert turn @ turn.T == pytest.approx(np.eye(3))
        assert np.linalg.det(turn) == pytest.approx(1)


def test_rods_lead_from_start_to_stop():
    piece = rod(0, (1, 2, 3), (2, 4, 1), 0.5, 0)
    assert piece.solid.area == pytest.approx(np.pi * 0.25 + np.pi * 0.5 * np.hypot(0.5, 3))
    near = np.array([(1, 2, 3), (2, 4, 1), (2.1, 4.2, 0.8), (0.9, 1.8, 3.2)])
    inward = np.array((1, 2, -2)) / 3
    assert piece.inside(near + 0.01 * inward).tolist() == [True, False, False, False]
    assert piece.inside(near - 0.01 * inward).tolist() == [False, True, False, False]
