"""The normal quantile and the radius against mpmath at 50 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.special import ndtri

import certiseg as cs
from certiseg.stats.normal import quantile_down

mpmath.mp.dps = 50
LEVELS = [0.5 + 2.0**-40, 0.501, 0.6, 0.75, 0.85, 0.9, 0.95, 0.99, 0.999, 1 - 1e-9, 1 - 2.0**-50]


def _exact(p: float) -> mpmath.mpf:
    return mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)


def test_quantile_is_rounded_down_and_tight():
    levels = LEVELS + np.random.default_rng(0).uniform(0.5, 1.0, 200).tolist()
    for p in levels:
        exact = _exact(p)
        assert exact * (1 - mpmath.mpf(10) ** -14) <= quantile_down(p) <= exact


@pytest.mark.parametrize("sigma", [0.125, 0.25, 0.33, 0.5, 1.0])
def test_radius_is_rounded_down(sigma):
    for tau in LEVELS:
        exact = mpmath.mpf(sigma) * _exact(tau)
        assert exact - mpmath.mpf(10) ** -12 <= cs.Gaussian(sigma).radius(tau) <= exact


def test_unrounded_quantile_is_caught():
    """Negative control: SciPy's own quantile lies above the exact one somewhere."""
    levels = np.random.default_rng(0).uniform(0.5, 1.0, 200).tolist()
    assert any(float(ndtri(p)) > _exact(p) for p in levels)


def test_radius_of_the_paper():
    assert cs.Gaussian(sigma=0.25).radius(tau=0.75) == pytest.approx(0.1686, abs=5e-5)
    assert cs.Gaussian(0.5).radius(0.5) == 0.0


def test_float32_is_not_computed_in_float32():
    tau = np.float32(0.608)
    assert cs.Gaussian(1.0).radius(tau) <= _exact(float(tau))


@pytest.mark.parametrize("sigma", [1e-6, 1e6])
def test_sigma_out_of_range(sigma):
    with pytest.raises(cs.InputError, match="rescale the input"):
        cs.Gaussian(sigma)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_sigma(sigma):
    with pytest.raises(cs.InputError, match="sigma > 0"):
        cs.Gaussian(sigma)


@pytest.mark.parametrize("tau", [0.49, 1.0, float("nan"), None, "0.75"])
def test_bad_tau(tau):
    with pytest.raises(cs.InputError, match=r"tau in \[1/2, 1\)"):
        cs.Gaussian(0.25).radius(tau)
