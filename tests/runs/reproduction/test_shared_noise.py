"""The emulation of shared noise counts as the published code does; no claim comes of it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from certiseg.certifiers.baselines import individual, predict
from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.segcertify import certify
from certiseg.certifiers.verify import verify
from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.runs.reproduction.shared_noise import SharedNoise
from certiseg.votes import ABSTAIN, VoteCounts
from exact import tail

NOISE = Gaussian(0.25)
SHAPE, CLASSES = (6, 7), 3


def some_draws(total: int, seed: int = 0) -> np.ndarray:
    """Labels (total, *SHAPE): each pixel has a label of its own that most draws agree on."""
    rng = np.random.default_rng(seed)
    usual = rng.integers(0, CLASSES, SHAPE)
    agree = rng.uniform(size=(total, *SHAPE)) < rng.uniform(0.3, 1.0, SHAPE)
    return np.where(agree, usual, rng.integers(0, CLASSES, (total, *SHAPE)))


def counted(draws: np.ndarray) -> VoteCounts:
    one_hot = draws[..., None] == np.arange(CLASSES)
    return VoteCounts(one_hot.sum(axis=0), len(draws))


def seen(emulated: SharedNoise, draws: np.ndarray, batch: int = 5) -> SharedNoise:
    """Shown in batches of the sampler's, which are no matter."""
    for start in range(0, len(draws), batch):
        emulated.watch(draws[start : start + batch])
    return emulated


def published(draws: np.ndarray, batch: int, selection: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates and hits by plain loops: the last noise of each batch, once for each draw."""
    total, repeated = len(draws), []
    while len(repeated) < total:
        count = min(total - len(repeated), batch)
        repeated += [draws[len(repeated) + count - 1]] * count
    stacked = np.array(repeated)
    candidates = np.zeros(SHAPE, dtype=int)
    for place in np.ndindex(SHAPE):
        votes = np.bincount(stacked[(slice(0, selection), *place)], minlength=CLASSES)
        candidates[place] = votes.argmax()
    return candidates, (stacked[selection:] == candidates).sum(axis=0)


@pytest.mark.parametrize("batch", [1, 2, 4, 10, 24, 200])
def test_counts_as_the_published_code(batch: int) -> None:
    draws, selection, tested = some_draws(70), 10, 60
    emulated = seen(SharedNoise(batch, selection, tested, CLASSES), draws)
    candidates, hits = published(draws, batch, selection)
    tau, alpha = 0.75, 0.05
    reported = emulated.labels(tau, alpha, "bonferroni")
    level = Fraction(alpha) / hits.size
    for place in np.ndindex(SHAPE):
        passes = tail(int(hits[place]), tested, Fraction(tau)) <= level
        assert reported[place] == (candidates[place] if passes else ABSTAIN)
    assert emulated.distinct == -(-70 // batch)
    holm = emulated.labels(tau, alpha, "holm")
    assert np.all(holm[reported != ABSTAIN] == reported[reported != ABSTAIN])


def test_of_more_draws_the_first_are_looked_at() -> None:
    draws = some_draws(200)
    short = seen(SharedNoise(16, 10, 60, CLASSES), draws[:70])
    long = seen(SharedNoise(16, 10, 60, CLASSES), draws, batch=3)
    assert np.array_equal(short.labels(0.75, 0.05, "holm"), long.labels(0.75, 0.05, "holm"))


def test_a_batch_of_one_is_the_sound_method() -> None:
    draws = some_draws(70)
    emulated = seen(SharedNoise(1, 10, 60, CLASSES), draws)
    for correction in ("holm", "bonferroni"):
        sound = certify(
            counted(draws[10:]),
            noise=NOISE,
            alpha=0.05,
            correction=correction,
            selection_votes=counted(draws[:10]),
        )
        assert np.array_equal(emulated.labels(0.75, 0.05, correction), sound.labels)


def test_shared_noise_certifies_what_has_p_below_tau() -> None:
    """Every pixel has p = .7 < tau = .75. Alone, the sound method certifies any of 2000 with
    probability at most alpha = 1e-6, which is this test's false alarm; the emulation in batches of
    24 certifies each where its 5 noises agree, with probability .7^5 = .168 (and .3^5)."""
    rng = np.random.default_rng(7)
    draws = (rng.uniform(size=(110, 40, 50)) >= 0.7).astype(np.int64)
    emulated = SharedNoise(24, 10, 100, 2)
    for one in draws:
        emulated.watch(one[None])
    one_hot = draws[..., None] == np.arange(2)
    first = VoteCounts(one_hot[:10].sum(axis=0), 10)
    tested = VoteCounts(one_hot[10:].sum(axis=0), 100)
    sound = certify(tested, noise=NOISE, tau=0.75, alpha=1e-6, selection_votes=first)
    assert not sound.certified.any()
    shared = (emulated.labels(0.75, 1e-6, "holm") != ABSTAIN).mean()
    # Standard deviation of the share: .0084.
    assert shared == pytest.approx(0.7**5 + 0.3**5, abs=0.05)


@pytest.mark.parametrize(
    "method",
    [
        lambda votes: certify(votes, noise=NOISE, alpha=0.05),
        lambda votes: radius_map(votes, noise=NOISE, alpha=0.05),
        lambda votes: individual(votes, noise=NOISE, alpha=0.05),
        lambda votes: predict(votes, alpha=0.05),
    ],
)
def test_no_certificate_can_be_made_of_it(method: Callable[[Any], Any]) -> None:
    draws = some_draws(70)
    emulated = seen(SharedNoise(16, 10, 60, CLASSES), draws)
    with pytest.raises((AttributeError, InputError)):
        method(emulated)
    # The control: votes of the same draws do.
    method(counted(draws))


def test_what_it_holds_are_no_votes() -> None:
    draws = some_draws(70)
    emulated = seen(SharedNoise(16, 10, 60, CLASSES), draws)
    held = {name: value for name, value in vars(emulated).items() if isinstance(value, np.ndarray)}
    assert set(held) == {"_candidates", "_hits"}
    for value in held.values():
        assert value.shape == SHAPE
        with pytest.raises(InputError, match="add up to 60 trials"):
            VoteCounts(np.stack([value] * CLASSES, axis=-1), 60)
    # The control: counts of all labels are votes, and a certificate of them verifies.
    verify(certify(counted(draws), noise=NOISE, alpha=0.05))


def test_labels_come_after_all_draws() -> None:
    emulated = seen(SharedNoise(16, 10, 60, CLASSES), some_draws(69))
    with pytest.raises(AssertionError):
        emulated.labels(0.75, 0.05, "holm")


def test_bad_batches() -> None:
    with pytest.raises(InputError, match="--shared-batch"):
        SharedNoise(0, 10, 60, CLASSES)
