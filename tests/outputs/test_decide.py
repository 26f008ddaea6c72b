"""What a model decides: one label per component, the first on a tie, counted exactly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from certiseg.errors import InputError
from certiseg.outputs.decide import decide

RNG = np.random.default_rng(0)
BATCH = torch.zeros(4, 3, 5, 6)


def _logits(kind: str) -> torch.Tensor:
    if kind == "many ties":
        return torch.from_numpy(RNG.integers(0, 3, (4, 7, 5, 6))).float()
    if kind == "all equal":
        return torch.full((4, 7, 5, 6), -3.0)
    if kind == "masked":  # all classes but one of each component
        one = torch.from_numpy(RNG.integers(0, 7, (4, 5, 6)))
        return torch.nn.functional.one_hot(one, 7).movedim(-1, 1).float().log()
    if kind == "one overflow":
        return torch.full((4, 7, 5, 6), 1.0).index_fill(1, torch.tensor([3]), np.inf)
    values = torch.from_numpy(RNG.normal(size=(4, 7, 5, 6)))
    return values.bfloat16() if kind == "bfloat16" else values.float()


@pytest.mark.parametrize(
    "kind", ["plain", "bfloat16", "many ties", "all equal", "masked", "one overflow"]
)
def test_logits_decide_as_numpy_argmax_does(kind):
    """NumPy's argmax takes the first of the highest."""
    logits = _logits(kind)
    expected = logits.float().numpy().argmax(1)
    decision = decide(logits, BATCH, None)
    assert np.array_equal(decision.labels().numpy(), expected)
    counts = decision.new_counts(torch.uint8)
    decision.add_to(counts)
    assert counts.sum(0).eq(4).all()
    assert (decision.draws, decision.num_classes, decision.size) == (4, 7, (5, 6))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_both_ways_of_counting_agree(dtype):
    logits = _logits("many ties")
    from_logits = torch.zeros(7, 5, 6, dtype=dtype)
    decide(logits, BATCH, 7).add_to(from_logits)
    from_labels = torch.zeros(7, 5, 6, dtype=dtype)
    labels = torch.from_numpy(logits.numpy().argmax(1))
    decide(labels, BATCH, 7).add_to(from_labels)
    by_hand = np.stack([(labels.numpy() == c).sum(0) for c in range(7)])
    assert np.array_equal(from_logits.numpy(), by_hand)
    assert np.array_equal(from_labels.numpy(), by_hand)


def test_whole_outputs_are_compared():
    labels = torch.from_numpy(RNG.integers(0, 7, (4, 5, 6)))
    other = labels.clone()
    other[2, 0, 0] = (other[2, 0, 0] + 1) % 7
    logits = torch.nn.functional.one_hot(labels, 7).movedim(-1, 1).float()
    for output in (labels, logits):
        decision = decide(output, BATCH, 7)
        assert decision.equal(labels[2]).tolist() == [False, False, True, False]
        assert not decision.equal(other[2]).any()


def test_classification_outputs():
    decision = decide(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.zeros(2, 3, 4, 4), None)
    counts = torch.zeros(2, dtype=torch.int32)
    decision.add_to(counts)
    assert counts.tolist() == [1, 1]
    decision = decide(torch.tensor([1, 1]), torch.zeros(2, 3, 4, 4), 2)
    decision.add_to(counts)
    assert counts.tolist() == [1, 3]


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 6)])
def test_own_grid_is_kept(size):
    """Logits, Hugging Face's logits and labels, coarser than the picture: nothing is resized."""
    logits = torch.from_numpy(RNG.normal(size=(4, 7, *size)))
    expected = logits.numpy().argmax(1)
    for output in (logits, SimpleNamespace(logits=logits), {"logits": logits}, logits.argmax(1)):
        decision = decide(output, BATCH, 7, own_grid=True)
        assert (decision.size, decision.num_classes) == (size, 7)
        assert np.array_equal(decision.labels().numpy(), expected)


def test_logits_of_hugging_face_are_upsampled_without_it():
    logits = torch.from_numpy(RNG.normal(size=(4, 7, 3, 2)))
    full = torch.nn.functional.interpolate(logits, size=(5, 6), mode="bilinear")
    decision = decide(SimpleNamespace(logits=logits), BATCH, 7)
    assert torch.equal(decision.labels(), full.argmax(1))


@pytest.mark.parametrize(
    ("size", "own_grid", "parts"),
    [
        ((3, 2), False, ["one label per pixel of (5, 6)", "(3, 2)", "output_grid=True"]),
        ((6, 6), True, ["at most (5, 6)", "got an output of size (6, 6)"]),
        ((5, 7), True, ["(5, 7)"]),
        ((0, 6), True, ["at least (1, 1)", "(0, 6)"]),
        ((2, 3, 2), True, ["2, 3, 2)"]),
    ],
)
def test_grids_that_do_not_fit(size, own_grid, parts):
    logits = torch.zeros(4, 7, *size)
    outputs = (logits,) if 0 in size else (logits, logits[:, 0].long())
    for output in outputs:
        with pytest.raises(InputError) as info:
            decide(output, BATCH, 7, own_grid=own_grid)
        assert "\n" not in str(info.value)
        for part in parts:
            assert part in str(info.value)


def test_other_tasks_do_not_ask_for_a_grid():
    decision = decide(torch.zeros(4, 2), BATCH, None, own_grid=True)
    assert decision.size == ()


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_logits_that_leave_the_label_open_are_refused(value, dtype):
    """In one component of one draw is enough; +inf twice is an overflow."""
    logits = torch.zeros(4, 3, 5, 6, dtype=dtype)
    logits[2, : 2 if value == np.inf else 3, 4, 5] = value
    with pytest.raises(InputError) as info:
        decide(logits, BATCH, None).labels()
    assert "precision" in str(info.value)


def test_arrays_of_numpy_are_read_as_tensors():
    logits = RNG.normal(size=(4, 7, 5, 6))
    expected = logits.argmax(1)
    forms = (
        *(logits, logits.astype(">f4"), logits[:, :, ::-1][:, :, ::-1], {"out": logits}),
        *(expected, expected.astype(np.uint16), expected[:, None].astype(np.int8)),
        SimpleNamespace(logits=logits.astype(np.longdouble)),
    )
    for form in forms:
        assert np.array_equal(decide(form, BATCH, 7).labels().numpy(), expected)
    mask = expected > 3
    assert np.array_equal(decide(mask, BATCH, None).labels().numpy(), mask)
    for wrong in (logits.astype(str), logits.astype(complex), logits.astype(object)):
        with pytest.raises(InputError, match="array of numbers"):
            decide(wrong, BATCH, 7)


def test_masks_of_bools_are_labels_of_two_classes():
    mask = torch.rand(4, 5, 6) > 0.5
    for form in (mask, mask[:, None]):
        decision = decide(form, BATCH, None)
        assert decision.num_classes == 2
        assert torch.equal(decision.labels().bool(), mask)


def test_labels_may_keep_the_axis_of_their_one_channel():
    labels = torch.from_numpy(RNG.integers(0, 7, (4, 1, 5, 6)))
    assert torch.equal(decide(labels, BATCH, 7).labels(), labels[:, 0])


FLOATS = torch.rand(4, 5, 6)
WHOLE = torch.from_numpy(RNG.integers(0, 7, (4, 5, 6))).float()


@pytest.mark.parametrize(
    ("output", "num_classes", "parts"),
    [
        (FLOATS[:, None], None, ("one channel", "(4, 1, 5, 6)", "binary='probability'")),
        (8 * FLOATS[:, None], 2, ("one channel", "binary='logit'", "--binary")),
        (FLOATS[:, None].numpy(), None, ("one channel", "binary='probability'")),
        (FLOATS, None, ("(B, C, H, W)", "binary='probability'")),
        (WHOLE, 7, ("whole numbers", "output.long()", "num_classes")),
        (WHOLE[:, None], None, ("whole numbers", "output.long()")),
        ((FLOATS > 0.5).float(), None, ("output.long()",)),
        (torch.rand(4, 5, 6, 7), None, ("classes last", "permute(0, 3, 1, 2)", "transpose")),
        (torch.rand(4, 5, 6, 1), 2, ("classes last",)),
        (WHOLE[..., None].long(), 7, ("classes last",)),
        (torch.zeros(4, 7, 5, 6).long(), 7, ("output.argmax(1)", "output.float()")),
        (torch.rand(4, 7, 5, 6) > 0.5, None, ("multi_label=True",)),
        (FLOATS > 0.5, 7, ("boolean mask", "leave num_classes out")),
        (255 * (FLOATS > 0.5).byte(), 2, ("[0, 255]", "output > 0")),
        (WHOLE.long(), 3, ("[0, 2]", "own num_classes")),
    ],
)
def test_other_outputs_are_refused_with_their_remedy(output, num_classes, parts):
    with pytest.raises(InputError) as info:
        decide(output, BATCH, num_classes)
    assert "\n" not in str(info.value)
    for part in parts:
        assert part in str(info.value)


def test_remedies_that_name_code_work():
    permuted = FLOATS.new_tensor(RNG.normal(size=(4, 5, 6, 7)))
    assert decide(permuted.permute(0, 3, 1, 2), BATCH, None).size == (5, 6)
    assert torch.equal(decide(WHOLE.long(), BATCH, 7).labels(), WHOLE.long())
    assert torch.equal(decide(WHOLE[:, None].long(), BATCH, 7).labels(), WHOLE.long())
    byte = 255 * (FLOATS > 0.5).byte()
    assert torch.equal(decide(byte > 0, BATCH, 2).labels().bool(), FLOATS > 0.5)


def test_values_for_points_are_no_logits():
    cloud = torch.zeros(2, 3, 9)
    with pytest.raises(InputError, match="binary='probability'"):
        decide(torch.rand(2, 9), cloud, None)
    assert decide(torch.rand(2, 9), cloud, 9).size == ()
    volume = torch.zeros(2, 1, 3, 4, 5)
    with pytest.raises(InputError, match=r"permute\(0, 4, 1, 2, 3\)"):
        decide(torch.rand(2, 3, 4, 5, 6), volume, None)
