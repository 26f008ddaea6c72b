"""EfficientNet-Lite: the published network's features, any size in, that size out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from certiseg.models.efficientnet import SCALES, EfficientLite, EfficientSegmenter, Same
from certiseg.models.networks import EFFICIENT, built


def _published(variant: str, state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """What every block of the published port says, under the same weights."""
    port = pytest.importorskip("efficientnet_lite_pytorch")
    model = port.EfficientNet.from_name(f"efficientnet-{variant}").eval()
    model.load_state_dict(state, strict=False)
    y = model._swish(model._bn0(model._conv_stem(x)))
    said = []
    for block in model._blocks:
        y = block(y)
        said.append(y)
    return said


def _lively(net: nn.Module) -> nn.Module:
    """Batch norms that do something, so that an exchange of two would be seen."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) / 4)
    return net


def test_the_short_variant_is_the_long_one_without_its_end() -> None:
    torch.manual_seed(0)
    long, short = _lively(EfficientLite("lite0").eval()), EfficientLite("lite0-short").eval()
    state = long.state_dict()
    short.load_state_dict({name: state[name] for name in short.state_dict()})
    x = torch.randn(1, 3, 64, 80)
    with torch.inference_mode():
        torch.testing.assert_close(short(x), long(x)[:4])
    assert short.widths == long.widths[:4]


@pytest.mark.parametrize("variant", [name for name in SCALES if name != "lite0-short"])
def test_features_are_those_of_the_published_port(variant: str) -> None:
    torch.manual_seed(0)
    net = _lively(EfficientLite(variant).eval())
    # The port pads for the size its variant was made for; for that one the two must agree.
    size = {"lite0": 224, "lite1": 240, "lite2": 260}[variant]
    x = torch.randn(1, 3, size, size)
    with torch.inference_mode():
        blocks = _published(variant, net.state_dict(), x)
        assert len(blocks) == len(net._blocks)
        theirs = [blocks[number] for number in net._ends]
        torch.testing.assert_close(net(x), theirs, rtol=1e-3, atol=1e-4)
        # Negative control: padding that is alike on both sides gives other features.
        for module in net.modules():
            if isinstance(module, Same) and module.stride[0] == 2:
                module.padding = (module.kernel_size[0] // 2,) * 2
                module.forward = super(Same, module).forward  # type: ignore[method-assign]
        assert (net(x)[1] - theirs[1]).abs().max() > 1e-2


@pytest.mark.parametrize("size", [(1, 1), (5, 64), (31, 33), (48, 40), (360, 480)])
def test_any_size(size: tuple[int, int]) -> None:
    net = EfficientSegmenter("lite0", 3, 4, 16).eval()
    with torch.inference_mode():
        logits = net(torch.rand(2, 3, *size))
    assert logits.shape == (2, 4, *size)
    assert torch.isfinite(logits).all()


def test_features_lie_at_halves() -> None:
    net = EfficientLite("lite0").eval()
    with torch.inference_mode():
        features = net(torch.rand(1, 3, 64, 96))
    assert [tuple(f.shape[1:]) for f in features] == [
        (channels, 64 // scale, 96 // scale)
        for channels, scale in zip(net.widths, (2, 4, 8, 16, 32), strict=True)
    ]


def test_gradients_reach_every_parameter() -> None:
    net = EfficientSegmenter("lite0", 1, 3, 16)
    net(torch.rand(2, 1, 64, 64)).square().mean().backward()
    idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_pictures_of_a_batch_do_not_mix() -> None:
    net = _lively(EfficientSegmenter("lite0", 3, 4, 16)).eval()
    x = torch.rand(3, 3, 40, 56)
    with torch.inference_mode():
        torch.testing.assert_close(net(x)[1:2], net(x[1:2]), atol=1e-4, rtol=1e-3)


def test_largest_has_less_than_ten_million_parameters() -> None:
    plan = {"class": EFFICIENT, "variant": "lite2", "in_channels": 3, "num_classes": 11}
    assert sum(p.numel() for p in built({**plan, "width": 96}).parameters()) < 10_000_000
