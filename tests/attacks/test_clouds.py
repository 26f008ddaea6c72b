"""Attacks on the coordinates of point clouds: normals stay, and labels fall where they must."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import certiseg as cs
from certiseg.attacks.audit import audit, nearest


def by_height(x: torch.Tensor) -> torch.Tensor:
    """Label 1 where y > 0, whatever the other channels are."""
    return 40 * torch.stack([-x[:, 1], x[:, 1]], dim=1)


def by_normal(x: torch.Tensor) -> torch.Tensor:
    """Label 1 where y plus the normal's y is above 0."""
    return by_height(x[:, :3] + x[:, 3:])


def of_two_parts(x: torch.Tensor) -> torch.Tensor:
    """By height, and two parts of another category that are masked."""
    return torch.cat([by_height(x), torch.full_like(x[:, :2], -torch.inf)], dim=1)


def cloud(points: int = 40, channels: int = 3) -> torch.Tensor:
    x = torch.randn(channels, points, generator=torch.Generator().manual_seed(0)) / 2
    return x - x.mean(dim=1, keepdim=True)


def exact_norm(x: torch.Tensor, attacked: np.ndarray) -> float:
    pairs = zip(x.numpy().flat, attacked.flat, strict=True)
    return math.sqrt(math.fsum((float(b) - float(a)) ** 2 for a, b in pairs))


@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.parametrize("smoothed", [False, True])
def test_normals_stay_bit_for_bit(smoothed: bool, restarts: int) -> None:
    x = cloud(channels=6)
    options = {"epsilon": 1.0, "steps": 10, "restarts": restarts, "seed": 0, "value_range": None}
    if smoothed:
        model = cs.Smoothed(by_normal, cs.Gaussian(0.1, channels=3), value_range=None)
        found = cs.attack(model, x, **options)
    else:
        found = cs.attack(by_normal, x, channels=3, **options)
    assert np.array_equal(found.attacked[3:], x[3:].numpy())
    assert 0.9 < exact_norm(x, found.attacked) <= found.norm <= 1.0
    assert found.success > 0.1


def test_all_channels_move_unless_the_coordinates_are_named() -> None:
    """Negative control of the one above."""
    x = cloud(channels=6)
    found = cs.attack(by_normal, x, epsilon=1.0, steps=10, value_range=None, seed=0)
    assert not np.array_equal(found.attacked[3:], x[3:].numpy())


def test_a_point_falls_at_its_height_and_not_before() -> None:
    x = cloud()
    x[1] = torch.where(x[1] > 0, 1.0, -1.0)
    x[1, 7] = 0.3
    aim = np.where(np.arange(40) == 7, 1, 255)
    options = {"steps": 30, "loss": "masked-margin", "value_range": None, "seed": 0}
    below, above = cs.attack(by_height, x, aim, epsilon=[0.299, 0.301], **options)
    assert (below.labels == below.clean).all()
    assert (above.labels != above.clean).nonzero()[0].tolist() == [7]


def test_a_smoothed_point_falls_at_its_height_too() -> None:
    """By symmetry of the noise: its label has probability Phi(y / sigma)."""
    x = cloud()
    x[1] = torch.where(x[1] > 0, 3.0, -3.0)
    x[1, 7] = 0.3
    aim = np.where(np.arange(40) == 7, 1, 255)
    smooth = cs.Smoothed(by_height, cs.Gaussian(0.25, channels=3), value_range=None)
    shares = []
    for epsilon in (0.2, 0.5):
        found = cs.attack(smooth, x, aim, epsilon=epsilon, steps=5, draws=4, seed=0)
        shares.append(smooth.vote(found.attacked, 1000, seed=1).counts[7, 1] / 1000)
        assert 0.999 * epsilon < exact_norm(x, found.attacked) <= found.norm <= epsilon
    # Phi(.1 / .25) = .655 and Phi(-.2 / .25) = .212.
    assert abs(shares[0] - 0.655) < 0.06
    assert abs(shares[1] - 0.212) < 0.06


def test_parts_of_other_categories_have_no_gradient_and_do_no_harm() -> None:
    """Under noise their log-probabilities are -inf in every draw, whose mean has no gradient."""
    smooth = cs.Smoothed(of_two_parts, cs.Gaussian(0.1, channels=3), value_range=None)
    x = cloud()
    for model in (smooth, of_two_parts):
        found = cs.attack(model, x, epsilon=2.0, steps=5, value_range=None, seed=0)
        assert found.success > 0.05
        assert set(found.labels.tolist()) == {0, 1}
        with pytest.raises(cs.InputError, match="parts of its category"):
            cs.attack(
                of_two_parts, x, epsilon=1.0, steps=2, target=np.full(40, 3), value_range=None
            )


def test_a_batch_of_clouds_is_its_clouds() -> None:
    model = cs.load_model("certiseg:solids").of("Mug")
    x = torch.stack([cloud(256), -cloud(256)])
    options = {"epsilon": 1.0, "steps": 3, "value_range": None, "seed": 0}
    both = cs.attack(model, x, **options)
    assert both.attacked.shape == x.shape
    assert both.labels.shape == (2, 256)
    for index in range(2):
        one = cs.attack(model, x[index], **options)
        assert np.array_equal(one.clean, both.clean[index])
        assert exact_norm(x[index], both.attacked[index]) <= both.norm[index] <= 1.0
    smooth = cs.Smoothed(model, cs.Gaussian(0.1, channels=3), value_range=None)
    assert cs.attack(smooth, x, epsilon=0.5, steps=1, draws=1, seed=0).success.shape == (2,)


@pytest.mark.parametrize(
    ("channels", "words"), [(7, "at most 6"), (0, "at least 1"), (True, "at least 1")]
)
def test_channels_that_are_not_there(channels: int, words: str) -> None:
    with pytest.raises(cs.InputError, match=words):
        cs.attack(
            by_normal, cloud(channels=6), epsilon=0.1, channels=channels, steps=1, value_range=None
        )


def test_a_smoothed_model_names_its_channels_itself() -> None:
    smooth = cs.Smoothed(by_normal, cs.Gaussian(0.1, channels=3), value_range=None)
    with pytest.raises(cs.InputError, match="leave it out"):
        cs.attack(smooth, cloud(channels=6), epsilon=0.1, channels=6, steps=1)


def test_a_model_under_rotations_is_sent_to_the_search() -> None:
    smooth = cs.Smoothed(by_height, cs.Rotation(0.25), value_range=None)
    with pytest.raises(cs.InputError, match="rotation_attack"):
        cs.attack(smooth, cloud(), epsilon=0.1, steps=1)


def fragile(channels: int) -> torch.Tensor:
    """One point little beyond the certified radius .1686, all others far from the boundary."""
    x = cloud(channels=channels)
    x[1] = torch.where(x[1] > 0, 3.0, -3.0)
    x[1, 7] = 0.23
    return x


@pytest.mark.parametrize("channels", [3, 6])
def test_none_moves_within_the_radius_and_one_does_outside(channels: int) -> None:
    smooth = cs.Smoothed(by_height, cs.Gaussian(0.25, channels=3), value_range=None)
    x = fragile(channels)
    certificate = smooth.certify(x, 3000, seed=0)
    assert certificate.certified.all()
    options = {"num_samples": 400, "steps": 5, "draws": 4, "seed": 0}
    found = audit(smooth, x, certificate, factors=(0.5, 0.9, 1.0, 4.0), **options)
    assert [each.components for each in found] == [40] * 4
    assert [each.moved for each in found] == [0, 0, 0, 1]
    assert all(np.array_equal(each.found.attacked[3:], x[3:].numpy()) for each in found)
    assert found[2].found.epsilon < certificate.radius
    forged = replace(certificate, radius=4 * certificate.radius)
    (caught,) = audit(smooth, x, forged, factors=(1.0,), **options)
    assert caught.moved == 1


def test_focus_is_on_points_near_in_space_not_in_the_file() -> None:
    smooth = cs.Smoothed(by_height, cs.Gaussian(0.25, channels=3), value_range=None)
    x = fragile(3)
    x[:, 30] = x[:, 7] + torch.tensor([0.0, 0.05, 0.0])
    certificate = smooth.certify(x, 3000, seed=0)
    assert nearest(certificate, 2, x.numpy()).nonzero()[0].tolist() == [7, 30]
    (found,) = audit(
        smooth, x, certificate, factors=(1.0,), focus=2, num_samples=100, steps=4, draws=16, seed=0
    )
    change = np.linalg.norm(found.found.attacked - x.numpy(), axis=0)
    assert change[[7, 30]].min() > 10 * np.delete(change, [7, 30]).max()
