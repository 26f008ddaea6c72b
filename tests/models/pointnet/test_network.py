"""The network against the plain one; a function of the set of points, cloud by cloud."""

from __future__ import annotations

import pytest
import torch

import certiseg.models.pointnet.network as module
from certiseg.errors import InputError
from certiseg.models.pointnet.geometry import canonical_order
from certiseg.models.pointnet.network import Plan, PointNet2, msg, small
from plain_pointnet import PlainPointNet, filled
from tiny_pointnet import TINY, some_clouds

CATEGORY = torch.tensor([0, 2])


@pytest.mark.parametrize("channels", [3, 6])
def test_names_and_shapes_are_the_published_ones(channels: int) -> None:
    ours, plain = PointNet2(msg(channels)), PlainPointNet(extra=channels - 3)
    shapes = {name: value.shape for name, value in ours.state_dict().items()}
    assert shapes == {name: value.shape for name, value in plain.state_dict().items()}


@pytest.mark.parametrize("channels", [3, 6])
@torch.inference_mode()
def test_computes_what_the_plain_network_computes(channels: int) -> None:
    torch.manual_seed(0)
    groups = (40, 16)
    plain = filled(PlainPointNet(extra=channels - 3, groups=groups), seed=1)
    ours = PointNet2(Plan(**{**msg(channels).__dict__, "groups": groups})).eval()
    ours.load_state_dict(plain.state_dict())
    x = some_clouds(2, 90, channels)
    category = torch.tensor([3, 15])
    order = canonical_order(x)[:, None]
    expected = plain(x.gather(2, order.expand_as(x)), category)
    found = ours(x, category)
    torch.testing.assert_close(
        found.gather(2, order.expand_as(found)), expected, rtol=1e-4, atol=1e-4
    )
    assert expected.std() > 0.01
    # The category matters: another one gives other logits.
    assert not torch.allclose(ours(x, category.flip(0)), found, atol=1e-3)


def _moves_with_its_points(network: PointNet2) -> bool:
    """Whether permuted points get permuted logits, bit for bit."""
    x = some_clouds(2, 100)
    shuffle = torch.randperm(100, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain, shuffled = network(x, CATEGORY), network(x[..., shuffle], CATEGORY)
    return torch.equal(plain[..., shuffle], shuffled)


def test_permuted_points_get_permuted_labels(network: PointNet2) -> None:
    assert _moves_with_its_points(network)


def test_without_the_order_of_the_points_it_depends_on_their_places(
    network: PointNet2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the published code's order, as the points come."""
    as_they_come = lambda x: torch.arange(x.shape[2]).expand(len(x), -1)  # noqa: E731
    monkeypatch.setattr(module, "canonical_order", as_they_come)
    assert not _moves_with_its_points(network)


@torch.inference_mode()
def test_a_cloud_knows_nothing_of_its_batch(network: PointNet2) -> None:
    x = some_clouds(5, 100)
    category = torch.tensor([0, 1, 2, 1, 0])
    together = network(x, category)
    for size in (1, 2, 3):
        parts = [
            network(part, kind)
            for part, kind in zip(x.split(size), category.split(size), strict=True)
        ]
        torch.testing.assert_close(torch.cat(parts), together, rtol=1e-5, atol=1e-6)
        assert torch.equal(torch.cat(parts).argmax(1), together.argmax(1))
    assert torch.equal(network(x, category), together)


def test_batch_statistics_make_it_depend_on_its_batch(network: PointNet2) -> None:
    """Negative control: in training mode the comparison above sees the difference."""
    x = some_clouds(4, 100)
    category = torch.zeros(4, dtype=torch.int64)
    network.train()
    network.drop1.p = 0.0
    together = network(x, category)
    assert not torch.allclose(network(x[:2], category[:2]), together[:2], atol=1e-3)


def test_draws_start_at_points_of_their_own() -> None:
    """The first centre of 40 noisy copies of a cloud: a fixed start would be one, chance gives
    about 33 different ones of 100 points (fewer than 20 has probability below 1e-6)."""
    x = some_clouds(1, 100) + 0.1 * some_clouds(40, 100, seed=7)
    starts = canonical_order(x)[:, 0].tolist()
    assert len(set(starts)) >= 20


def test_gradients_reach_every_weight(network: PointNet2) -> None:
    """And the points, for attacks by gradient."""
    network.train()
    x = some_clouds(2, 100).requires_grad_()
    network(x, CATEGORY).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert x.grad is not None
    assert (x.grad.abs().sum(1) > 0).all()
    assert torch.isfinite(x.grad).all()


def test_presets() -> None:
    parameters = {
        name: sum(p.numel() for p in PointNet2(plan).parameters())
        for name, plan in (("msg", msg(3)), ("small", small(3, 16, 50)))
    }
    # torch's own count of the published network: PlainPointNet().
    assert parameters["msg"] == sum(p.numel() for p in PlainPointNet().parameters()) == 1_740_958
    assert parameters["small"] < 400_000
    for plan in (TINY, msg(6), small(3, 5, 9)):
        assert Plan.of_record(plan.record()) == plan


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 3, 23), "at least 24 points, as many as the network forms groups, got 23"),
        ((1, 6, 100), r"clouds of shape \(B, 3, N\)"),
        ((1, 100, 3), r"clouds of shape \(B, 3, N\)"),
        ((3, 100), r"clouds of shape \(B, 3, N\)"),
    ],
)
def test_other_shapes_are_refused(network: PointNet2, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        network(torch.zeros(shape), torch.zeros(shape[0], dtype=torch.int64))
    assert "\n" not in str(error.value)


def test_other_channels_are_refused() -> None:
    with pytest.raises(InputError, match="3 channels"):
        msg(4)
