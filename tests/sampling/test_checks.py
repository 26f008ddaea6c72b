"""Bad input to Smoothed: one line that says expected, got and the remedy."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.errors import Hint
from certiseg.models.preprocess import Preprocess

NOISE = cs.Gaussian(0.25)
GOOD = torch.full((3, 4, 5), 0.5)


def _model(batch):
    return batch


def _with(value: float) -> torch.Tensor:
    x = GOOD.clone()
    x[0, 0, 0] = value
    return x


@pytest.mark.parametrize(
    ("x", "parts"),
    [
        (GOOD.permute(1, 2, 0) * 255, ["(C, H, W)", "(4, 5, 3)", "maximum 127.5", "permute"]),
        (GOOD.permute(1, 2, 0), ["(C, H, W)", "(4, 5, 3)", "permute(2, 0, 1)"]),
        (GOOD[None], ["one input", "(1, 3, 4, 5)", "one by one"]),
        (_with(1.5), ["[0, 1]", "[0.5, 1.5]", "255"]),
        (_with(-0.01), ["[0, 1]", "[-0.01, 0.5]"]),
        # Written as [0.5, 1] it would be as expected.
        (_with(1 + 2**-23), ["[0, 1]", "[0.5, 1.0000001192092896]", "x.clip(0, 1)"]),
        (_with(-(2**-30)), ["[0, 1]", "[-9.31323e-10, 0.5]", "x.clip(0, 1)"]),
        (_with(float("nan")), ["finite", "NaN"]),
        (_with(float("inf")), ["finite"]),
        ((GOOD * 255).to(torch.uint8), ["float", "uint8", "/ 255"]),
        (torch.zeros(3, 0, 5), ["(3, 0, 5)", "empty"]),
        (np.zeros((3, 4, 5), dtype=np.int64), ["float", "int64"]),
    ],
)
def test_bad_input(x, parts):
    with pytest.raises(cs.InputError) as info:
        cs.Smoothed(_model, NOISE).vote(x, 10)
    assert "\n" not in str(info.value)
    for part in parts:
        assert part in str(info.value)


class Volumes(nn.Module):
    kind = "volumes"

    def forward(self, x):
        return torch.cat([x, 1 - x], 1)


def test_a_volume_of_depth_three_is_no_batch():
    """One that is declared passes, on a model that is asked for volumes or says that it is of
    them; a batch of RGB images is refused, with the remedy for the other."""
    x = torch.full((1, 3, 4, 5), 0.5)
    for smooth in (
        cs.Smoothed(Volumes().eval(), NOISE),
        cs.Smoothed(lambda x: torch.cat([x, 1 - x], 1), NOISE, volumes=True),
    ):
        assert smooth.vote(x, 3).shape == (3, 4, 5)
    for smooth in (cs.Smoothed(_model, NOISE), cs.Smoothed(Volumes().eval(), NOISE, volumes=False)):
        with pytest.raises(cs.InputError, match=r"a batch of shape .* pass volumes=True"):
            smooth.vote(x, 3)


def test_other_domains_can_be_allowed():
    votes = cs.Smoothed(_model, NOISE, value_range=None).vote(_with(-3.0), 10)
    assert votes.source.value_range is None


def test_numpy_images_are_welcome():
    votes = cs.Smoothed(_model, NOISE).vote(GOOD.numpy(), 10)
    assert votes.shape == (4, 5)


@pytest.mark.parametrize(
    ("model", "classes", "part"),
    [
        (
            lambda x: x[:, :, ::2],
            None,
            "one label per pixel of (4, 5), got an output of size (2, 5)",
        ),
        (lambda x: x, 7, "logits of 7 classes on axis 1, got shape"),
        (lambda x: x.argmax(1), None, "num_classes"),
        (lambda x: x.argmax(1), 2, "labels in [0, 1]"),
        (lambda x: x.argmax(1) - 1, 3, "labels in [0, 2]"),
        (lambda x: x[:1], 3, "one output for each of"),
        (lambda x: x * float("nan"), 3, "NaN"),
        (lambda x: "labels", 3, "got str"),
        (lambda x: {"aux": x}, 3, "got dict"),
        (lambda x: x > 0, 3, "boolean masks"),
        (lambda x: x.cfloat(), 3, "logits (B, C, *out) or integer labels"),
        (lambda x: x.argmax(1).float(), None, "output.long()"),
    ],
)
def test_models_that_do_not_fit(model, classes, part):
    x = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    with pytest.raises(cs.InputError) as info:
        cs.Smoothed(model, NOISE, classes).vote(x, 10, batch_size=5)
    assert part in str(info.value)
    assert "\n" not in str(info.value)


class DropPath(nn.Module):
    """Named like the layer of model libraries."""

    def forward(self, x):
        return x


@pytest.mark.parametrize(
    "layer",
    [nn.BatchNorm2d(3), nn.SyncBatchNorm(3), nn.Dropout(0.1), nn.Dropout2d(0.1),
     nn.InstanceNorm2d(3, track_running_stats=True), nn.RReLU(), DropPath()],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_training_mode_is_an_error(layer):
    model = nn.Sequential(nn.Conv2d(3, 3, 1), layer)
    with pytest.raises(cs.InputError, match=r"evaluation mode, got \w+ '1'.*model.eval\(\)"):
        cs.Smoothed(model, NOISE)
    smooth = cs.Smoothed(model.eval(), NOISE)
    model.train()
    with pytest.raises(cs.InputError, match="evaluation mode"):
        smooth.vote(GOOD, 10)


def _hidden(net: nn.Module) -> dict[str, object]:
    class Holder:
        def __init__(self):
            self.parts = [net]

        def __call__(self, x):
            return self.parts[0](x)

    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = lambda x: net(x)

        def forward(self, x):
            return self.inner(x)

    def inner(x):
        return net(x)

    return {
        "closure": lambda x: net(x),
        "closure in a closure": lambda x: inner(x),
        "method": net.forward,
        "partial": functools.partial(lambda model, x: model(x), net),
        "default": lambda x, model=net: model(x),
        "callable object": Holder(),
        "function in a module": Wrapper().eval(),
        "script": torch.jit.script(net),
        "trace": torch.jit.trace(net, torch.rand(2, 3, 4, 5)),
        "Preprocess": Preprocess(lambda x: net(x)).eval(),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", list(_hidden(nn.Sequential(nn.BatchNorm2d(3)))))
def test_training_mode_is_found_inside_wrappers(name):
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).train()
    with pytest.raises(cs.InputError, match="evaluation mode"):
        cs.Smoothed(_hidden(net)[name], NOISE)
    cs.Smoothed(_hidden(net.eval())[name], NOISE).vote(GOOD, 3)


class Holder(nn.Module):
    """Keeps a layer where eval() does not reach it."""

    def __init__(self, held):
        super().__init__()
        self.held = held

    def forward(self, x):
        return x


@pytest.mark.parametrize(
    "hold",
    [lambda m: [m], lambda m: (m,), lambda m: {"a": m}, lambda m: {"a": [(m,)]}],
    ids=["list", "tuple", "dict", "nested"],
)
def test_modules_out_of_sight_of_eval_are_found(hold):
    model = Holder(hold(nn.BatchNorm2d(3))).eval()
    with pytest.raises(cs.InputError, match="evaluation mode, got BatchNorm2d"):
        cs.Smoothed(nn.Sequential(model), NOISE)
    cs.Smoothed(Holder(hold(nn.BatchNorm2d(3).eval())).eval(), NOISE)


def test_own_layers_must_be_in_evaluation_mode():
    """Their forward may ask for self.training; layers of torch that never do may be in either."""
    with pytest.raises(cs.InputError, match=r"got Holder '1' in training mode; call model.eval"):
        cs.Smoothed(nn.Sequential(nn.Conv2d(3, 3, 1), Holder(None)), NOISE)
    cs.Smoothed(nn.Sequential(nn.Conv2d(3, 3, 1), Holder(None).eval()), NOISE)
    cs.Smoothed(torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 3, 1))).train(), NOISE)


GLOBAL_NET = nn.Sequential(nn.BatchNorm2d(3)).train()


def test_training_mode_is_found_behind_a_global():
    with pytest.raises(cs.InputError, match="evaluation mode"):
        cs.Smoothed(lambda x: GLOBAL_NET(x), NOISE)


def test_attention_dropout_is_found():
    with pytest.raises(cs.InputError, match="MultiheadAttention"):
        cs.Smoothed(nn.Sequential(nn.MultiheadAttention(4, 2, dropout=0.1)), NOISE)


def test_models_elsewhere_are_named(monkeypatch):
    model = nn.Conv2d(3, 3, 1)
    with pytest.raises(cs.InputError, match=r"weights on cpu; move it first with model.to"):
        cs.Smoothed(model, NOISE, device="meta").vote(GOOD, 3)
    # What a plain list holds is not moved with the model.
    model.kept = [nn.Conv2d(3, 3, 1)]
    with pytest.raises(cs.InputError, match=r"weights on cpu; .* nn.ModuleList"):
        cs.Smoothed(model.to("meta"), NOISE).vote(GOOD, 3)


@pytest.mark.parametrize(
    "x",
    [
        GOOD.numpy()[:, ::-1],
        GOOD.numpy().astype(">f4"),
        GOOD.numpy().astype(np.longdouble),
        GOOD.numpy().astype(np.float16),
        GOOD.transpose(1, 2),
        GOOD.clone().requires_grad_(),
    ],
    ids=["negative strides", "big endian", "long double", "half", "transposed", "gradient"],
)
def test_unusual_memory_is_welcome(x):
    assert cs.Smoothed(_model, NOISE).vote(x, 3).trials == 3


def test_batch_statistics_in_evaluation_mode_are_an_error():
    model = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)).eval()
    with pytest.raises(cs.InputError, match="evaluation mode"):
        cs.Smoothed(model, NOISE)


def test_dynamic_quantisation_shares_a_scale_over_the_batch():
    model = nn.Sequential(nn.Linear(5, 3)).eval()
    dynamic = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(cs.InputError, match="quantise it statically"):
        cs.Smoothed(dynamic, NOISE)
    cs.Smoothed(model, NOISE)


def test_layers_that_do_not_care_may_be_in_training_mode():
    cs.Smoothed(nn.Sequential(nn.Conv2d(3, 3, 1), nn.InstanceNorm2d(3), nn.LayerNorm(5)), NOISE)


def test_batchnorm_in_training_mode_would_mix_draws():
    """Negative control: why it is an error. The label of a draw depends on its neighbours."""
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(3).train()
    batch = torch.rand(4, 3, 4, 5)
    alone = layer(batch[:1]).argmax(1)
    together = layer(batch * torch.tensor([1.0, 9, 9, 9])[:, None, None, None])[:1].argmax(1)
    assert not torch.equal(alone, together)


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda s: s.vote(GOOD, 0), "at least 1"),
        (lambda s: s.vote(GOOD, 2.5), "whole number"),
        (lambda s: s.vote(GOOD, 10, batch_size=0), "at least 1"),
        (lambda s: s.vote(GOOD, 10, first_draw=-1), "first_draw"),
        (lambda s: s.vote(GOOD, 10, first_draw=0.5), "first_draw"),
        (lambda s: s.vote(GOOD, 10, first_draw=2**64), "first_draw"),
        (lambda s: s.vote(GOOD, 10, seed=-3), "seed"),
        (lambda s: s.certify(GOOD, tau=0.3), "tau"),
        (lambda s: s.certify(GOOD, alpha=2.0), "alpha"),
        (lambda s: s.certify(GOOD, correction="x"), "correction"),
        (lambda s: s.certify(GOOD, selection="split", selection_samples=0), "at least 1"),
        (lambda s: s.vote_joint(GOOD, np.zeros(3, int), 10), "candidates of shape"),
    ],
)
def test_bad_arguments(call, part):
    with pytest.raises(cs.InputError, match=part):
        call(cs.Smoothed(_model, NOISE))


@pytest.mark.parametrize(
    ("noise", "value_range", "said"),
    [
        (cs.Gaussian(0.25), (0, 255), "usual sigma is 63.75"),
        (cs.Gaussian(0.009), (0, 1), "sigma 0.009 is below 1 %"),
        (cs.Gaussian(0.01), (0, 1), None),
        (cs.Gaussian(2.6), (0, 255), None),
        (cs.Gaussian(0.25), None, None),
        (cs.Rotation(0.001), (-1, 1), None),
    ],
)
def test_noise_in_another_unit_than_the_domain_is_hinted_at(noise, value_range, said):
    if said is None:
        cs.Smoothed(_model, noise, value_range=value_range)  # warnings are errors in tests
        return
    with pytest.warns(Hint, match="units of the input") as warned:
        cs.Smoothed(_model, noise, value_range=value_range)
    assert said in str(warned[0].message)
    assert warned[0].filename == __file__


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: cs.Smoothed("net", NOISE), "callable model, got str"),
        (lambda: cs.Smoothed(_model, NOISE, 0), "num_classes >= 2"),
        (lambda: cs.Smoothed(_model, 0.25), "a noise such as"),
    ],
)
def test_bad_construction(make, part):
    with pytest.raises(cs.InputError, match=part):
        make()
