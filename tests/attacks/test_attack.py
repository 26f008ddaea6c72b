"""Attacks stay in the ball and the domain exactly, and find what is there to be found."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.attacks import attack as module
from certiseg.attacks.losses import LOSSES, Goal
from certiseg.attacks.projection import finished, norm_bound, project


def exact_norm(x: np.ndarray, attacked: np.ndarray) -> float:
    return math.sqrt(
        math.fsum((float(b) - float(a)) ** 2 for a, b in zip(x.flat, attacked.flat, strict=True))
    )


def linear(x: torch.Tensor) -> torch.Tensor:
    """Label 1 where the pixel is above 1/2."""
    return torch.cat([10 * (0.5 - x), 10 * (x - 0.5)], dim=1)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.Tanh(), nn.Conv2d(16, 4, 3, padding=1)
    ).eval()


def image(seed: int = 0, side: int = 12) -> torch.Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("epsilon", [1e-5, 0.03, 0.5, 3.0, 100.0])
def test_projection_is_the_nearest_point(epsilon: float) -> None:
    """Against bisection over the multiplier of the optimality conditions."""
    x = image().double()[None]
    moved = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    found = project(x, moved, epsilon, (0.0, 1.0))
    low, high = 0.0, 1.0
    for _ in range(200):
        s = (low + high) / 2
        kept = (x + s * (moved - x)).clamp(0, 1) - x
        low, high = (s, high) if kept.norm() <= epsilon else (low, s)
    assert torch.allclose(found, (x + low * (moved - x)).clamp(0, 1), atol=1e-6 * max(1, epsilon))


@pytest.mark.parametrize("epsilon", [1e-6, 1e-4, 0.1, 1.0])
def test_what_is_finished_is_in_the_ball_and_the_domain_exactly(epsilon: float) -> None:
    for seed in range(5):
        x = image(seed)[None]
        x[0, 0, 0] = 1.0
        moved = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
        found = finished(x, moved, epsilon, (0.0, 1.0))
        assert found.dtype == torch.float32
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
        true = exact_norm(x.numpy(), found.numpy())
        assert true <= float(norm_bound(x, found)) <= epsilon
        assert true >= 0.9 * epsilon or epsilon < 1e-5


def test_a_projection_that_is_thrown_away_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control (fault 4): the cast without the projection leaves the ball."""
    monkeypatch.setattr(
        module, "finished", lambda x, moved, epsilon, value_range: x + 1.01 * (moved - x)
    )
    with pytest.raises(AssertionError, match="left its ball"):
        cs.attack(linear, torch.full((1, 3, 3), 0.6), epsilon=0.2, steps=3, seed=0)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("method", ["apgd", "pgd"])
def test_every_loss_is_raised(kind: str, method: str) -> None:
    found = cs.attack(network(), image(), epsilon=1.0, loss=kind, method=method, steps=20, seed=0)
    noise = torch.randn(3, 12, 12, generator=torch.Generator().manual_seed(5))
    shaken = (image() + noise / noise.norm())[None]
    assert found.success > 1.5 * np.mean(network()(shaken).argmax(1)[0].numpy() != found.clean)
    assert exact_norm(image().numpy(), found.attacked) <= found.norm <= 1.0
    assert found.success == np.mean(found.labels != found.clean)


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_reaches_a_target(kind: str) -> None:
    x = image(side=6)
    target = np.full((6, 6), 2)
    target[0] = 255
    found = cs.attack(network(), x, epsilon=3.0, loss=kind, steps=40, target=target, seed=0)
    assert found.success == np.mean(found.labels[1:] == 2) >= 0.3
    assert np.mean(found.clean[1:] == 2) < 0.05


def test_js_is_the_divergence() -> None:
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.tensor([[[0, 1], [2, 0]]])
    goal = Goal(labels, torch.ones(labels.shape).double(), targeted=False)
    p, q = logits.softmax(1), nn.functional.one_hot(labels, 3).movedim(-1, 1).double()
    m = (p + q) / 2
    by_hand = (torch.special.xlogy(p, p / m) + torch.special.xlogy(q, q / m)).sum(1) / 2
    assert torch.allclose(goal.loss("js", logits), by_hand.flatten(1).mean(1))


def test_the_linear_model_falls_where_it_must() -> None:
    """Four pixels at .6 with threshold .5: norm .2 moves all of them, below .1 none."""
    x = torch.full((1, 2, 2), 0.6)
    few, some, every = cs.attack(
        linear, x, epsilon=[0.0999, 0.15, 0.201], steps=40, restarts=4, seed=0
    )
    assert few.success == 0.0
    assert 0 < some.success <= 0.5  # two pixels at most: .1 * sqrt(2) < .15 < .1 * sqrt(3)
    assert every.success == 1.0


def test_a_larger_epsilon_does_no_worse_and_restarts_help_no_less() -> None:
    found = cs.attack(network(), image(), epsilon=[0.1, 0.3, 0.6], steps=8, restarts=2, seed=3)
    shares = [each.success for each in found]
    assert shares == sorted(shares)
    assert [each.norm <= each.epsilon for each in found] == [True] * 3


def test_a_batch_is_its_images() -> None:
    batch = torch.stack([image(0), image(1)])
    both = cs.attack(network(), batch, epsilon=0.5, steps=10, seed=0)
    assert both.attacked.shape == batch.shape
    for index in range(2):
        one = cs.attack(network(), batch[index], epsilon=0.5, steps=10, seed=0)
        assert abs(one.success - both.success[index]) < 0.05


def test_the_seed_fixes_it() -> None:
    smooth = cs.Smoothed(network(), cs.Gaussian(0.25))
    a, b = (cs.attack(smooth, image(), epsilon=0.5, steps=4, draws=2, seed=1) for _ in "ab")
    assert np.array_equal(a.attacked, b.attacked)


def test_a_smoothed_model_is_moved() -> None:
    """Under noise .25 the mean softmax of the threshold model is still above 1/2 at .6."""
    smooth = cs.Smoothed(linear, cs.Gaussian(0.25))
    x = torch.full((1, 2, 2), 0.6)
    found = cs.attack(smooth, x, np.ones((2, 2), int), epsilon=0.4, steps=10, draws=64, seed=0)
    votes = smooth.vote(found.attacked, 400, seed=1)
    assert (votes.counts[..., 1] < 200).all()


def numpy_model(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([1 - x.numpy(), x.numpy()], axis=1))


def detached(x: torch.Tensor) -> torch.Tensor:
    return linear(x.detach())


def labels_alone(x: torch.Tensor) -> torch.Tensor:
    return (x[:, 0] > 0.5).long()


@pytest.mark.parametrize("model", [numpy_model, detached, labels_alone])
def test_models_without_gradients_are_refused(model: object) -> None:
    with pytest.raises(cs.InputError, match="gradient"):
        cs.attack(model, torch.full((1, 2, 2), 0.6), epsilon=0.1, steps=2)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"norm": "linf"}, "norm='l2'"),
        ({"epsilon": 0.0}, "epsilon from"),
        ({"epsilon": [0.2, 0.1]}, "ascending"),
        ({"loss": "dice"}, "masked-ce"),
        ({"method": "cw"}, "apgd"),
        ({"steps": 0}, "at least 1"),
        ({"labels": np.zeros((3, 3), int)}, r"\(2, 2\)"),
        ({"labels": np.full((2, 2), 255)}, "component to attack"),
        ({"labels": np.full((2, 2), -1)}, "write 255"),
        ({"labels": np.full((2, 2), 0.7)}, "whole numbers"),
        ({"labels": np.full((2, 2), 2)}, "labels 0 to 1"),
        ({"target": np.full((2, 2), 7)}, "labels 0 to 1"),
        ({"epsilon": True}, "epsilon from"),
        ({"epsilon": "0.1"}, "epsilon from"),
        ({"epsilon": []}, "epsilon from"),
        ({"weights": np.full((2, 2), np.nan)}, "weights"),
    ],
)
def test_faults_in_one_line(changes: dict, words: str) -> None:
    given = {"x": torch.full((1, 2, 2), 0.6), "epsilon": 0.1, "steps": 2, **changes}
    with pytest.raises(cs.InputError, match=words) as caught:
        cs.attack(linear, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("epsilon", [np.float32(0.1), np.array(0.1), torch.tensor(0.1), 1])
def test_any_number_is_an_epsilon(epsilon: object) -> None:
    found = cs.attack(linear, torch.full((1, 2, 2), 0.6), epsilon=epsilon, steps=2)  # type: ignore[call-overload]
    assert found.norm <= float(epsilon)  # type: ignore[arg-type]


def test_a_volume_of_depth_3_is_no_batch() -> None:
    volume = torch.full((1, 3, 2, 2), 0.6)
    smooth = cs.Smoothed(linear, cs.Gaussian(0.25), volumes=True)
    found = cs.attack(smooth, volume, epsilon=0.1, steps=1, seed=0)
    assert found.attacked.shape == volume.shape
    assert found.clean.shape == smooth.predict_clean(volume).shape == (3, 2, 2)
    assert cs.attack(linear, volume, epsilon=0.1, steps=1, seed=0).clean.shape == (1, 2, 2)


def test_a_loaded_model_is_refused_and_what_it_holds_is_not() -> None:
    loaded = cs.load_model("certiseg:camvid")
    x = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    with pytest.raises(cs.InputError, match=r"pass \.model"):
        cs.attack(loaded, x, epsilon=0.1, steps=1)  # type: ignore[call-overload]
    assert cs.attack(loaded.model, x, epsilon=0.1, steps=1).norm <= 0.1


def test_double_precision_and_any_domain() -> None:
    x = (torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(0)) * 9 - 4).double()
    found = cs.attack(network(), x, epsilon=0.5, steps=5, value_range=None, seed=0)
    assert found.attacked.dtype == np.float64
    assert exact_norm(x.numpy(), found.attacked) <= 0.5
    with pytest.raises(cs.InputError, match="value_range"):
        cs.attack(network(), x, epsilon=0.5, steps=5)


def test_rounding_models_have_no_gradient_to_follow() -> None:
    def steps(x: torch.Tensor) -> torch.Tensor:
        return linear((x * 10).round() / 10)

    with pytest.raises(cs.InputError, match="zero everywhere"):
        cs.attack(steps, torch.full((1, 2, 2), 0.6), epsilon=0.1, steps=2)
