"""Certificates of rotated clouds and of noise on coordinates: sentence, file, forgeries."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import certiseg as cs
from certiseg.certificates import storage
from some_votes import made_up_source

NOISES = {
    "any axis": cs.Rotation(0.125),
    "one axis": cs.Rotation(0.125, axis="z"),
    "wide": cs.Rotation(2.0),
    "coordinates": cs.Gaussian(0.05, channels=3),
}


def _votes(noise, channels: int = 6) -> cs.VoteCounts:
    source = made_up_source(stop=200, noise=noise, input_shape=(channels, 5), value_range=None)
    counts = np.array([[200, 0], [199, 1], [190, 10], [180, 20], [100, 100]])
    return cs.VoteCounts(counts, 200, source)


def _certificate(noise, method: str = "certify") -> cs.Certificate:
    return getattr(cs, method)(_votes(noise), noise=noise)


@pytest.mark.parametrize("method", ["certify", "radius_map", "individual"])
@pytest.mark.parametrize("name", NOISES)
def test_round_trip(tmp_path, name, method):
    cert = _certificate(NOISES[name], method)
    cert.save(tmp_path / "a.cert.npz")
    again = cs.Certificate.load(tmp_path / "a.cert.npz")
    cs.verify(again)
    assert again.noise == cert.noise == again.votes.source.noise
    assert np.array_equal(again.radius, cert.radius)
    assert again.statement() == cert.statement()
    assert "\n" not in cert.statement()


def test_statement_of_rotations():
    noise = NOISES["any axis"]
    text = _certificate(noise).statement()
    for part in (
        "every rotation of the input around any axis through its centroid, normals rotating along, "
        "by an angle below 0.0844", "degrees)", "exp(v), v ~ N(0, 0.125^2 I) with |v| <= pi (T11)",
        "rotations were drawn and applied in float64, which the theory treats as exact",
        "6 x 5 of any value",
    ):  # fmt: skip
        assert part in text, part
    for wrong in ("l2", "clipping", "added", "Gaussian"):
        assert wrong not in text
    said = float(text.split("by an angle below ")[1].split(" ")[0])
    assert said <= noise.radius(0.75) < said + 1e-6
    degrees = float(text.split(" rad (")[1].split(" ")[0])
    assert degrees <= math.degrees(noise.radius(0.75)) < degrees + 1e-4
    assert "rad" in repr(_certificate(noise))
    assert "l2" not in repr(_certificate(noise))


def test_a_certificate_in_short_overstates_nothing():
    cert = _certificate(NOISES["wide"], "radius_map")
    assert "rotation angle up to 3.141592 rad" in repr(cert)  # rounded it would be above pi
    labels = np.zeros(100_000, dtype=np.int16)
    labels[0] = cs.ABSTAIN
    votes = cs.VoteCounts(np.full((100_000, 1), 200), 200)
    assert "99.99% of 100000" in repr(replace(cert, labels=labels, votes=votes))


def test_statement_of_one_axis_and_of_every_rotation():
    assert "around the z axis through its centroid" in _certificate(NOISES["one axis"]).statement()
    noise = NOISES["wide"]
    assert noise.radius(0.75) == math.pi
    assert "normals rotating along, by an angle of any size, all" in _certificate(noise).statement()
    votes = _votes(noise, channels=3)
    assert "normals" not in cs.certify(votes, noise=noise).statement()
    alone = cs.VoteCounts(votes.counts, 200)
    assert "normals, if any," in cs.certify(alone, noise=noise).statement()


def test_statement_of_noise_on_coordinates():
    text = _certificate(NOISES["coordinates"]).statement()
    part = "the first 3 of 6 channels (the others as given) of the input"
    assert f"under every perturbation of {part} of l2 norm below 0.033724" in text
    assert f"N(0, 0.05^2 I) added, without clipping, to {part} (fingerprint" in text


def _forge(path, noise: dict, shape: list[int] | None = None) -> None:
    """Another noise in the certificate and its source, with a digest that fits."""
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    meta = json.loads(members.pop("meta").tobytes())
    members.pop("digest")
    meta["noise"] = meta["votes"]["source"]["noise"] = noise
    meta["votes"]["source"]["input_shape"] = shape or meta["votes"]["source"]["input_shape"]
    meta["version"] = "0.0.9"  # so that the sentence is not compared
    text = json.dumps(meta, sort_keys=True)
    digest = storage._digest(text, members)
    members["meta"] = np.frombuffer(text.encode(), dtype=np.uint8)
    members["digest"] = np.frombuffer(digest.encode(), dtype=np.uint8)
    np.savez_compressed(path, **members)


ROTATION = {"kind": "rotation", "sigma": 0.125}


@pytest.mark.parametrize(
    ("noise", "shape"),
    [
        ({**ROTATION, "sigma": 0.25}, None),
        ({**ROTATION, "axis": "z"}, None),
        ({**ROTATION, "axis": "w"}, None),
        ({**ROTATION, "axis": None}, None),
        ({**ROTATION, "kind": "gaussian"}, None),
        ({"kind": "gaussian", "sigma": 0.125, "channels": 7}, None),
        (ROTATION, [4, 5]),
        (ROTATION, [3, 2, 3]),
    ],
)
def test_forged_noises_are_refused(tmp_path, noise, shape):
    path = tmp_path / "a.cert.npz"
    _certificate(NOISES["any axis"]).save(path)
    _forge(path, noise, shape)
    with pytest.raises(cs.ClaimError) as info:
        cs.verify(cs.Certificate.load(path))
    assert "\n" not in str(info.value)


def test_a_forgery_that_changes_nothing_is_accepted(tmp_path):
    """Negative control."""
    path = tmp_path / "a.cert.npz"
    _certificate(NOISES["any axis"]).save(path)
    _forge(path, ROTATION)
    cs.verify(cs.Certificate.load(path))


def test_another_noise_than_the_votes_is_refused():
    with pytest.raises(cs.InputError, match="noise that was drawn"):
        cs.certify(_votes(NOISES["any axis"]), noise=NOISES["one axis"])
    with pytest.raises(cs.InputError, match="point cloud"):
        replace(_votes(NOISES["any axis"]).source, input_shape=(5, 3))
