"""A certificate under attack: nothing moves within the radius, something does outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

import certiseg as cs
from certiseg.attacks.audit import audit, fragility, nearest


def threshold(x: torch.Tensor) -> torch.Tensor:
    """Label 1 where the pixel is above 1/2; under noise with probability Phi((x - 1/2) / sigma)."""
    return 40 * torch.cat([0.5 - x, x - 0.5], dim=1)


SMOOTH = cs.Smoothed(threshold, cs.Gaussian(0.25))
# One pixel just beyond its certified radius .1686, and three that are far from the threshold.
X = torch.tensor([[[0.72, 0.99], [0.99, 0.99]]])


@pytest.fixture(scope="module")
def certificate() -> cs.Certificate:
    found = SMOOTH.certify(X, 3000, seed=0)
    assert found.certified.all()
    return found


@pytest.mark.slow
def test_none_moves_within_the_radius_and_one_does_outside(certificate: cs.Certificate) -> None:
    audits = audit(SMOOTH, X, certificate, num_samples=400, steps=10, draws=16, seed=0)
    assert [each.factor for each in audits] == [0.5, 0.9, 1.0, 1.5, 2.0, 4.0]
    assert [each.components for each in audits] == [4] * 6
    assert [each.moved for each in audits[:3]] == [0, 0, 0]
    # .72 - 1.5 * .1686 = .467 keeps its label with probability .45; .72 - 2 * .1686 with .32.
    assert audits[4].moved >= 1
    assert audits[5].moved >= 1
    assert all(each.found.norm <= each.found.epsilon for each in audits)
    assert audits[2].found.epsilon < certificate.radius
    # A lucky draw at the input itself must not pass for an attack.
    assert all(each.found.norm > 0.99 * each.found.epsilon for each in audits)


def test_a_radius_that_is_too_large_is_caught(certificate: cs.Certificate) -> None:
    """Negative control: a certificate that claims twice its radius is broken at factor 1."""
    forged = replace(certificate, radius=2 * certificate.radius)
    (found,) = audit(SMOOTH, X, forged, factors=(1.0,), num_samples=400, steps=10, draws=16, seed=0)
    assert found.moved >= 1


def test_chance_alone_moves_nothing(certificate: cs.Certificate) -> None:
    """A label of probability 1/2 exactly is not counted, though its votes are often below half."""
    even = torch.full((1, 2, 2), 0.5)
    forged = replace(
        certificate, votes=SMOOTH.vote(even, 100, seed=4), labels=np.ones((2, 2), np.int16)
    )
    moved, below = 0, 0
    for _ in range(5):
        (found,) = audit(
            SMOOTH, even, forged, factors=(1e-5,), num_samples=100, steps=1, alpha=1e-9
        )
        moved, below = moved + found.moved, below + found.below_half
    assert moved == 0
    assert below > 0


def test_fragility_is_the_slope_of_the_bound(certificate: cs.Certificate) -> None:
    weights = fragility(certificate)
    share = certificate.votes.counts[0, 0, 1] / 3000
    assert weights[0, 0] == pytest.approx(norm.pdf(norm.ppf(share)) / norm.pdf(0), rel=0.01)
    assert (weights[0, 0] > 2 * weights.flat[1:]).all()
    labels = certificate.labels.copy()
    labels[1, 1] = cs.ABSTAIN
    assert fragility(replace(certificate, labels=labels))[1, 1] == 0


def test_abstentions_are_not_attacked(certificate: cs.Certificate) -> None:
    labels = certificate.labels.copy()
    labels[0, 0] = cs.ABSTAIN
    (found,) = audit(
        SMOOTH, X, replace(certificate, labels=labels), factors=(2.0,), steps=5, seed=0
    )
    assert (found.components, found.moved) == (3, 0)


def test_focus_is_on_what_lies_around_the_most_fragile(certificate: cs.Certificate) -> None:
    places = np.indices((2, 2))
    assert nearest(certificate, 1, places).tolist() == [[True, False], [False, False]]
    assert nearest(certificate, 2, places).tolist() == [[True, True], [True, False]]
    labels = certificate.labels.copy()
    labels[0, 0] = cs.ABSTAIN
    assert not nearest(replace(certificate, labels=labels), 4, places)[0, 0]
    (found,) = audit(
        SMOOTH, X, certificate, factors=(2.0,), steps=5, focus=1, num_samples=400, seed=0
    )
    moved = np.abs(found.found.attacked - X.numpy())[0]
    assert moved[0, 0] > 0.3 > 0.01 > moved.flat[1:].max()
    assert (found.components, found.moved) == (4, 1)


@pytest.mark.parametrize("factors", [(), (0.0,), (float("inf"),)])
def test_factors_that_make_no_sense(certificate: cs.Certificate, factors: tuple) -> None:
    with pytest.raises(cs.InputError, match="factors > 0"):
        audit(SMOOTH, X, certificate, factors=factors)


def test_certificates_of_another_kind_are_refused(certificate: cs.Certificate) -> None:
    mapped = cs.radius_map(certificate.votes, noise=SMOOTH.noise)
    other = cs.Smoothed(threshold, cs.Gaussian(0.5))
    nothing = replace(certificate, labels=np.full((2, 2), cs.ABSTAIN))
    for smooth, wrong, words in (
        (SMOOTH, mapped, "one radius"),
        (other, certificate, "a certificate under"),
        (SMOOTH, nothing, "certified component"),
    ):
        with pytest.raises(cs.InputError, match=words):
            audit(smooth, X, wrong)


def test_another_model_is_refused(certificate: cs.Certificate) -> None:
    other = cs.Smoothed(lambda x: torch.cat([0.4 - x, x - 0.4], dim=1), cs.Gaussian(0.25))
    with pytest.raises(cs.InputError, match="the model that was certified"):
        audit(other, X, certificate, factors=(0.5,), steps=1)


def test_another_input_is_refused(certificate: cs.Certificate) -> None:
    with pytest.raises(cs.InputError, match="the input that was certified"):
        audit(SMOOTH, 1 - X, certificate, factors=(0.5,), steps=1)


def test_the_shipped_model_withstands_attacks_within_the_radius() -> None:
    rows, columns = torch.meshgrid(
        torch.linspace(0, 1, 48), torch.linspace(0, 1, 64), indexing="ij"
    )
    x = torch.stack([rows, columns, (rows + columns) / 2])
    smooth = cs.Smoothed(cs.load_model("certiseg:camvid").model, cs.Gaussian(0.25))
    certificate = smooth.certify(x, 60, seed=0)
    inside, outside = audit(
        smooth, x, certificate, factors=(1.0, 30.0), num_samples=60, steps=3, draws=2, seed=0
    )
    assert inside.components > 1000
    assert inside.moved == 0
    assert outside.moved > 0
