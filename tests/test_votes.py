"""VoteCounts: what it accepts, and what may be added."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import certiseg as cs
from certiseg.votes import counts_dtype
from some_votes import made_up_source

SOURCE = made_up_source(0, 10)


def _part(start: int, stop: int, **changes) -> cs.VoteCounts:
    source = replace(SOURCE, draws=((start, stop),), **changes)
    return cs.VoteCounts(np.array([[stop - start, 0]]), stop - start, source)


def test_parts_add_up_in_any_order():
    parts = [_part(0, 10), _part(10, 30), _part(40, 50)]
    forward = parts[0] + parts[1] + parts[2]
    backward = parts[2] + parts[1] + parts[0]
    assert forward.trials == 40
    assert forward.source == backward.source
    assert forward.source.draws == ((0, 30), (40, 50))
    assert np.array_equal(forward.counts, backward.counts)


def test_sums_do_not_overflow():
    total = cs.VoteCounts(np.full((2, 1), 200, dtype=np.uint8), 200)
    assert (total + total).counts.tolist() == [[400], [400]]


def test_no_draw_counts_twice():
    with pytest.raises(cs.InputError, match="draw 5 twice"):
        _part(0, 10) + _part(5, 15)


def test_selection_and_test_draws_must_differ():
    """Theory T2 asks for fresh draws."""
    with pytest.raises(cs.InputError, match="draw 0 twice"):
        cs.certify(_part(0, 100), noise=cs.Gaussian(0.25), selection_votes=_part(0, 10))
    cs.certify(_part(10, 110), noise=cs.Gaussian(0.25), selection_votes=_part(0, 10))


@pytest.mark.parametrize(
    "changes",
    [{"seed": 2}, {"key": "other"}, {"model": "x"}, {"input": "y"}, {"noise": cs.Gaussian(0.5)}],
)
def test_different_experiments_do_not_add(changes):
    with pytest.raises(cs.InputError, match=f"different {next(iter(changes))}"):
        _part(0, 10) + _part(10, 20, **changes)


def test_a_run_can_be_continued_under_its_recorded_seed():
    total = _part(0, 10, seed_origin="entropy") + _part(10, 20, seed_origin="caller")
    assert total.source.seed_origin == "caller"


def test_noise_must_be_the_one_drawn():
    with pytest.raises(cs.InputError, match="the noise that was drawn"):
        cs.certify(_part(0, 100), noise=cs.Gaussian(0.5))


@pytest.mark.parametrize(
    ("counts", "trials", "part"),
    [
        (np.array([[5, 4]]), 10, "add up to 10"),
        (np.array([[11, -1]]), 10, "add up to 10"),
        (np.array([[0.5, 0.5]]), 1, "integer counts"),
        (np.zeros((0, 2), int), 1, "shape"),
        (np.array([[1, 0]]), 0, "trials >= 1"),
        (np.array([[1, 0]]), "1", "trials >= 1"),
        (np.array([[1, 0]]), 10**12, "at most"),
        (np.array([[2**62] * 4 + [100]]), 100, "add up to 100"),
        (np.array([[2**64 - 1, 101]], dtype=np.uint64), 100, "add up to 100"),
        (np.array([[1, 0]], dtype="timedelta64[s]"), 1, "integer counts"),
    ],
)
def test_bad_counts(counts, trials, part):
    with pytest.raises(cs.InputError, match=part):
        cs.VoteCounts(counts, trials)


def test_shapes_must_match():
    a, b = cs.VoteCounts(np.array([[1, 0]]), 1), cs.VoteCounts(np.array([[1, 0, 0]]), 1)
    with pytest.raises(cs.InputError, match=r"shape \(1, 2\), got \(1, 3\)"):
        a + b


@pytest.mark.parametrize(
    ("trials", "name"),
    [(1, "uint8"), (255, "uint8"), (256, "int16"), (40_000, "int32"), (2**31, "int64")],
)
def test_counts_are_narrow_but_never_overflow(trials, name):
    assert counts_dtype(trials).name == name


@pytest.mark.parametrize("draws", [((0, 50), (0, 50)), ((0, 150), (60, 10)), ((-5, 95),)])
def test_a_source_counts_no_draw_twice(draws):
    """A record from a file could say anything that adds up."""
    with pytest.raises(cs.InputError, match="a draw counts once"):
        replace(_part(0, 10).source, draws=draws)


def test_top_is_mode_and_hits():
    rng = np.random.default_rng(0)
    for classes in (1, 2, 5, 300):
        counts = rng.multinomial(9, np.ones(classes) / classes, size=(40, 3))
        votes = cs.VoteCounts(counts, 9)
        labels, hits = votes.top()
        assert np.array_equal(labels, counts.argmax(-1))
        assert np.array_equal(hits, counts.max(-1))
        assert np.array_equal(votes.mode(), labels)


@pytest.mark.parametrize("classes_first", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_many_components_in_any_layout(classes_first, dtype):
    """More than one block of components, classes last or first in memory."""
    labels = np.random.default_rng(0).integers(0, 3, (7, 2 * 2**15 + 5))
    counts = np.stack([(labels == label).sum(axis=0) for label in range(3)]).astype(dtype)
    last = np.ascontiguousarray(counts.T)
    votes = cs.VoteCounts(counts.T if classes_first else last, 7)
    label, hits = votes.top()
    assert np.array_equal(label, last.argmax(axis=-1))
    assert np.array_equal(hits, last.max(axis=-1))
    assert hits.dtype == dtype
    worst = (counts.T if classes_first else last).copy(order="K")
    worst[-1] = worst[-1][::-1] + np.array([1, 0, 0], dtype=dtype)
    with pytest.raises(cs.InputError, match="add up to 7 trials"):
        cs.VoteCounts(worst, 7)


def test_sums_that_would_wrap_around_are_noticed():
    """220 classes with 300 votes but for one: 65 836 in all, which in 16 bits would be 300."""
    counts = np.full((1, 220), 300, dtype=np.int16)
    counts[0, 0] = 300 + 2**16 - 219 * 300
    assert int(counts.sum(dtype=np.uint16)) == 300
    with pytest.raises(cs.InputError, match="add up to 300 trials"):
        cs.VoteCounts(counts, 300)
