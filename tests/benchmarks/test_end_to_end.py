"""The published way as a baseline: it is the same certificate, slowly; a broken one is noticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import certiseg as cs
import end_to_end
import published
from certiseg.bench.subject import NOISE, Subject, synthetic_image
from certiseg.errors import ClaimError
from end_to_end import SELECTION, check_agreement, our_way, replayed, the_published

DRAWS = 80
CPU = torch.device("cpu")


def bands() -> Subject:
    """Three classes by smoothed brightness; nearly sure inside, torn at the borders."""

    def model(batch: torch.Tensor) -> torch.Tensor:
        mean = batch.mean(1, keepdim=True)
        y = torch.nn.functional.avg_pool2d(mean, 7, 1, 3, count_include_pad=False)
        return 20 * torch.cat([0.45 - y, 0.02 + 0 * y, y - 0.55], 1)

    return Subject("bands", model, synthetic_image(3, (12, 16), 0, CPU), DRAWS, 3)


@pytest.fixture(scope="module")
def both() -> tuple[Subject, end_to_end.Found, end_to_end.Found]:
    about = bands()
    return about, our_way(about, 1), the_published(about, replayed(about, 1))


def test_both_ways_agree(both: tuple[Subject, end_to_end.Found, end_to_end.Found]) -> None:
    _, ours, theirs = both
    check_agreement(ours, theirs)
    assert np.array_equal(ours.test, theirs.test)
    certified = ours.labels != cs.ABSTAIN
    assert 0.2 < certified.mean() < 1  # else the agreement would say little


def test_the_steps_of_both_ways_add_up(
    both: tuple[Subject, end_to_end.Found, end_to_end.Found],
) -> None:
    for found in both[1:]:
        *steps, whole = found.spent.values()
        assert list(found.spent)[-1] == end_to_end.ALL
        assert sum(steps) == pytest.approx(whole)


def test_one_draw_shared_by_a_batch_is_noticed(
    both: tuple[Subject, end_to_end.Found, end_to_end.Found],
) -> None:
    """Negative control: fault 1 of the published code, put back."""
    about, ours, _ = both
    replay = replayed(about, 1)
    shared = the_published(about, lambda draw: replay(draw - draw % end_to_end.BATCH))
    with pytest.raises(ClaimError, match="the two ways saw different draws"):
        check_agreement(ours, shared)


def test_one_draw_twice_is_noticed(
    both: tuple[Subject, end_to_end.Found, end_to_end.Found],
) -> None:
    """Negative control: the least fault, a single draw in the place of another."""
    about, ours, _ = both
    replay = replayed(about, 1)
    with pytest.raises(ClaimError, match="test votes"):
        check_agreement(ours, the_published(about, lambda j: replay(j - (j == SELECTION + 1))))


def test_other_statistics_are_noticed(
    both: tuple[Subject, end_to_end.Found, end_to_end.Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the same votes, a level a thousand times larger."""
    about, ours, _ = both
    monkeypatch.setattr(end_to_end, "ALPHA", 1.0)
    loose = the_published(about, replayed(about, 1))
    with pytest.raises(ClaimError, match="their statistics disagree"):
        check_agreement(ours, loose)


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_a_test_a_pixel_gives_our_certificate(correction: str) -> None:
    """On made-up labels, without a model."""
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.6, 1.0, (6, 7))
    labels = np.where(rng.random((SELECTION + 200, 6, 7)) < chance, 1, 0)
    clock = published.Clock(CPU)
    slow = published.certify(labels, SELECTION, 0.75, 1e-3, 2, correction, clock)
    first, rest = labels[:SELECTION], labels[SELECTION:]
    chosen = cs.VoteCounts(end_to_end.counted(first, 2), len(first))
    votes = cs.VoteCounts(end_to_end.counted(rest, 2), len(rest))
    quick = cs.certify(votes, noise=NOISE, correction=correction, selection_votes=chosen)
    assert np.array_equal(slow, quick.labels)
    assert set(clock.seconds) == {published.TESTS, published.CORRECTION}


def test_holm_by_sorting_by_hand() -> None:
    p = np.array([0.02, 0.001, 0.3, 0.012])
    assert published.rejected(p, 0.05, "holm").tolist() == [True, True, False, True]
    assert published.rejected(p, 0.05, "bonferroni").tolist() == [False, True, False, True]
    assert published.rejected(np.full(3, 0.5), 0.05, "holm").tolist() == [False] * 3
    assert published.rejected(np.zeros(3), 0.05, "holm").tolist() == [True] * 3
