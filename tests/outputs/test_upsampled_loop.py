"""The compiled loop counts what upsampling, argmax and counting do, and raises what they raise."""

from __future__ import annotations

import inspect

import pytest
import torch

import certiseg as cs
from certiseg.outputs import decision, upsampled_loop
from certiseg.outputs.decision import Decision
from certiseg.outputs.low_resolution import LowResolutionLogits

numba = pytest.importorskip("numba")
LAYOUTS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])


def _smooth(classes=5, size=(12, 70), batch=3, seed=0) -> torch.Tensor:
    """Logits with areas of one label and borders between them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, classes, 4, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic")
    return 5 * fine + 0.1 * torch.randn(fine.shape, generator=generator)


def _counts(scores, dtype=torch.uint8, loop=True) -> torch.Tensor:
    found = Decision(scores.shape[1], scores)
    counts = found.new_counts(dtype)
    with pytest.MonkeyPatch.context() as patch:
        if not loop:
            patch.setattr(decision, "compiled", lambda loop: None)
        found.add_to(counts)
    return counts


def _close() -> torch.Tensor:
    """Two classes of which the second is higher everywhere, by one unit in the last place: once
    upsampled, they may be equal."""
    low = 1 + torch.rand(2, 1, 16, 64, generator=torch.Generator().manual_seed(5))
    return torch.cat([low, low.nextafter(torch.tensor(2.0))], dim=1)


def _outcome(scores, loop=True) -> object:
    """Counts, or the error."""
    try:
        return _counts(scores, loop=loop).tolist()
    except cs.InputError as error:
        return str(error)


def _left(scores) -> list[tuple[int, slice]] | None:
    found = Decision(scores.shape[1], scores)
    return found._counted(found.new_counts(torch.uint8))


@LAYOUTS
@pytest.mark.parametrize("factors", [(1, 2), (2, 2), (4, 4), (2, 8), (16, 2), (8, 4)])
@pytest.mark.parametrize("size", [(12, 70), (1, 128), (37, 65)])
def test_counts_are_those_of_the_plain_way(layout, factors, size):
    logits = _smooth(size=size).contiguous(memory_format=layout)
    scores = LowResolutionLogits(logits, (size[0] * factors[0], size[1] * factors[1]))
    assert _left(scores) is not None
    for dtype in (torch.uint8, torch.int16, torch.int32, torch.int64):
        assert torch.equal(_counts(scores, dtype), _counts(scores, dtype, loop=False))


def test_most_is_decided():
    """The loop is of use: of smooth logits almost no row is left."""
    scores = LowResolutionLogits(_smooth(size=(64, 64), batch=4), (256, 256))
    assert sum(rows.stop - rows.start for _, rows in _left(scores)) < 0.1 * 4 * 256


@LAYOUTS
@pytest.mark.parametrize("decimals", [0, 1])
def test_ties_go_to_the_first(layout, decimals):
    """Rounded logits: the same values in many classes and pixels."""
    logits = _smooth(size=(20, 64)).round(decimals=decimals).contiguous(memory_format=layout)
    scores = LowResolutionLogits(logits, (40, 128))
    assert _left(scores)
    assert torch.equal(_counts(scores), _counts(scores, loop=False))
    none = LowResolutionLogits(torch.zeros(2, 3, 10, 64), (40, 128))
    assert _counts(none)[0].eq(2).all()


def test_differences_in_the_last_bits():
    """Classes that differ by a few units in the last place, of either sign, large and small."""
    generator = torch.Generator().manual_seed(2)
    for size in (1.0, -1.0, 1e-30, 1e30, 1e-42):
        logits = torch.full((2, 4, 16, 64), size)
        nudged = logits.view(torch.int32) + torch.randint(-9, 9, logits.shape, generator=generator)
        scores = LowResolutionLogits(nudged.int().view(torch.float32), (64, 256))
        assert torch.equal(_counts(scores), _counts(scores, loop=False))
    rounded = LowResolutionLogits(_close(), (64, 256))
    assert _counts(rounded, loop=False)[0].any()
    assert torch.equal(_counts(rounded), _counts(rounded, loop=False))


def test_masked_classes_do_not_hide_the_others():
    logits = _smooth(size=(64, 64))
    logits[:, 2] = -1e9
    scores = LowResolutionLogits(logits, (256, 256))
    assert sum(rows.stop - rows.start for _, rows in _left(scores)) < 0.1 * 3 * 256
    assert torch.equal(_counts(scores), _counts(scores, loop=False))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 3e38, -3e38])
def test_what_is_not_finite_is_left_to_the_plain_way(value):
    """The same counts or the same error: one value in one class, in all classes of a pixel, and one
    class everywhere."""
    for places in ((1, 2, 3, 5), (1, slice(None), 3, 5), (slice(None), 2)):
        logits = _smooth(size=(12, 64))
        logits[places] = value
        scores = LowResolutionLogits(logits, (24, 128))
        assert _outcome(scores) == _outcome(scores, loop=False)


def test_other_outputs_are_counted_the_plain_way():
    logits = _smooth(size=(12, 64))
    for scores in (
        logits,
        LowResolutionLogits(logits.double(), (24, 128)),
        LowResolutionLogits(logits.bfloat16(), (24, 128)),
        LowResolutionLogits(logits, (24, 150)),  # weights that are not exact
        LowResolutionLogits(logits, (36, 128)),
        LowResolutionLogits(logits, (24, 64)),  # PyTorch's kernel for small outputs
    ):
        assert _left(scores) is None
        assert torch.equal(_counts(scores), _counts(scores, loop=False))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert _left(LowResolutionLogits(logits, (24, 128))) is None


def test_many_classes_and_threads():
    logits = _smooth(classes=300, size=(70, 40), batch=2)
    scores = LowResolutionLogits(logits, (140, 160))
    held = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(_counts(scores))
    finally:
        torch.set_num_threads(held)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], _counts(scores, loop=False))


def test_pytorch_is_as_exact_as_is_assumed():
    """Upsampled logits are within 8 u of the sum of their weighted sizes, in both layouts."""
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 6, 30, 64, generator=generator) * 100
    for layout in (torch.contiguous_format, torch.channels_last):
        for factor in (2, 4, 8):
            size = (30 * factor, 64 * factor)
            given = logits.contiguous(memory_format=layout)
            exact, most = (
                LowResolutionLogits(values.double(), size).full() for values in (given, given.abs())
            )
            error = (LowResolutionLogits(given, size).full().double() - exact).abs()
            assert (error <= 4.2 * 2.0**-24 * most).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("apart > _ERROR * size + _UNDERFLOW", "True"),
        ("highest - next_ > _ERROR * size + _UNDERFLOW", "True"),
        ("- 0.5 - y", "- y"),
        ("+ 0.5 - x", "+ 1.0 - x"),
        ("one[x] == other[x]", "True"),
        ("not abs(odd[x]) < np.inf", "False"),
    ],
)
def test_a_wrong_loop_is_caught(right, wrong):
    """Negative control: the checks above on loops with one error."""
    text = inspect.getsource(upsampled_loop.count_upsampled)
    assert right in text
    names = dict(vars(upsampled_loop))
    exec(f"from __future__ import annotations\n{text.replace(right, wrong)}", names)
    broken = numba.njit(error_model="numpy")(names["count_upsampled"])
    wrong_number = _smooth(size=(16, 64))
    wrong_number[0, 2, 5, 5] = torch.nan
    differ = []
    for logits in (_smooth(size=(16, 64)), _close(), wrong_number):
        scores = LowResolutionLogits(logits, (64, 256))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decision, "compiled", lambda loop: broken)
            found = _outcome(scores)
        differ.append(found != _outcome(scores, loop=False))
    assert any(differ)
