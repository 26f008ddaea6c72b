"""Rotations (theory T11): the overlap of two laws, the needed probability, against oracles."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
from scipy.integrate import simpson
from scipy.spatial.transform import Rotation
from scipy.special import ndtr, ndtri

from certiseg.stats.rotation_angles import largest_angle, needed_probability
from certiseg.stats.rotations import LARGEST_SIGMA, RotationLaw

CASES = [
    (0.3, 0.1, 0.05), (0.3, 0.5, 1.3), (0.3, 1.2, 7.5), (0.7, 0.5, 0.2), (0.7, 2.0, 3.0),
    (1.0, 1.0, 0.3), (1.0, math.pi, 1.6), (2.0, 0.5, 0.0), (2.0, 3.0, 0.01), (2.22, 2.0, 0.001),
]  # fmt: skip
"""sigma, angle, log lambda."""


def _log_density(angle, sigma: float):
    """log g up to a constant, from the law of v and Haar measure, for angles in (0, pi]."""
    angle = np.maximum(angle, 1e-7)
    return -(angle**2) / (2 * sigma**2) + np.log(angle**2 / (2 - 2 * np.cos(angle)))


@lru_cache(maxsize=2)
def _hopf(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Midpoints of rho^2 in [0, 1] and psi in [-pi/2, pi/2]: cells of equal Haar measure."""
    unit = (np.arange(cells) + 0.5) / cells
    return np.sqrt(unit)[:, None], (unit - 0.5)[None, :] * math.pi


def _overlap(sigma: float, angle: float, log_weight: float, cells: int = 1500) -> float:
    """integral min(lambda g(S), g(S Q)) dS over quaternions in Hopf coordinates.

    Other variables than the code's, midpoints instead of trapezoids, the constant of g found by
    the same sum. Halving the cells moves it by less than 2e-6 in all CASES.
    """
    rho, psi = _hopf(cells)
    own = _log_density(2 * np.arccos(np.minimum(rho * np.cos(psi), 1)), sigma)
    turned = np.abs(rho * np.cos(psi - angle / 2))
    other = _log_density(2 * np.arccos(np.minimum(turned, 1)), sigma)
    total = np.exp(own).mean()
    return float(np.exp(np.minimum(log_weight + own, other)).mean() / total)


@pytest.mark.parametrize(("sigma", "angle", "log_weight"), CASES)
def test_overlap_is_a_lower_bound_and_tight(sigma, angle, log_weight):
    exact = _overlap(sigma, angle, log_weight)
    assert exact - 1e-4 <= RotationLaw(sigma).overlap(angle, log_weight) <= exact + 2e-6


@pytest.mark.parametrize(("sigma", "angle", "log_weight"), CASES[1:6])
def test_an_angle_slightly_too_small_is_caught(sigma, angle, log_weight):
    """Negative control: laws turned by less overlap more."""
    found = RotationLaw(sigma).overlap(0.998 * angle, log_weight)
    assert found > _overlap(sigma, angle, log_weight) + 2e-6


@pytest.mark.parametrize("sigma", [1e-5, 0.05, 1.0, LARGEST_SIGMA])
def test_density_falls_with_the_angle(sigma):
    """Theory T11 needs it, and it is where sigma is limited."""
    angles = np.linspace(0, math.pi, 20001)
    assert np.all(np.diff(RotationLaw(sigma).fall(angles)) >= 0)


def test_a_larger_sigma_would_not_do():
    """Negative control: past pi / sqrt(2) the density rises again before pi."""
    angles = np.linspace(0, math.pi, 20001)
    assert np.any(np.diff(_log_density(angles, 2.3)) > 0)


@lru_cache(maxsize=4)
def _drawn(sigma: float, draws: int = 500_000) -> np.ndarray:
    """Axis-angle vectors of the law by rejection; fixed generator."""
    rng = np.random.default_rng(5)
    found = np.empty((0, 3))
    while len(found) < draws:
        new = sigma * rng.standard_normal((draws, 3))
        found = np.concatenate([found, new[np.linalg.norm(new, axis=1) <= math.pi]])
    return found[:draws]


def _worst(sigma: float, angle: float, probability: float) -> tuple[float, float]:
    """(nu(A), its standard error) for the worst set A with mu(A) = probability.

    By Neyman and Pearson A holds where the likelihood ratio of the turned law is smallest. Drawn,
    with SciPy's own rotations.
    """
    turn = Rotation.from_rotvec([0, 0, angle])

    def ratio(drawn: Rotation) -> np.ndarray:
        return _log_density((drawn * turn.inv()).magnitude(), sigma) - _log_density(
            drawn.magnitude(), sigma
        )

    half = len(_drawn(sigma)) // 2
    first, second = (Rotation.from_rotvec(part) for part in np.split(_drawn(sigma), [half]))
    own = ratio(first)
    edge = float(np.quantile(own, probability))
    kept = float(np.mean(ratio(second * turn) <= edge))
    spread = math.exp(2 * edge) * probability * (1 - probability) + 0.25
    return kept, math.sqrt(spread / half)


LEVELS = [(0.1, 0.07), (0.1, 0.16), (0.5, 0.6), (1.0, 0.8), (1.0, 2.5), (2.0, 1.5)]
"""sigma, angle."""


@pytest.mark.slow
@pytest.mark.parametrize(("sigma", "angle"), LEVELS)
def test_needed_probability_against_monte_carlo(sigma, angle):
    """False alarm 3e-7 each (5 standard errors). Sees an error of 0.015 in the probability kept."""
    kept, error = _worst(sigma, angle, needed_probability(sigma, angle))
    assert error < 0.003
    assert 0.5 - 5 * error <= kept <= 0.5 + 5 * error + 1e-3


@pytest.mark.parametrize(("sigma", "angle"), LEVELS[:5])
@pytest.mark.slow
def test_a_radius_that_is_too_large_is_caught(sigma, angle):
    """Negative control: the probability needed for an angle a sixth smaller."""
    kept, error = _worst(sigma, angle, needed_probability(sigma, angle / 1.2))
    assert kept < 0.5 - 5 * error


def _mass(law: RotationLaw) -> float:
    """integral of g over Haar measure."""
    angles = np.linspace(0, math.pi, 20001)
    values = law.peak * np.exp(-law.fall(angles)) * (1 - np.cos(angles)) / math.pi
    return float(simpson(values, x=angles))


def test_the_law_has_mass_one():
    for sigma in (0.05, 0.5, 1.0, 2.2):
        assert abs(_mass(RotationLaw(sigma)) - 1) < 1e-6


def test_a_wrong_jacobian_is_caught(monkeypatch):
    """Negative control: the factor t^2 / (2 - 2 cos t) of the density taken twice."""
    right = RotationLaw.fall

    def twice(law: RotationLaw, angle):
        half = np.maximum(np.asarray(angle) / 2, 1e-300)
        return np.maximum(right(law, angle) - 2 * np.log(half / np.sin(half)), 0)

    monkeypatch.setattr(RotationLaw, "fall", twice)
    law = RotationLaw(1.0)
    mass = _mass(law)
    spare = max((law.overlap(0.8, w) / mass - 0.5) * math.exp(-w) for w in np.linspace(0, 1, 41))
    monkeypatch.undo()
    assert needed_probability(1.0, 0.8) - (1 - spare) > 0.01
    kept, error = _worst(1.0, 0.8, 1 - spare)
    assert kept < 0.5 - 5 * error


TAUS = [0.5, 0.501, 0.55, 0.6, 0.75, 0.9, 0.95, 0.99, 0.999, 1 - 1e-6, 1 - 1e-9, 1 - 2.0**-53]


@pytest.mark.parametrize("sigma", [1e-5, 0.05, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.2])
@pytest.mark.slow
def test_radius_against_the_flat_one(sigma):
    """SO(3) is curved: the radius is at least sigma * PhiInv(tau), up to the table's rounding
    down, until it is pi; and for small sigma it is little more."""
    for tau in TAUS[2:]:
        flat, found = sigma * ndtri(tau), largest_angle(sigma, tau)
        assert found >= min(flat * (1 - 3e-3), math.pi)
        if sigma < 0.1:
            assert found <= flat * (1 + 1e-3)


@pytest.mark.parametrize("sigma", [1e-5, 0.125, 1.0, 2.2])
def test_radius_and_probability_belong_together(sigma):
    taus = sorted([*TAUS, *np.random.default_rng(0).uniform(0.5, 1, 200)])
    angles = [largest_angle(sigma, tau) for tau in taus]
    assert angles == sorted(angles)
    assert angles[0] == 0.0
    for tau, angle in zip(taus, angles, strict=True):
        assert needed_probability(sigma, angle) <= max(tau * (1 + 1e-15), 0.5)
    needed = [needed_probability(sigma, angle) for angle in np.linspace(0, math.pi, 50)]
    assert needed == sorted(needed)
    assert needed[0] == 0.5
    assert max(needed) <= 1.0


@pytest.mark.parametrize("sigma", [0.02, 0.05])
def test_small_angles_are_flat_space(sigma):
    """There the law is N(0, sigma^2 I_3): Phi(r / sigma), the curvature of order sigma^2 apart."""
    for ratio in (0.1, 0.5, 1.0, 2.0, 4.0):
        needed = needed_probability(sigma, ratio * sigma)
        assert ndtr(ratio) - sigma**2 <= needed <= ndtr(ratio) + 5e-4


def test_every_rotation_where_the_law_is_wide():
    """At sigma = 1 a probability of 0.96 certifies every rotation; the flat formula would not."""
    assert largest_angle(1.0, 0.96) == math.pi > ndtri(0.96)
    assert largest_angle(1.0, 0.95) < math.pi
    assert 0.9559 < needed_probability(1.0, math.pi) < 0.9560
