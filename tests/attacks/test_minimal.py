"""Minimal-norm attacks against models whose nearest change is known."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import certiseg as cs
from certiseg.attacks.minimal import minimal_attack
from certiseg.errors import InputError


def threshold(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([0.5 - x, x - 0.5], dim=1) * 4


NEAR = torch.tensor([[[0.52, 0.54, 0.6], [0.44, 0.3, 0.9]]])


def test_the_nearest_change_of_all_labels_is_found() -> None:
    found = minimal_attack(threshold, NEAR, share=1.0, steps=300)
    least = float(np.linalg.norm(NEAR.numpy().astype(np.float64) - 0.5))
    assert found.success == 1.0
    assert least <= found.norm <= 1.1 * least
    assert found.norm == found.epsilon
    change = found.attacked.astype(np.float64) - NEAR.numpy()
    assert np.linalg.norm(change) <= found.norm


def test_a_share_of_the_labels_needs_no_more() -> None:
    norms = []
    for share in (0.01, 0.5, 5 / 6, 1.0):
        found = minimal_attack(threshold, NEAR, share=share, steps=300)
        assert found.success >= share
        norms.append(found.norm)
    assert norms == sorted(norms)
    assert norms[0] < 0.5 * norms[-1]


def test_components_that_do_not_count_are_left_alone() -> None:
    labels = np.array([[255, 255, 1], [255, 255, 255]])
    found = minimal_attack(threshold, NEAR, labels, share=1.0, steps=300)
    assert found.success == 1.0
    assert found.norm == pytest.approx(0.1, rel=0.02)


def test_a_target_is_reached_and_only_where_it_is_not_yet() -> None:
    target = np.array([[1, 1, 0], [0, 0, 1]])
    found = minimal_attack(threshold, NEAR, target=target, share=1.0, steps=300)
    assert (found.labels == target).all()
    assert found.norm == pytest.approx(0.1, rel=0.02)
    already = minimal_attack(threshold, NEAR, target=found.clean, share=1.0, steps=3)
    assert already.norm == 0.0


def test_each_image_of_a_batch_has_its_own_norm() -> None:
    batch = torch.stack([NEAR, 0.5 + (NEAR - 0.5) / 2])
    found = minimal_attack(threshold, batch, share=0.5, steps=300)
    assert found.norm[0] == pytest.approx(2 * found.norm[1], rel=0.05)
    assert found.epsilon == found.norm.max()


def test_values_stay_in_their_domain_and_failure_is_said() -> None:
    def high(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([1.5 - x, x - 1.5], dim=1)

    found = minimal_attack(high, NEAR, share=1.0, steps=100)
    assert found.success == 0.0
    assert found.attacked.min() >= 0.0
    assert found.attacked.max() <= 1.0
    free = minimal_attack(high, NEAR, share=1.0, steps=500, value_range=None)
    assert free.success == 1.0
    assert free.attacked.max() > 1.0


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan"), "0.5", None])
def test_other_shares_are_refused(share: Any) -> None:
    with pytest.raises(InputError, match="expected a share"):
        minimal_attack(threshold, NEAR, share=share)


def test_a_constant_model_is_refused() -> None:
    with pytest.raises(InputError, match="zero everywhere"):
        minimal_attack(lambda x: threshold(x.round()), NEAR, steps=2)


def test_gradients_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="finite"):
        minimal_attack(
            lambda x: threshold(x) * float("nan"), NEAR, np.zeros((2, 3), dtype=int), steps=2
        )


@pytest.mark.parametrize("value_range", [5, "ab", (0, 1, 2), (1, 0), (float("nan"), 1)])
def test_other_domains_are_refused(value_range: Any) -> None:
    for attacking in (minimal_attack, partial(cs.attack, epsilon=0.1)):
        with pytest.raises(InputError, match="value_range"):
            attacking(threshold, NEAR, value_range=value_range, steps=2)


@pytest.mark.parametrize("value_range", [(0.0, 0.6), (0.3, 0.9), (-0.3, 0.9), (1e-3, 1.001)])
def test_what_is_found_is_in_the_domain_of_a_smoothed_model(value_range: Any) -> None:
    """Their bounds lie between two numbers of float32."""
    x = NEAR.clip(*value_range)
    smooth = cs.Smoothed(threshold, cs.Gaussian(0.25), value_range=value_range)
    for found in (
        minimal_attack(threshold, x, share=1.0, steps=20, value_range=value_range),
        cs.attack(threshold, x, epsilon=2.0, steps=5, value_range=value_range, seed=0),
    ):
        smooth.vote(found.attacked, 10, seed=0)


def test_a_model_without_gradients_is_refused() -> None:
    with pytest.raises(InputError, match="with gradients"):
        minimal_attack(lambda x: threshold(x).detach(), NEAR, steps=2)
