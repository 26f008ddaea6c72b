"""HRNetV2 against a plain pass over the published names, for odd sizes and both ways to resize."""

from __future__ import annotations

import pytest
import torch

from certiseg.models.hrnet import HRNetV2
from plain_hrnet import PlainHRNet, layout, random_state

TOLERANCE = 1e-5


def _network(state: dict[str, torch.Tensor], num_classes: int, width: int, align: bool) -> HRNetV2:
    network = HRNetV2(num_classes, width, align)
    network.load_state_dict(state)
    return network.eval()


def _logits(model: object, size: tuple[int, int]) -> torch.Tensor:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(7))
    with torch.inference_mode():
        return model(x)


@pytest.mark.parametrize("width", [4, 48])
def test_names_and_shapes_are_the_published_ones(width: int) -> None:
    with torch.device("meta"):
        own = HRNetV2(19, width).state_dict()
    assert {name: tuple(value.shape) for name, value in own.items()} == layout(19, width)


def test_size_of_the_published_network() -> None:
    """Golden: 65.8 M parameters in the published table of models, counted from the layout."""
    with torch.device("meta"):
        network = HRNetV2(19)
    assert sum(value.numel() for value in network.parameters()) == 65_859_379


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [(64, 96), (70, 101), (5, 3)])
@pytest.mark.slow
def test_logits_are_those_of_the_plain_pass(size: tuple[int, int], align: bool) -> None:
    state = random_state(7, width=8)
    found = _logits(_network(state, 7, 8, align), size)
    wanted = _logits(PlainHRNet(state, align), size)
    assert found.shape == (2, 7, -(-size[0] // 4), -(-size[1] // 4))
    assert (found - wanted).abs().max() < TOLERANCE
    assert torch.equal(found.argmax(1), wanted.argmax(1))


def test_the_comparison_sees_another_network() -> None:
    """Negative controls: corners aligned, repeated pixels, one weight exchanged."""
    state = random_state(7, width=8)
    found = _logits(_network(state, 7, 8, False), (70, 101))
    aligned = PlainHRNet(state, align_corners=True)
    nearest = PlainHRNet(state)
    nearest.resize = lambda x, like: torch.nn.functional.interpolate(x, like.shape[2:])
    name = "stage4.2.fuse_layers.0.3.0.weight"
    other = PlainHRNet({**state, name: state[name].flip(0)})
    for wrong in (aligned, nearest, other):
        assert (_logits(wrong, (70, 101)) - found).abs().max() > 100 * TOLERANCE


def test_draws_of_a_batch_do_not_meet() -> None:
    state = random_state(7, width=8)
    network = _network(state, 7, 8, False)
    x = torch.randn(3, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        apart = torch.cat([network(one[None]) for one in x])
        assert (network(x) - apart).abs().max() < TOLERANCE
