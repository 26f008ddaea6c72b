"""Fingerprints change with what they stand for, and with nothing else."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.models.grid import OnGrid
from certiseg.models.preprocess import Preprocess
from certiseg.sampling.fingerprint import input_fingerprint, model_fingerprint


def _net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()


def test_models():
    assert model_fingerprint(_net()) == model_fingerprint(_net())
    assert model_fingerprint(_net()) != model_fingerprint(_net(1))
    assert model_fingerprint(_net()) != model_fingerprint(_net().half())
    moved = _net()
    moved[1].running_mean += 1
    assert model_fingerprint(moved) != model_fingerprint(_net())
    unsaved = _net()
    unsaved.register_buffer("mean", torch.zeros(3), persistent=False)
    other = _net()
    other.register_buffer("mean", torch.ones(3), persistent=False)
    assert model_fingerprint(unsaved) != model_fingerprint(other)
    wider = nn.Sequential(*_net(), nn.ReLU()).eval()
    assert model_fingerprint(wider)[0] != model_fingerprint(_net())[0]


def test_functions():
    def one(x):
        return x

    def two(x):
        return x + 1

    assert model_fingerprint(one) != model_fingerprint(two)
    assert "function" in model_fingerprint(one)[1]


def test_functions_over_different_models_differ():
    a, b = _net(), _net(1)
    one, two = (lambda x: a(x)), (lambda x: b(x))
    assert model_fingerprint(one) == model_fingerprint(one)
    assert model_fingerprint(one) != model_fingerprint(two)
    assert model_fingerprint(a.forward)[0] == model_fingerprint(a.forward)[0]
    assert model_fingerprint(a.forward)[0] != model_fingerprint(b.forward)[0]


def test_functions_that_hold_other_things_differ():
    def scaled(by):
        return lambda x: x * by

    one, two = scaled(1), scaled(2)
    assert model_fingerprint(one)[0] != model_fingerprint(two)[0]
    name = model_fingerprint(functools.partial(torch.mul, other=2))[1]
    assert "mul" in name


class _Slotted:
    """A callable that knows no weak references."""

    __slots__ = ("by",)

    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, x):
        return x * self.by


def _closure(by: int):
    return lambda x: x * by


def _keyword(by: int):
    def model(x, *, by=by):
        return x * by

    return model


def _partial(by: int):
    return functools.partial(torch.mul, by)


@pytest.mark.parametrize("make", [_closure, _keyword, _Slotted, _partial])
def test_a_model_that_is_gone_is_not_taken_for_the_next(make):
    """Each model dies at once, and Python gives its id to the next."""
    prints = {model_fingerprint(make(by))[0] for by in range(50)}
    assert len(prints) == 50
    kept = make(0)
    assert model_fingerprint(kept) == model_fingerprint(kept)


def test_ids_are_used_again():
    """Negative control: what an id alone would tell apart."""
    assert len({id(_closure(by)) for by in range(50)}) < 50


def test_a_function_that_keeps_a_record_says_so():
    """What it keeps may be what it computes with, unless its author answers for it."""
    seen = []

    def model(x):
        seen.append(x)
        return x

    smooth, x = cs.Smoothed(model, cs.Gaussian(0.25), 3), torch.rand(3, 4, 5)
    with pytest.raises(cs.InputError, match="name what it only writes to"):
        smooth.vote(x, 5, seed=1)
    model.not_fingerprinted = ("seen",)
    total = smooth.vote(x, 5, seed=1) + smooth.vote(x, 5, seed=1, first_draw=5)
    assert total.trials == 10
    assert [name.rpartition(".")[2] for name in total.source.not_covered] == ["seen"]


def test_inputs():
    x = torch.rand(3, 4, 5)
    assert input_fingerprint(x) == input_fingerprint(x.clone())
    assert input_fingerprint(x) != input_fingerprint(x.reshape(3, 5, 4))
    assert input_fingerprint(x) != input_fingerprint(x.double())
    assert input_fingerprint(x) == input_fingerprint(x.transpose(1, 2).contiguous().transpose(1, 2))


def test_a_changed_model_is_noticed_between_calls():
    model = _net()
    smooth = cs.Smoothed(model, cs.Gaussian(0.25))
    x = torch.rand(3, 4, 5)
    first = smooth.vote(x, 5)
    model[0].weight.data.mul_(-1)  # unseen by PyTorch's version counter
    assert smooth.vote(x, 5).source.model != first.source.model


def _halved(x):
    return x[:, :2] / 2


def _doubled(x):
    return x[:, :2] * 2


@pytest.mark.parametrize("wrap", [Preprocess, lambda f: OnGrid(f, 1)])
def test_functions_inside_a_wrapper_count(wrap):
    """A module without weights of its own is what the function inside makes of it."""
    halved, doubled = (model_fingerprint(wrap(f))[0] for f in (_halved, _doubled))
    assert halved != doubled
    assert halved == model_fingerprint(wrap(_halved))[0]


class _Wrap:
    """A callable object, of no type that could be listed beforehand."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def __call__(self, x):
        return self.net(x)


def test_callable_objects_inside_a_wrapper_count():
    one, other = OnGrid(_Wrap(_net(0)), 1), OnGrid(_Wrap(_net(1)), 1)
    assert model_fingerprint(one)[0] != model_fingerprint(other)[0]
    votes = [
        cs.Smoothed(model, cs.Gaussian(0.25), output_grid=True).vote(
            torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)),
            8,
            seed=1,
            first_draw=8 * i,
        )
        for i, model in enumerate((one, other))
    ]
    with pytest.raises(cs.InputError, match="different model"):
        votes[0] + votes[1]
    with pytest.raises(cs.InputError, match="evaluation mode"):
        cs.Smoothed(OnGrid(_Wrap(_net().train()), 1), cs.Gaussian(0.25), output_grid=True)


def test_a_source_notices_another_model_and_keeps_its_input():
    net, x = _net(), torch.full((3, 8, 8), 0.5)
    source = cs.Smoothed(net, cs.Gaussian(0.25)).source(x, seed=1)
    first = source.more(4)
    x.zero_()
    again = cs.Smoothed(net, cs.Gaussian(0.25)).vote(
        torch.full((3, 8, 8), 0.5), 4, seed=1, first_draw=4
    )
    assert ((first + source.more(4)).counts == (first + again).counts).all()
    with torch.no_grad():
        net[0].weight.mul_(-1)
    with pytest.raises(cs.InputError, match="one model for all draws, got another"):
        source.more(4)


def test_functions_without_a_source_of_their_own_differ():
    """Lambdas of one line, and functions of code that is in no file."""
    # fmt: off
    one, two = lambda x: x, lambda x: -x
    # fmt: on
    assert model_fingerprint(one)[0] != model_fingerprint(two)[0]

    def made(body: str):
        names: dict[str, object] = {}
        exec(f"def model(x):\n    return {body}\n", names)
        return names["model"]

    prints = [model_fingerprint(made(body))[0] for body in ("x * 2", "x * 3", "x + 2", "x * 2.0")]
    assert len(set(prints)) == 4
    assert model_fingerprint(made("x * 2"))[0] == prints[0]


@pytest.mark.parametrize(
    "body",
    [
        "def forward(self, x): return self.half(x) + 1",
        "def forward(self, x): return self.half(x) * 2",
        "def forward(self, x): return self.half(x)\n    def half(self, x): return x / 4",
        "forward = lambda self, x: self.half(x)\n    @staticmethod\n    def half(x): return x / 4",
        "forward = lambda self, x: self.half(x)\n    @property\n    def half(self): return abs",
    ],
)
def test_classes_of_one_name_with_other_code_differ(body):
    """Their layers print alike and have no weights."""

    def made(body: str) -> nn.Module:
        names: dict[str, type[nn.Module]] = {"Module": nn.Module}
        plain = "" if "def half" in body else "    def half(self, x): return x / 2\n"
        exec(f"class Net(Module):\n{plain}    {body}\n", names)
        # Within another: its layers count as much as itself.
        return nn.Sequential(nn.ReLU(), names["Net"]()).eval()

    first = "def forward(self, x): return self.half(x)"
    assert model_fingerprint(made(first)) == model_fingerprint(made(first))
    assert model_fingerprint(made(first))[0] != model_fingerprint(made(body))[0]


def test_a_method_that_is_replaced_is_noticed(monkeypatch):
    class Net(nn.Module):
        def forward(self, x):
            return x

    before = model_fingerprint(Net())
    assert model_fingerprint(Net()) == before
    monkeypatch.setattr(Net, "forward", lambda self, x: -x)
    assert model_fingerprint(Net())[0] != before[0]


def test_methods_that_share_a_line_differ():
    both = (lambda self, x: x, lambda self, x: -x)
    one, two = (type("Net", (nn.Module,), {"forward": forward})() for forward in both)
    assert model_fingerprint(one)[0] != model_fingerprint(two)[0]
