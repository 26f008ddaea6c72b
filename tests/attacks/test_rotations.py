"""Attacks by rotation: within the angle, around the axis, and successful where they can be."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import certiseg as cs
from certiseg.attacks import rotations
from certiseg.attacks.audit import audit
from certiseg.attacks.rotations import rotated, rotation_attack


def by_height(x: torch.Tensor) -> torch.Tensor:
    """Label 1 where y > 0."""
    return torch.stack([-x[:, 1], x[:, 1]], dim=1)


class Labels:
    """The same without gradients or logits."""

    num_classes = 2

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, 1] > 0).long()


def cloud(elevation: float, channels: int = 3) -> torch.Tensor:
    """Points of height 1 and -1, and a pair that is this angle off the plane y = 0, seen from the
    centroid, which is the origin. Points 0 and 1 change their labels under a rotation by more than
    the angle around z, or around an axis near it, and others only beyond pi / 4."""
    x = torch.zeros(channels, 12)
    x[0, 0], x[1, 0] = math.cos(elevation), math.sin(elevation)
    side = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    x[0, 2:7], x[1, 2:7] = side, 1.0
    x[2, 2:7] = side.flip(0)
    x[:3, 1], x[:3, 7:] = -x[:3, 0], -x[:3, 2:7]
    if channels == 6:
        x[3:] = torch.tensor([0.0, 1.0, 0.0])[:, None]
    return x


def angle_between(x: torch.Tensor, attacked: np.ndarray) -> tuple[float, float]:
    """Angle of the best rotation of the centred clouds (Kabsch), and the largest misfit."""
    before, after = (np.asarray(c[:3], dtype=np.float64) for c in (x, attacked))
    before, after = (c - c.mean(axis=1, keepdims=True) for c in (before, after))
    u, _, v = np.linalg.svd(after @ before.T)
    turn = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
    off = np.linalg.norm(turn - turn.T) / (2 * math.sqrt(2))
    return math.atan2(off, (np.trace(turn) - 1) / 2), float(np.abs(after - turn @ before).max())


@pytest.mark.parametrize("axis", [None, "z"])
def test_labels_fall_at_the_elevation_and_not_before(axis: Any) -> None:
    x = cloud(0.2)
    below, above = (
        rotation_attack(by_height, x, angle=angle, axis=axis, tries=200, seed=0)
        for angle in (0.199, 0.26)
    )
    assert below.success == 0
    assert np.array_equal(below.attacked, x.numpy())
    assert below.norm == 0
    assert (above.labels != above.clean).nonzero()[0].tolist() == [0, 1]
    assert above.success == pytest.approx(2 / 12)
    assert 0.2 <= above.norm <= 0.26


@pytest.mark.parametrize("angle", [1e-6, 0.01, 0.5, 3.0, math.pi])
@pytest.mark.parametrize("axis", [None, "x", "y"])
def test_the_cloud_is_rotated_by_at_most_the_angle(angle: float, axis: Any) -> None:
    x = cloud(0.3, channels=6).double() + torch.tensor([5.0, -1, 2, 0, 0, 0])[:, None]
    smooth = cs.Smoothed(by_height, cs.Gaussian(0.1), value_range=None)
    found = rotation_attack(smooth, x, angle=angle, axis=axis, tries=20, draws=2, seed=1)
    true, misfit = angle_between(x, found.attacked)
    assert misfit < 1e-12
    assert true <= found.norm + 1e-9 <= angle + 1e-9
    assert true == pytest.approx(math.hypot(*found.vector), abs=1e-7)
    assert found.norm > 0
    # The centroid stays, normals stay unit vectors and rotate with the points.
    assert np.allclose(found.attacked[:3].mean(1), x[:3].mean(1), atol=1e-12)
    # A cloud of normals and their negatives has its centroid at the origin.
    normals = torch.cat([x[3:], -x[3:]], dim=1)
    assert np.allclose(found.attacked[3:], rotated(normals, found.vector)[:, :12], atol=1e-12)
    if axis is not None:
        held = "xyz".index(axis)
        assert np.allclose(found.attacked[held], x[held], atol=1e-12)


def test_a_search_that_leaves_the_angle_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    honest = rotations._spread
    monkeypatch.setattr(
        rotations, "_spread", lambda n, angle, *rest: [v * 1.5 for v in honest(n, angle, *rest)]
    )
    smooth = cs.Smoothed(by_height, cs.Rotation(0.1), value_range=None)
    with pytest.raises(AssertionError, match="left its ball"):
        rotation_attack(smooth, cloud(0.2), angle=0.22, tries=1, seed=0)


def test_axes_are_spread_over_the_sphere() -> None:
    """No direction is farther than 25 degrees from one that is tried."""
    rng = np.random.default_rng(0)
    vectors = np.array(rotations._spread(150, 1.0, None, rng))
    axes = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = rng.standard_normal((1000, 3))
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    assert (asked @ axes.T).max(axis=1).min() > math.cos(math.radians(25))
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths.max() <= 1
    assert np.mean(lengths > 0.999) == pytest.approx(0.5, abs=0.01)


def test_refining_finds_what_the_grid_misses() -> None:
    """The label changes near one rotation alone: more tries come closer to it."""
    aim = torch.tensor([0.3, -0.2, 0.25]).double().numpy()
    x = cloud(0.5).double()
    goal = rotated(x, aim)

    def model(batch: torch.Tensor) -> torch.Tensor:
        """Point i has label 1 if the cloud is within .02 i of the goal."""
        far = (batch - goal).abs().amax(dim=(1, 2))[:, None]
        near = 0.02 * torch.arange(12) - far
        return torch.stack([-near, near], dim=1)

    few, many = (
        rotation_attack(model, x, np.zeros(12, int), angle=0.5, tries=tries, seed=0).success
        for tries in (20, 400)
    )
    assert few < many
    assert many >= 9 / 12


def test_models_without_gradients_and_smoothed_ones_are_attacked() -> None:
    x = cloud(0.2)
    found = rotation_attack(Labels(), x, angle=0.4, axis="z", tries=20, seed=0)
    assert found.success == pytest.approx(2 / 12)
    smooth = cs.Smoothed(Labels(), cs.Rotation(0.1, axis="z"), value_range=None)
    found = rotation_attack(smooth, x, angle=0.4, tries=20, draws=4, seed=0)
    assert np.array_equal(found.vector[:2], np.zeros(2))  # around the noise's own axis
    # Phi((.2 - .4) / .1) = .023
    assert smooth.vote(found.attacked, 400, seed=1).counts[:2].min(axis=1).tolist() < [40, 40]


def test_models_of_categories_are_refused_until_one_is_named() -> None:
    loaded = cs.load_model("certiseg:solids")
    x = torch.randn(3, 256, generator=torch.Generator().manual_seed(0))
    smooth = cs.Smoothed(loaded.model, cs.Gaussian(0.1), value_range=None)
    for model in (loaded, loaded.model, smooth):
        with pytest.raises(cs.InputError, match=r"pass \.of\(category\)"):
            rotation_attack(model, x, angle=0.1, tries=1)  # type: ignore[arg-type]
        with pytest.raises(cs.InputError, match=r"pass \.of\(category\)"):
            cs.attack(model, x, epsilon=0.1, steps=1, value_range=None)  # type: ignore[call-overload]
    found = rotation_attack(loaded.of("Mug"), x, angle=0.1, tries=1, seed=0)
    assert found.labels.shape == (256,)


def test_labels_without_a_number_of_classes() -> None:
    found = rotation_attack(
        lambda x: (x[:, 1] > 0).long(), cloud(0.2), angle=0.4, axis="z", tries=20, num_classes=2
    )
    assert found.success == pytest.approx(2 / 12)


def test_targets_and_weights() -> None:
    x = cloud(0.2)
    target = np.full(12, 255)
    target[0] = 0
    found = rotation_attack(by_height, x, target=target, angle=0.3, axis="z", tries=20, seed=0)
    assert (found.success, found.labels[0]) == (1.0, 0)
    only = rotation_attack(
        by_height, x, weights=np.arange(12) > 1, angle=0.3, axis="z", tries=20, seed=0
    )
    assert only.success == 0


def test_the_seed_fixes_it() -> None:
    smooth = cs.Smoothed(by_height, cs.Rotation(0.2), value_range=None)
    a, b = (rotation_attack(smooth, cloud(0.2), angle=0.3, tries=9, seed=5) for _ in "ab")
    assert np.array_equal(a.attacked, b.attacked)
    assert a.norm == b.norm


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"angle": 0.0}, "in radians"),
        ({"angle": 20}, "in radians"),
        ({"angle": float("nan")}, "in radians"),
        ({"angle": "0.1"}, "in radians"),
        ({"axis": "w"}, "x, y, z or None"),
        ({"tries": 0}, "at least 1"),
        ({"x": torch.rand(3, 8, 8)}, "point cloud"),
        ({"x": torch.rand(9, 3)}, "pass x.T"),
        ({"labels": np.zeros(5, int)}, r"\(12,\)"),
        ({"labels": np.full(12, 2)}, "labels 0 to 1"),
        ({"model": "solids"}, "callable"),
        ({"model": lambda x: (x[:, 1] > 0).long()}, "num_classes"),
        ({"model": cs.Smoothed(by_height, cs.Rotation(0.1, "z"), value_range=None)}, "leave it"),
    ],
)
def test_faults_in_one_line(changes: dict, words: str) -> None:
    given = {"model": by_height, "x": cloud(0.2), "angle": 0.1, "axis": "x", "tries": 2, **changes}
    with pytest.raises(cs.InputError, match=words) as caught:
        rotation_attack(given.pop("model"), given.pop("x"), **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("axis", [None, "z"])
def test_none_moves_within_the_radius_and_one_does_outside(axis: Any) -> None:
    """Points 0 and 1 are .23 off the plane, little beyond the certified .17."""
    smooth = cs.Smoothed(by_height, cs.Rotation(0.25, axis), value_range=None)
    x = cloud(0.23, channels=6)
    certificate = smooth.certify(x, 3000, seed=0)
    assert certificate.certified[:2].all()
    options = {"num_samples": 400, "steps": 40, "draws": 4, "seed": 0}
    found = audit(smooth, x, certificate, factors=(0.5, 0.9, 1.0, 3.0, 30.0), **options)
    assert [each.moved for each in found[:3]] == [0, 0, 0]
    # Phi((.23 - 3 * .17) / .25) = .13
    assert found[3].moved == 2
    assert found[4].found.epsilon == math.pi
    assert all(each.found.norm <= each.found.epsilon for each in found)
    assert found[2].found.epsilon < certificate.radius
    forged = replace(certificate, radius=3 * certificate.radius)
    (caught,) = audit(smooth, x, forged, factors=(1.0,), **options)
    assert caught.moved == 2


@pytest.mark.slow
def test_the_shipped_model_withstands_rotations_within_the_radius() -> None:
    from certiseg.datasets.solids import solids
    from certiseg.models.serialization import load_bundled

    sample = solids("test", points=256, normals=False)[2]
    model = load_bundled("solids-rotation").of(sample.category)  # type: ignore[operator]
    smooth = cs.Smoothed(model, cs.Rotation(0.25), value_range=None)
    certificate = smooth.certify(sample.x, 60, seed=0)
    inside, outside = audit(
        smooth, sample.x, certificate, factors=(1.0, 15.0), num_samples=60, steps=8, draws=2, seed=0
    )
    assert inside.components > 150
    assert inside.moved == 0
    assert outside.moved > 0
