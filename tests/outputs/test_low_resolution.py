"""LowResolutionLogits logits: bands are the whole's, bit for bit; who may hand them over."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.models.networks import TrainedModel
from certiseg.models.preprocess import Preprocess
from certiseg.models.unet import SmallUNet
from certiseg.outputs.decision import Decision
from certiseg.outputs.low_resolution import LowResolutionLogits, low_resolution_form


def _logits(classes=5, size=(12, 50), batch=2, layout=torch.contiguous_format) -> torch.Tensor:
    values = torch.randn(batch, classes, *size, generator=torch.Generator().manual_seed(0))
    return values.contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(("factor", "width"), [(1, 149), (2, 128), (4, 200), (8, 333)])
def test_bands_are_those_of_the_whole(layout, dtype, factor, width):
    coarse = LowResolutionLogits(_logits(layout=layout).to(dtype), (12 * factor, width))
    whole, step = coarse.full(), coarse.step
    assert step == factor
    for rows in (step, 3 * step, 5 * step):
        for start in range(0, 12 * factor, rows):
            stop = min(start + rows, 12 * factor)
            for draw in range(2):
                band = coarse[draw : draw + 1].band(start, stop)
                assert torch.equal(band[0], whole[draw, :, start:stop])


def test_bands_without_a_row_around_them_are_caught():
    """Negative control: the check above on bands cut out without their neighbours."""
    coarse = LowResolutionLogits(_logits(), (24, 128))
    alone = LowResolutionLogits(coarse.logits[:1, :, 4:8], (8, 128)).full()
    assert not torch.equal(alone[0], coarse.full()[0, :, 8:16])


def test_where_bands_would_differ_there_are_none():
    """Heights that are no power of two times as large, and outputs for PyTorch's other kernel."""
    for size in [(36, 128), (30, 128), (24, 96)]:
        assert LowResolutionLogits(_logits(), size).step is None
    # What the rule guards against: other last bits, on this machine at least somewhere.
    thirds = LowResolutionLogits(_logits(size=(120, 50)), (360, 128)).full()
    piece = LowResolutionLogits(_logits(size=(120, 50))[:, :, 59:80], (63, 128)).full()
    assert not torch.equal(piece[:, :, 6:57], thirds[:, :, 183:234])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("height", [24, 36, 12])
@pytest.mark.parametrize("tile", [1, 20_000, 2**30])
def test_counts_do_not_depend_on_the_tile(layout, height, tile):
    coarse = LowResolutionLogits(_logits(layout=layout).round(decimals=1), (height, 160))
    full = coarse.full()
    expected = torch.nn.functional.one_hot(full.argmax(1), 5).sum(0).movedim(-1, 0)
    for scores in (coarse, full):
        decision = Decision(5, scores, tile=tile)
        counts = decision.new_counts(torch.uint8)
        decision.add_to(counts)
        assert torch.equal(counts.long(), expected)
        assert torch.equal(decision.labels(), full.argmax(1))
        assert decision.equal(full.argmax(1)[1]).tolist() == [False, True]


class Doubling(nn.Module):
    """Logits at half the size, enlarged."""

    def forward(self, x):
        return self.low_resolution(x).full()

    def low_resolution(self, x) -> LowResolutionLogits:
        return LowResolutionLogits(x[:, :, ::2, ::2], (x.shape[2], x.shape[3]))


class Other(Doubling):
    def forward(self, x):
        return -super().forward(x)


def test_only_the_same_function_is_taken():
    model = Doubling().eval()
    assert low_resolution_form(model) == model.low_resolution
    assert low_resolution_form(Other()) != Other().low_resolution
    hooked, replaced = Doubling().eval(), Doubling().eval()
    hooked.register_forward_hook(lambda module, given, output: -output)
    replaced.forward = lambda x: -model(x)
    x = torch.rand(3, 24, 160, generator=torch.Generator().manual_seed(1))
    votes = [
        cs.Smoothed(net, cs.Gaussian(0.25)).vote(x, 8, seed=1).counts
        for net in (Other().eval(), hooked, replaced, lambda batch: -model(batch), model)
    ]
    assert all((other == votes[0]).all() for other in votes[1:4])
    assert (votes[4] != votes[0]).any()


class Zooming(nn.Module):
    """Its ``low_resolution`` is a method of its own, no other form of its output."""

    def forward(self, x):
        return -self.low_resolution(x)

    def low_resolution(self, x):
        return x + 0.0


class Wrapping(Doubling):
    def __call__(self, x):
        return -super().__call__(x)


def test_another_method_of_that_name_is_no_promise():
    x = torch.rand(3, 24, 160, generator=torch.Generator().manual_seed(1))
    noise = cs.Gaussian(0.25)
    for model in (Zooming().eval(), Wrapping().eval()):
        assert low_resolution_form(model) is model
        votes = cs.Smoothed(model, noise).vote(x, 8, seed=1).counts
        called = cs.Smoothed(lambda batch, model=model: model(batch), noise)
        assert (votes == called.vote(x, 8, seed=1).counts).all()


def test_hooks_on_all_modules_are_not_passed_over():
    model = Doubling().eval()
    hook = nn.modules.module.register_module_forward_hook(lambda module, given, output: -output)
    try:
        assert low_resolution_form(model) is model
    finally:
        hook.remove()
    assert low_resolution_form(model) == model.low_resolution


def test_a_hook_on_the_base_of_a_stored_model_is_not_passed_over():
    plan = {"widths": [4, 8], "blocks": [0, 1], "num_classes": 3, "in_channels": 3}
    model = TrainedModel({"architecture": {**plan, "mean": [0.0], "std": [1.0]}})
    model.eval().base.register_forward_hook(lambda module, given, output: -output)
    x = torch.rand(1, 3, 24, 160, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        form = model.low_resolution(x)
        assert torch.equal(form.full() if isinstance(form, LowResolutionLogits) else form, model(x))


def test_a_child_of_that_name_is_no_promise():
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.low_resolution = nn.Identity()

        def forward(self, x):
            return -self.low_resolution(x)

    holder = Holder()
    assert low_resolution_form(holder) is holder


@pytest.mark.parametrize(
    "model",
    [
        SmallUNet(3, 5, widths=(4, 8), blocks=(0, 1)).eval(),
        Preprocess(SmallUNet(3, 5, widths=(4, 8), blocks=(0, 1)), mean=[0.5], std=[0.2]).eval(),
        Preprocess(SmallUNet(3, 5, widths=(4, 8), blocks=(0, 1)), scale=0.5).eval(),
        Preprocess(lambda x: x.argmax(1), scale=0.5).eval(),
    ],
    ids=["network", "inside preprocessing", "resized", "labels"],
)
def test_own_models_hand_over_what_they_return(model):
    """Votes by the coarse form are those of a function that returns full-size logits."""
    x = torch.rand(3, 40, 136, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        direct, form = model(x[None]), model.low_resolution(x[None])
    assert direct.shape[-2:] == (40, 136)
    assert torch.equal(direct, form.full() if isinstance(form, LowResolutionLogits) else form)
    noise = cs.Gaussian(0.25)
    votes = cs.Smoothed(model, noise, 5).vote(x, 6, seed=1, batch_size=3)
    plain = cs.Smoothed(lambda batch: model(batch), noise, 5).vote(x, 6, seed=1, batch_size=3)
    assert (votes.counts == plain.counts).all()


def test_a_function_may_return_low_resolution_logits():
    noise, x, height = cs.Gaussian(0.25), torch.rand(3, 32, 130), 32
    model = cs.Smoothed(lambda b: LowResolutionLogits(b[:, :, ::4, ::4], (height, 130)), noise)
    assert model.vote(x, 5, seed=1).shape == (32, 130)
    height = 16
    with pytest.raises(cs.InputError, match=r"one label per pixel of \(32, 130\)"):
        model.vote(x, 5)
