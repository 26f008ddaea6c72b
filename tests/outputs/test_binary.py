"""One channel, and channels that overlap: labels by threshold, as declared, and never by argmax."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.outputs.decide import decide, posterior
from certiseg.outputs.tensors import BinaryScores

RNG = np.random.default_rng(0)
BATCH = torch.zeros(4, 3, 5, 6)


def _declared(output: object, kind: str = "probability", threshold: float = 0.5, many=False):
    return BinaryScores(output, BinaryOutput(kind, threshold, many))


def _labels(output: object, *declared, batch: torch.Tensor = BATCH, **options):
    return decide(_declared(output, *declared), batch, None, **options).labels().numpy()


@pytest.mark.parametrize("threshold", [0.5, 0.3, 1e-6, 1 - 1e-6])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_label_1_is_strictly_above_the_threshold(threshold, dtype):
    """Compared as real numbers: at the threshold, and at the two values next to it."""
    at = torch.tensor(threshold, dtype=dtype).double()
    near = torch.tensor(threshold, dtype=torch.float32)
    around = torch.cat([near.nextafter(torch.tensor(end)).reshape(1) for end in (0.0, 1.0)])
    values = torch.cat([at.reshape(1), around.double(), torch.rand(117).double()]).to(dtype)
    maps = values.clamp(0, 1).reshape(4, 1, 5, 6)
    expected = maps[:, 0].double().numpy() > threshold
    assert np.array_equal(_labels(maps, "probability", threshold), expected)
    decision = decide(_declared(maps, "probability", threshold), BATCH, 2)
    counts = decision.new_counts(torch.uint8)
    decision.add_to(counts)
    assert np.array_equal(counts[1].numpy(), expected.sum(0))
    assert (decision.num_classes, decision.size) == (2, (5, 6))


@pytest.mark.parametrize("threshold", [0.5, 0.3, 0.9])
def test_a_logit_is_compared_with_the_logit_of_the_threshold(threshold):
    logits = torch.from_numpy(RNG.normal(scale=3, size=(4, 1, 5, 6)))
    logits[0, 0, 0, :3] = torch.tensor([-math.inf, math.inf, 0.0])
    expected = logits[:, 0].sigmoid().numpy() > threshold
    assert np.array_equal(_labels(logits, "logit", threshold), expected)
    if threshold == 0.5:
        assert not _labels(logits, "logit", threshold)[0, 0, 2]


def test_the_channel_may_have_an_axis_or_none():
    maps = torch.rand(4, 1, 5, 6)
    expected = maps[:, 0].numpy() > 0.5
    forms = (
        maps,
        maps[:, 0],
        maps.numpy(),
        {"out": maps},
        SimpleNamespace(logits=maps),
        maps > 0.5,
    )
    for form in forms:
        assert np.array_equal(_labels(form), expected)
    volume = torch.rand(2, 1, 3, 4, 5)
    for form in (volume, volume[:, 0]):
        assert np.array_equal(_labels(form, batch=volume), volume[:, 0].numpy() > 0.5)
    cloud = torch.rand(2, 3, 7)
    for form in (cloud[:, :1], cloud[:, 0]):
        assert np.array_equal(_labels(form, batch=cloud), cloud[:, 0].numpy() > 0.5)
    assert _labels(torch.tensor([[0.2], [0.7]]), batch=torch.zeros(2, 3, 4, 4)).tolist() == [0, 1]


def test_low_resolution_values_are_upsampled_before_they_are_compared():
    maps = torch.rand(4, 1, 3, 2)
    full = torch.nn.functional.interpolate(maps, size=(5, 6), mode="bilinear")
    found = _labels(SimpleNamespace(logits=maps))
    assert np.array_equal(found, full[:, 0].numpy() > 0.5)
    on_grid = _labels(SimpleNamespace(logits=maps), own_grid=True)
    assert np.array_equal(on_grid, maps[:, 0].numpy() > 0.5)


def test_overlapping_maps_each_have_labels_of_their_own():
    maps = torch.rand(4, 3, 5, 6)
    decision = decide(_declared(maps, "probability", 0.5, True), BATCH, None)
    assert (decision.num_classes, decision.size, decision.draws) == (2, (3, 5, 6), 4)
    assert np.array_equal(decision.labels().numpy(), maps.numpy() > 0.5)
    counts = decision.new_counts(torch.uint8)
    decision.add_to(counts)
    assert np.array_equal(counts.numpy()[1], (maps.numpy() > 0.5).sum(0))
    # Negative control: argmax lets one channel win in each pixel.
    assert (maps.numpy() > 0.5).sum(1).max() > 1


def test_the_posterior_is_the_probability_of_both_classes():
    maps = torch.rand(4, 1, 5, 6)
    for output, kind in ((maps, "probability"), (maps.double().logit(), "logit")):
        found = posterior(_declared(output, kind, 0.3), BATCH, None).values
        assert torch.allclose(found, torch.cat([1 - maps, maps], 1), atol=1e-6)
    with pytest.raises(InputError, match="overlapping"):
        posterior(_declared(maps, "probability", 0.5, True), BATCH, None)


MAPS = torch.rand(4, 1, 5, 6)
INTEGERS = torch.ones(4, 1, 5, 6).long()


@pytest.mark.parametrize(
    ("output", "declared", "parts"),
    [
        (8 * MAPS - 4, ("probability",), ("[0, 1]", "values in [-", "--binary logit")),
        (torch.full_like(MAPS, 1.00001), ("probability",), ("values in [1.00001, 1.00001]",)),
        (torch.full_like(MAPS, math.nan), ("probability",), ("NaN", "precision")),
        (torch.rand(4, 2, 5, 6), ("probability",), ("one channel", "--multi-label")),
        (MAPS[:, 0], ("probability", 0.5, True), ("(B, K, *out)", "leave multi_label")),
        (INTEGERS, ("probability",), ("int64", "leave it out")),
        (MAPS > 0.5, ("logit",), ("bool", "as probabilities")),
        (MAPS[:3], ("probability",), ("each of 4 inputs",)),
        (torch.rand(4, 1, 5, 5), ("probability",), ("(5, 6)", "(5, 5)")),
        (torch.rand(4, 5, 6, 1), ("probability",), ("classes last", "permute(0, 3, 1, 2)")),
    ],
)
def test_what_is_not_as_declared_is_refused(output, declared, parts):
    with pytest.raises(InputError) as info:
        decide(_declared(output, *declared), BATCH, None).labels()
    assert "\n" not in str(info.value)
    for part in parts:
        assert part in str(info.value)


def test_nan_logits_are_refused():
    decision = decide(_declared(torch.full((4, 1, 5, 6), math.nan), "logit"), BATCH, None)
    with pytest.raises(InputError, match="NaN"):
        decision.labels()


def test_rounding_of_an_average_is_a_probability():
    for dtype in (torch.float32, torch.bfloat16):
        one = torch.ones(4, 1, 5, 6, dtype=dtype)
        above = one + torch.finfo(dtype).eps
        assert above.max() > 1
        assert _labels(above).all()


def test_more_classes_than_two_are_refused():
    with pytest.raises(InputError, match="num_classes=3; leave it out"):
        decide(_declared(MAPS), BATCH, 3)


@pytest.mark.parametrize(
    "values",
    [{"output": "sigmoid"}, *({"threshold": t} for t in (0, 1, -0.1, math.nan, True, "0.5", None))],
)
def test_declarations_that_say_nothing(values):
    with pytest.raises(InputError):
        BinaryOutput(**{"output": "logit", **values})


def test_a_declaration_is_read_from_text():
    assert BinaryOutput.parse("probability") == BinaryOutput("probability", 0.5)
    assert BinaryOutput.parse("logit:0.3", multi_label=True) == BinaryOutput("logit", 0.3, True)
    stated = BinaryOutput("logit", 0.25)
    assert BinaryOutput.parse("logit", stated=stated) == stated
    assert BinaryOutput.parse("logit:0.5", stated=stated) == BinaryOutput("logit", 0.5)
    for text in (
        None,
        True,
        "",
        "sigmoid",
        "logit:",
        "logit:x",
        "logit:1",
        "logit:nan",
        "probability:0.3:1",
    ):
        with pytest.raises(InputError):
            BinaryOutput.parse(text)
    with pytest.raises(InputError, match="source states"):
        BinaryOutput.parse("probability", stated=stated)
    with pytest.raises(InputError, match="source states"):
        BinaryOutput.parse("logit", multi_label=True, stated=stated)


def test_a_record_is_read_back_strictly():
    for output in (BinaryOutput("logit", 0.25, True), BinaryOutput("probability")):
        assert BinaryOutput.from_record(output.record()) == output
    for change in ({"threshold": 1}, {"output": "x"}, {"multi_label": 1}, {"more": 1}):
        with pytest.raises(InputError):
            BinaryOutput.from_record({**BinaryOutput("logit").record(), **change})
