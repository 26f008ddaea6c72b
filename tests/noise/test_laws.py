"""The laws as records: parameters, radii, words, files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import certiseg as cs
from certiseg.noise import noise_from_record, noise_record
from certiseg.rounding import degrees_down

LAWS = [
    cs.Gaussian(0.25),
    cs.Gaussian(0.25, channels=3),
    cs.Rotation(0.125),
    cs.Rotation(0.125, axis="z"),
]


@pytest.mark.parametrize("noise", LAWS, ids=str)
def test_records_come_back(noise):
    record = json.loads(json.dumps(noise_record(noise), allow_nan=False))
    assert noise_from_record(record) == noise
    assert hash(noise_from_record(record)) == hash(noise)


def test_records_of_earlier_files():
    """Before there were channels; and a law without them still writes the same."""
    old = {"kind": "gaussian", "sigma": 0.25}
    assert noise_from_record(old) == cs.Gaussian(0.25)
    assert noise_record(cs.Gaussian(0.25)) == old


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"sigma": 0.25},
        {"kind": "laplace", "sigma": 0.25},
        {"kind": ["gaussian"], "sigma": 0.25},
        {"kind": "gaussian"},
        {"kind": "gaussian", "sigma": "0.25"},
        {"kind": "gaussian", "sigma": None},
        {"kind": "gaussian", "sigma": 0.25, "axis": "z"},
        {"kind": "gaussian", "sigma": 0.25, "channels": None},
        {"kind": "gaussian", "sigma": 0.25, "channels": 0},
        {"kind": "gaussian", "sigma": 0.25, "channels": 2.5},
        {"kind": "rotation", "sigma": 0.125, "channels": 3},
        {"kind": "rotation", "sigma": 0.125, "axis": "w"},
        {"kind": "rotation", "sigma": 0.125, "axis": ["z"]},
        {"kind": "rotation", "sigma": 3.0},
        {"kind": "rotation", "sigma": math.nan},
    ],
)
def test_forged_records_are_refused(record):
    with pytest.raises(cs.InputError) as info:
        noise_from_record(record)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("sigma", [0, -1, "0.1", True, math.nan, 1e-6, 2.3, math.inf])
def test_bad_angles(sigma):
    with pytest.raises(cs.InputError, match="sigma"):
        cs.Rotation(sigma)


@pytest.mark.parametrize(
    ("noise", "shape", "fits"),
    [
        (cs.Gaussian(0.1), (3, 4, 5), True),
        (cs.Gaussian(0.1, channels=3), (6, 10), True),
        (cs.Gaussian(0.1, channels=3), (2, 10), False),
        (cs.Rotation(0.1), (3, 10), True),
        (cs.Rotation(0.1), (6, 10), True),
        (cs.Rotation(0.1), (10, 3), False),
        (cs.Rotation(0.1), (4, 10), False),
        (cs.Rotation(0.1), (3, 10, 10), False),
        (cs.Rotation(0.1), (3,), False),
    ],
)
def test_inputs_that_a_law_can_perturb(noise, shape, fits):
    if fits:
        noise.check_shape(shape)
        return
    with pytest.raises(cs.InputError, match="expected"):
        noise.check_shape(shape)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_one_axis_is_noise_in_one_dimension(axis):
    """Theory T11: the radius and the needed probability of Gaussian noise on the angle."""
    turned, added = cs.Rotation(0.5, axis), cs.Gaussian(0.5)
    for tau in (0.5, 0.6, 0.75, 0.99, 1 - 1e-9):
        assert turned.radius(tau) == added.radius(tau)
    for angle in (0.0, 0.1, 1.0, 3.0):
        assert turned.needed(angle) == added.needed(angle)
    assert turned.radius(1 - 1e-12) == math.pi < added.radius(1 - 1e-12)
    assert turned.needed(5.0) == turned.needed(math.pi)


def test_any_axis_needs_another_radius():
    """Negative control of the test above."""
    assert cs.Rotation(0.5).radius(0.75) > cs.Gaussian(0.5).radius(0.75) * 1.02


@pytest.mark.parametrize("noise", LAWS, ids=str)
def test_radius_and_needed_probability_are_inverse(noise):
    for tau in (0.55, 0.75, 0.9, 0.999):
        radius = noise.radius(tau)
        assert noise.needed(radius) <= tau * (1 + 1e-14)
        assert noise.needed(1.01 * radius) > tau
    assert noise.radius(0.5) == 0.0
    assert noise.needed(0.0) == pytest.approx(0.5, abs=1e-14)


def test_channels_do_not_change_the_radius():
    assert cs.Gaussian(0.25, channels=3).radius(0.75) == cs.Gaussian(0.25).radius(0.75)


def test_angles_in_words_are_cut_off():
    noise = cs.Rotation(0.125)
    assert noise.degrees(0.75) <= math.degrees(noise.radius(0.75)) < noise.degrees(0.75) + 1e-12
    assert noise.size(math.pi) == "3.141592 rad (179.9999 degrees)"
    for angle in np.random.default_rng(0).uniform(0, math.pi, 1000):
        assert degrees_down(angle) < math.degrees(angle)


def test_what_is_claimed_in_words():
    assert cs.Gaussian(0.25).moved(3) == "perturbation of the input"
    assert "the first 3 of 6 channels (the others as given)" in cs.Gaussian(1, channels=3).moved(6)
    assert "the first 1 channel (" in cs.Gaussian(1, channels=1).describe()
    turned = cs.Rotation(0.1)
    assert turned.moved(3) == "rotation of the input around any axis through its centroid"
    assert turned.moved(6).endswith("centroid, normals rotating along,")
    assert "the y axis" in cs.Rotation(0.1, "y").moved(3)
    assert "|v| <= pi" in turned.describe()
    assert "|v|" not in cs.Rotation(0.1, "y").describe()
