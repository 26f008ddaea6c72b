"""Scales against the published inference written plainly, and what it adds to a fingerprint."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import certiseg as cs
from certiseg.errors import InputError
from certiseg.models import Preprocess, Scales
from certiseg.sampling.fingerprint import model_fingerprint

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def network(seed: int = 0, gain: float = 3.0) -> nn.Module:
    """Logits of 5 classes at a quarter of the size, as the networks of the paper give them."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 5, 1)
    )
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) * 0.3)
        model[-1].weight.mul_(gain)
    return model.eval()


def published(
    net: nn.Module, x: Tensor, scales: tuple[float, ...], flip: bool, base: int | None = None
) -> Tensor:
    """`multi_scale_inference_noisybatch` of the published code, for scales up to 1: normalise,
    resize, logits at the resized size, mean with the mirrored, exp, resize back, sum."""
    x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    height, width = x.shape[2:]
    total = torch.zeros(())
    for scale in scales:
        longer = math.floor((base or max(height, width)) * scale + 0.5)
        if height > width:
            size = (longer, math.floor(width * longer / height + 0.5))
        else:
            size = (math.floor(height * longer / width + 0.5), longer)
        small = F.interpolate(x, size, mode="bilinear")
        logits = F.interpolate(net(small), size, mode="bilinear")
        if flip:
            mirrored = F.interpolate(net(small.flip(-1)), size, mode="bilinear").flip(-1)
            logits = 0.5 * (logits + mirrored)
        total = total + F.interpolate(logits.exp(), (height, width), mode="bilinear")
    return total


@pytest.fixture
def pictures() -> Tensor:
    smooth = torch.rand(2, 3, 6, 10, generator=torch.Generator().manual_seed(1))
    return F.interpolate(smooth, (48, 80), mode="bilinear")


def largest_gap(found: Tensor, wanted: Tensor) -> float:
    """Of the shares of the classes: what is returned are logarithms, up to a factor."""
    return float((found.softmax(1) - wanted / wanted.sum(1, keepdim=True)).abs().max())


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scales", [(1.0,), (0.5,), (0.25, 0.75), (0.25, 0.5, 0.75, 1.0)])
@pytest.mark.parametrize("base", [None, 66])
def test_it_is_the_published_inference(
    pictures: Tensor, scales: tuple[float, ...], flip: bool, base: int | None
) -> None:
    net = network()
    model = Scales(Preprocess(net, MEAN, STD), scales, flip, base_size=base)
    with torch.inference_mode():
        found = model(pictures)
        wanted = published(net, pictures, scales, flip, base)
    assert found.shape == (2, 5, 48, 80)
    assert largest_gap(found, wanted) < 1e-5
    assert float((found.argmax(1) == wanted.argmax(1)).float().mean()) > 0.999
    assert len(found.argmax(1).unique()) > 2


def test_the_comparison_sees_another_inference(pictures: Tensor) -> None:
    """Negative controls: one scale less, not mirrored, logits averaged, probabilities averaged."""
    net = network()
    base = Preprocess(net, MEAN, STD)
    with torch.inference_mode():
        wanted = published(net, pictures, (0.25, 1.0), True)
        logits = sum(Scales(base, (s,), True)(pictures) for s in (0.25, 1.0)) / 2
        others = [
            Scales(base, (1.0,), True)(pictures),
            Scales(base, (0.25, 1.0))(pictures),
            logits,
            Scales(base, (0.25, 1.0), True, merge="softmax")(pictures),
        ]
    assert all(largest_gap(found, wanted) > 1e-3 for found in others)


def test_softmax_averages_probabilities(pictures: Tensor) -> None:
    base = Preprocess(network(), MEAN, STD)
    with torch.inference_mode():
        found = Scales(base, (0.5, 1.0), merge="softmax")(pictures).softmax(1)
        small = base(F.interpolate(pictures, (24, 40), mode="bilinear")).softmax(1)
        wanted = (F.interpolate(small, (48, 80), mode="bilinear") + base(pictures).softmax(1)) / 2
    assert (found - wanted).abs().max() < 1e-6


def test_at_one_scale_of_one_the_model_decides_as_before(pictures: Tensor) -> None:
    base = Preprocess(network(), MEAN, STD)
    with torch.inference_mode():
        wanted = base(pictures)
        assert torch.equal(Scales(base)(pictures).argmax(1), wanted.argmax(1))
        # The model's own output is not written into, at any scale.
        kept = wanted.clone()
        for merge in ("exp", "softmax"):
            Scales(lambda x: wanted, (1.0, 1.0), True, merge=merge)(pictures)
        assert torch.equal(wanted, kept)


def test_large_logits_stay_finite_and_too_far_apart_is_said(pictures: Tensor) -> None:
    """exp(200) is no float32; a factor common to all pixels is."""
    constant = torch.zeros(1, 5, 1, 1)
    constant[0, 3] = 200.0
    high = Scales(lambda x: constant.expand(len(x), 5, *x.shape[2:]), (0.5, 1.0))
    assert bool((high(pictures).argmax(1) == 3).all())
    steep = torch.linspace(0, 300, 80).expand(1, 5, 48, 80)

    def model(x: Tensor) -> Tensor:
        return F.interpolate(steep, x.shape[2:]).expand(len(x), -1, -1, -1)

    with pytest.raises(InputError, match="merge='softmax'"):
        Scales(model, (0.5,))(pictures)
    for fine in (Scales(model, (0.5,), merge="softmax"), Scales(model)):
        assert bool(torch.isfinite(fine(pictures)).all())


def test_nan_is_left_to_be_refused(pictures: Tensor) -> None:
    smooth = cs.Smoothed(Scales(lambda x: x * float("nan")), cs.Gaussian(0.25))
    with pytest.raises(InputError, match="NaN"):
        smooth.vote(pictures[0], num_samples=2, seed=0)


def test_all_of_it_is_part_of_the_model() -> None:
    base = Preprocess(network(), MEAN, STD)
    models = [
        base,
        Scales(base),
        Scales(base, (0.5,)),
        Scales(base, (0.5,), True),
        Scales(base, (0.5, 1.0)),
        Scales(base, (0.5,), base_size=520),
        Scales(base, (0.5,), merge="softmax"),
    ]
    assert len({model_fingerprint(model)[0] for model in models}) == len(models)
    assert model_fingerprint(models[3])[1] == "Preprocess at scale 0.5, mirrored too"


def test_votes_and_the_sentence(pictures: Tensor) -> None:
    smooth = cs.Smoothed(
        Scales(Preprocess(network(), MEAN, STD), (0.25, 0.5), True), cs.Gaussian(0.25)
    )
    cert = smooth.certify(pictures[0], num_samples=80, seed=0)
    assert cert.labels.shape == (48, 80)
    assert "at scales 0.25, 0.5, mirrored too" in cert.statement()
    assert smooth.num_classes == 5


def test_a_model_in_training_is_noticed() -> None:
    model = Scales(nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5)).train(), (0.5,))
    with pytest.raises(InputError, match="training mode"):
        cs.Smoothed(model, cs.Gaussian(0.25)).vote(torch.rand(3, 8, 8), num_samples=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scales": ()}, "scales in"),
        ({"scales": (0.0,)}, "scales in"),
        ({"scales": (float("nan"),)}, "scales in"),
        ({"scales": (17.0,)}, "scales in"),
        ({"merge": "mean"}, "merge among exp, softmax"),
        ({"base_size": 0}, "base size"),
    ],
)
def test_wrong_arguments(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Scales(network(), **arguments)


def test_labels_and_clouds_have_no_scale() -> None:
    with pytest.raises(InputError, match="labels have no average"):
        Scales(lambda x: x[:, 0].long())(torch.rand(1, 3, 8, 8))
    with pytest.raises(InputError, match="only images have a scale"):
        Scales(network())(torch.rand(1, 3, 8))


@pytest.mark.parametrize("merge", ["exp", "softmax"])
@pytest.mark.parametrize(
    ("scales", "flip"), [((0.5, 1.0), True), ((1.0, 0.5, 0.75), False), ((0.5,), True)]
)
def test_gradients_pass_and_change_no_value(merge, scales, flip):
    """As attacks ask for them; against central differences."""
    torch.manual_seed(0)
    # Without kinks, as differences want it.
    smooth = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 5, 1)).eval()
    model = Scales(smooth, scales, flip, merge=merge)
    x = torch.rand(1, 3, 16, 16, requires_grad=True)
    scores = model(x)
    weights, step = torch.randn_like(scores), torch.randn_like(x) * 1e-2
    (gradient,) = torch.autograd.grad((scores * weights).sum(), x)
    with torch.no_grad():
        assert torch.equal(model(x.detach()), scores)
        change = ((model(x + step) - model(x - step)) * weights).sum() / 2
    assert float((gradient * step).sum()) == pytest.approx(float(change), rel=0.02, abs=1e-3)
