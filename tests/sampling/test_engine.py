"""Engines: every fast path counts what the plain one counts; what changes a model is recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.certificates.statement import statement
from certiseg.models.preprocess import Preprocess

NOISE = cs.Gaussian(0.25)
X = torch.rand(3, 24, 40, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A convolution whose products and sums are exact: any layout, batch or precision of sums
    gives the same logits. Its input is rounded to sixteenths, its weights are whole."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        weight = torch.arange(4 * 3 * 9).reshape(4, 3, 3, 3) % 7 - 3
        self.conv.weight = nn.Parameter(weight.float())

    def forward(self, x):
        return self.conv((x * 16).round() / 16)


def plainly(model, x, draws, seed) -> np.ndarray:
    """Votes (H, W, C) by the longest way: one draw at a time, full logits, NumPy's argmax."""
    smooth = cs.Smoothed(model, NOISE)
    counts = 0
    for draw in range(draws):
        noisy = smooth.noisy(x, seed=seed, draw=draw)
        with torch.inference_mode():
            logits = model(noisy[None])[0]
        counts = counts + np.eye(len(logits), dtype=int)[logits.float().numpy().argmax(0)]
    return counts


@pytest.mark.parametrize("batch_size", [1, 7, None])
@pytest.mark.parametrize(
    "engine",
    [cs.Engine(), cs.Engine(channels_last=True), cs.Engine(noise_on="device")],
    ids=["default", "channels last", "noise on the device"],
)
def test_every_engine_counts_what_the_plain_way_counts(engine, batch_size):
    model = Net().eval()
    smooth = cs.Smoothed(model, NOISE, engine=engine)
    votes = smooth.vote(X, 30, seed=3, batch_size=batch_size)
    assert np.array_equal(votes.counts, plainly(model, X, 30, 3))


def test_one_wrong_label_in_one_draw_is_caught():
    """Negative control: the check above, where one pixel of one draw got another label."""
    model, calls = Net().eval(), []

    def off(batch):
        logits = model(batch)
        if not calls:
            logits[0, :, 0, 0] = -logits[0, :, 0, 0]
        calls.append(0)
        return logits

    off.not_fingerprinted = ("calls",)
    votes = cs.Smoothed(off, NOISE).vote(X, 30, seed=3, batch_size=7)
    assert np.abs(votes.counts - plainly(model, X, 30, 3)).sum() == 2


def test_layouts_and_compilation_do_not_mix():
    """The noise is the same, the model's arithmetic may not be: such votes never add up."""
    model = Net().eval()
    plain = cs.Smoothed(model, NOISE).vote(X, 5, seed=1)
    for engine in (cs.Engine(channels_last=True), cs.Engine(precision="bfloat16")):
        other = cs.Smoothed(model, NOISE, engine=engine).vote(X, 5, seed=1, first_draw=5)
        with pytest.raises(cs.InputError, match="different engine"):
            plain + other
    device = cs.Smoothed(model, NOISE, engine=cs.Engine(noise_on="device"))
    both = plain + device.vote(X, 5, seed=1, first_draw=5)
    assert np.array_equal(both.counts, cs.Smoothed(model, NOISE).vote(X, 10, seed=1).counts)


def test_the_generator_is_recorded():
    source = cs.Smoothed(Net().eval(), NOISE).vote(X, 2, seed=1).source
    assert source.engine["generator"] == (
        "Philox 4x64, 64 bits a value, sums rounded to multiples of 2^-10"
    )
    assert set(source.engine) == {"generator", "torch", "device", "precision"}


def test_precision_is_that_of_the_passes_and_stands_in_the_statement():
    seen = []

    class Spy(Net):
        def forward(self, x):
            logits = super().forward(x)
            seen.append(logits.dtype)
            return logits

        forward.not_fingerprinted = ("seen",)

    engine = cs.Engine(precision="bfloat16")
    votes = cs.Smoothed(Spy().eval(), NOISE, engine=engine).vote(X, 100, seed=1, batch_size=50)
    assert set(seen) == {torch.bfloat16}
    assert votes.source.engine["precision"] == "float32, autocast bfloat16"
    certificate = cs.certify(votes, noise=NOISE)
    assert ", computed in float32, autocast bfloat16" in statement(certificate)
    plain = replace(votes, source=replace(votes.source, engine={"precision": "float32"}))
    assert "computed in" not in statement(cs.certify(plain, noise=NOISE))


def test_an_autocast_around_the_call_is_kept_and_recorded():
    smooth = cs.Smoothed(Net().eval(), NOISE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        votes = smooth.vote(X, 2, seed=1)
    assert votes.source.engine["precision"] == "float32, autocast bfloat16"


def test_a_source_notices_another_precision():
    """Draws are asked for later, perhaps in a context that was not there when it was made."""
    source = cs.Smoothed(Net().eval(), NOISE).source(X, seed=1)
    lower = torch.autocast("cpu", dtype=torch.bfloat16)
    with lower, pytest.raises(cs.InputError, match="expected passes in float32, as the draws"):
        source.more(2)


def test_a_session_of_half_precision_is_recorded():
    """It has no parameters that would tell; ONNX models say it, also inside preprocessing."""

    class Session(nn.Module):
        dtype = torch.float16

        def forward(self, x):
            return x.half()

    for model in (Session().eval(), Preprocess(Session(), mean=[0.5]).eval()):
        votes = cs.Smoothed(model, NOISE).vote(X, 2, seed=1)
        assert votes.source.engine["precision"] == "float16"
    assert cs.Smoothed(Net().eval(), NOISE).vote(X, 2).source.engine["precision"] == "float32"


def test_matrix_products_of_less_precision_are_recorded():
    model, given = Net().eval(), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        votes = cs.Smoothed(model, NOISE).vote(X, 2, seed=1)
    finally:
        torch.set_float32_matmul_precision(given)
    assert votes.source.engine["precision"] == "float32, matrix products of high precision"
    with pytest.raises(cs.InputError, match="different engine"):
        cs.Smoothed(model, NOISE).vote(X, 2, seed=1, first_draw=2) + votes


def test_counts_are_narrow_and_not_copied():
    votes = cs.Smoothed(Net().eval(), NOISE).vote(X, 30, seed=1)
    assert votes.counts.dtype == np.uint8
    assert votes.counts.base is not None
    assert votes.counts.strides == (40, 1, 24 * 40)
    assert cs.Smoothed(Net().eval(), NOISE).vote(X, 300, seed=1).counts.dtype == np.int16


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"precision": "fp16"}, "expected precision float32, bfloat16 or float16, got 'fp16'"),
        ({"noise_on": "cuda"}, "expected noise_on host or device, got 'cuda'"),
        ({"channels_last": 1}, "expected channels_last True or False, got 1"),
        ({"cuda_graphs": True}, "expected compile with cuda_graphs"),
    ],
)
def test_bad_options(options, part):
    with pytest.raises(cs.InputError) as info:
        cs.Engine(**options)
    assert part in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("engine", "part"),
    [
        (cs.Engine(precision="float16"), "expected float32 or bfloat16 on a CPU, got float16"),
        (cs.Engine(compile=True, cuda_graphs=True), "expected a CUDA device with cuda_graphs"),
    ],
)
def test_what_a_cpu_cannot_do_is_refused_before_the_first_pass(engine, part):
    def never(batch):
        raise AssertionError

    with pytest.raises(cs.InputError, match=part):
        cs.Smoothed(never, NOISE, 3, engine=engine).vote(X, 2)


def test_an_engine_is_an_engine():
    with pytest.raises(cs.InputError, match="expected an engine such as"):
        cs.Smoothed(Net().eval(), NOISE, engine="bfloat16")


@pytest.mark.slow
def test_compiled_models_count_what_the_plain_way_counts():
    model = Net().eval()
    smooth = cs.Smoothed(model, NOISE, engine=cs.Engine(compile=True))
    votes = smooth.vote(X, 12, seed=3, batch_size=5)
    assert np.array_equal(votes.counts, plainly(model, X, 12, 3))
    assert votes.source.engine["compiled"] == "torch.compile"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(
    "options",
    [{}, {"noise": "device"}, {"channels_last": True}, {"compile": True, "cuda_graphs": True}],
)
def test_on_a_gpu(options):
    model = Net().eval()
    expected = plainly(model, X, 30, 3)
    smooth = cs.Smoothed(model.cuda(), NOISE, device="cuda", engine=cs.Engine(**options))
    assert np.array_equal(smooth.vote(X, 30, seed=3, batch_size=7).counts, expected)
