"""What a model decides: one label per component, the first on a tie, counted exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from certiseg.models.outputs import decide

RNG = np.random.default_rng(0)
BATCH = torch.zeros(4, 3, 5, 6)


def _logits(kind: str) -> torch.Tensor:
    if kind == "many ties":
        return torch.from_numpy(RNG.integers(0, 3, (4, 7, 5, 6))).float()
    if kind == "all equal":
        return torch.full((4, 7, 5, 6), -np.inf)
    values = torch.from_numpy(RNG.normal(size=(4, 7, 5, 6)))
    return values.bfloat16() if kind == "bfloat16" else values.float()


@pytest.mark.parametrize("kind", ["plain", "bfloat16", "many ties", "all equal"])
def test_logits_decide_as_numpy_argmax_does(kind):
    """NumPy's argmax takes the first of the highest."""
    logits = _logits(kind)
    expected = logits.float().numpy().argmax(1)
    decision = decide(logits, BATCH, None)
    assert np.array_equal(decision.labels().numpy(), expected)
    assert decision.won.sum(1).eq(1).all()
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
