"""Draws that mix inside a model are found; honest models and independent randomness pass."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import certiseg as cs
from certiseg.sampling import experiment, probe, sampler
from certiseg.sampling.batching import _places, even_batch
from certiseg.sampling.probe import copied, same_randomness
from certiseg.stats.binomial import upper_tail
from exact import tail
from mixing_models import (
    FORMS,
    HARMLESS,
    MODELS,
    SIGMA,
    TAU,
    Mean,
    SharedNoise,
    X,
    logits,
    returning,
    score,
)

NOISE = cs.Gaussian(SIGMA)
BATCH, ALPHA = 22, 1e-3


def _draws(name: str) -> int:
    return 400 if "draw 50" in name else 110


def _certified(model, draws: int, seed: int, num_classes=None, batch_size=BATCH) -> bool:
    smoothed = cs.Smoothed(model, NOISE, num_classes)
    return bool(
        smoothed.certify(X, draws, TAU, ALPHA, batch_size=batch_size, seed=seed).certified.any()
    )


@pytest.mark.parametrize("name", MODELS)
def test_models_that_mix_their_draws_are_refused(name):
    for seed in range(3):
        torch.manual_seed(seed)
        with pytest.raises(cs.InputError) as info:
            _certified(MODELS[name](), _draws(name), seed)
        assert "\n" not in str(info.value)
        assert str(info.value).startswith("expected ")


@pytest.mark.parametrize("form", ["labels", *FORMS])
def test_whatever_they_return(form):
    smoothed = cs.Smoothed(returning(form), NOISE, 2)
    with pytest.raises(cs.InputError, match="treats each draw of a batch alone"):
        smoothed.vote(torch.full((1, 8, 8), 0.5) if form == "labels" else X, 110, batch_size=BATCH)


def _blind(monkeypatch) -> None:
    monkeypatch.setattr(probe.Probe, "_judge", lambda *given: None)
    monkeypatch.setattr(experiment.Experiment, "_done", lambda self, run: run.source)
    for module in (experiment, sampler):
        monkeypatch.setattr(module, "check_evaluation_mode", lambda model: None)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS if name not in HARMLESS])
def test_without_the_probe_they_would_be_certified(name, monkeypatch):
    """Negative control: label 0 has p = .6 < tau for a draw alone, and is certified far too often.

    12 runs. At error alpha two certified ones have probability 7e-5.
    """
    _blind(monkeypatch)
    # A choice for each batch is seldom the same in five of them: fewer, larger ones.
    batch = 55 if name == "one random choice for all rows" else BATCH
    found = 0
    for seed in range(12):
        torch.manual_seed(seed)
        found += _certified(MODELS[name](), _draws(name), seed, batch_size=batch)
    assert found >= 2


STATEFUL = [name for name in MODELS if any(w in name for w in ("calib", "before", "average", "50"))]


@pytest.mark.parametrize("name", STATEFUL)
def test_state_is_found_with_batches_of_one(name):
    with pytest.raises(cs.InputError):
        _certified(MODELS[name](), _draws(name), 0, batch_size=1)


def test_mixing_does_not_matter_in_batches_of_one():
    """Each draw is alone then: the model is another one, p = .6, and nothing is certified."""
    assert not _certified(Mean().eval(), 110, 0, batch_size=1)


@pytest.mark.parametrize("name", ["mean over axis 0", "weights switched at draw 50"])
def test_found_by_every_way_of_asking(name):
    for ask in (
        lambda s: s.source(X, batch_size=BATCH).more(110),
        lambda s: s.source(X, batch_size=BATCH).select(110),
        lambda s: s.vote_joint(X, np.zeros((2, 2), int), 110, batch_size=BATCH),
        lambda s: s.certify_sequentially(X, 400, TAU, batch_size=BATCH, seed=0, min_gain=None),
        lambda s: s.vote(X, 110),
    ):
        with pytest.raises(cs.InputError):
            ask(cs.Smoothed(MODELS[name](), NOISE))


def test_a_change_is_found_after_the_last_draw():
    """Weights that change late, when no draw is passed again: between the looks of a source."""
    model = nn.Conv2d(1, 2, 1).eval()
    source = cs.Smoothed(model, NOISE).source(X, batch_size=4)
    source.more(8)
    with torch.no_grad():
        model.weight.mul_(2)
    with pytest.raises(cs.InputError, match="one model for all draws, got another"):
        source.more(8)


@pytest.mark.parametrize("batch_size", [1, 4, 7, None])
def test_an_honest_model_pays_two_passes(batch_size):
    sizes: list[int] = []

    class Net(nn.Module):  # its copies append to the same list
        def forward(self, x):
            sizes.append(len(x))
            return logits(score(x), x)

        forward.not_fingerprinted = ("sizes",)

    votes = cs.Smoothed(Net().eval(), NOISE).vote(X, 40, batch_size=batch_size)
    (size,) = votes.source.batch_sizes
    alone, *draws, last = sizes
    assert draws == [size] * -(-40 // size)
    assert (alone, last) == (1, min(6, size))  # five draws and an input unlike any


def _dropped(x):
    return logits(score(x), x) + F.dropout(torch.ones(len(x), 2, *x.shape[2:]), 0.5)


@pytest.mark.parametrize("form", ["logits", "labels"])
def test_randomness_of_its_own_is_recorded_and_stated(form):
    torch.manual_seed(0)

    def model(x):
        out = _dropped(x)
        return out if form == "logits" else out.argmax(1)

    smoothed = cs.Smoothed(model, NOISE, 2)
    certificate = smoothed.certify(X, 110, 0.5, batch_size=BATCH, seed=1)
    assert certificate.votes.source.own_randomness
    assert "has randomness of its own, so that its votes cannot be replayed" in (
        certificate.statement()
    )
    again = smoothed.vote(X, 110, batch_size=BATCH, seed=1)
    assert not np.array_equal(again.counts, certificate.votes.counts)
    both = again + cs.Smoothed(model, NOISE, 2).vote(X, 5, batch_size=5, seed=1, first_draw=110)
    assert both.source.batch_sizes == (5, 22)


def test_one_random_choice_for_all_rows_is_sound_in_batches_of_one():
    torch.manual_seed(0)
    votes = cs.Smoothed(SharedNoise().eval(), NOISE).vote(X, 20, batch_size=1)
    assert votes.source.own_randomness


def test_honest_models_are_said_to_be_independent():
    certificate = cs.Smoothed(lambda x: logits(score(x), x), NOISE).certify(X, 60, seed=1)
    assert not certificate.votes.source.own_randomness
    assert "passed through the model independently of the others" in certificate.statement()
    assert "randomness of its own" not in certificate.statement()


def test_copies_have_a_state_of_their_own():
    kept: list[int] = []
    inner = nn.Linear(1, 1)

    def model(x, layer=inner):
        kept.append(1)
        return layer(x)

    twin = copied(model)
    twin(torch.zeros(1))
    assert kept == []
    assert twin.__defaults__[0] is not inner

    class Session:
        def __deepcopy__(self, memo):
            raise TypeError("cannot pickle")

        def __call__(self, x):
            return x

    session = Session()
    assert copied(session) is session


def test_generators_are_left_as_they_were():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    with same_randomness(torch.device("cpu")):
        first = torch.rand(1), np.random.rand()  # noqa: NPY002
    with same_randomness(torch.device("cpu")):
        assert (torch.rand(1), np.random.rand()) == first  # noqa: NPY002
    assert torch.equal(torch.rand(2), wanted)


def test_batches_of_one_size_waste_little():
    for draws, most in itertools.product(range(1, 130), range(1, 70)):
        size = even_batch(draws, most)
        passes = -(-draws // size)
        assert size <= most
        assert passes == -(-draws // most)
        assert passes * size - draws < passes
        assert even_batch(draws, size) == size  # a replay asks for the recorded size


def test_the_last_batch_is_filled_up_at_random_places():
    """Places by which rows hold which draws; any place is as likely for each draw."""
    source = cs.Smoothed(lambda x: logits(score(x), x), NOISE).vote(X, 4, seed=1).source
    places = np.array([_places(source, first, 5)[:2] for first in range(4000)])
    assert np.array_equal(_places(source, 7, 5), _places(source, 7, 5))
    for column in places.T:
        # 4000 draws, each place expected 800 times with standard deviation 25: 6 of them.
        assert np.all(abs(np.bincount(column, minlength=5) - 800) < 150)


def test_results_of_the_filling_are_left_out():
    def by_place(x):
        """Label 1 in the last place of a batch: seen by as many draws as have that place."""
        out = torch.zeros(len(x), 2, 2, 2)
        out[:, 0] = 0.001
        return out

    votes = cs.Smoothed(by_place, NOISE).vote(X, 11, batch_size=4, seed=1)
    assert votes.source.batch_sizes == (4,)
    assert np.all(votes.counts == [11, 0])


def test_all_looks_of_a_source_have_one_size():
    """T7 counts on one mixture of places; a batch that no longer fits is an error after a look."""
    room = [100]

    class Small(nn.Module):
        def forward(self, x):
            if len(x) > room[0]:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return logits(score(x), x)

    model = Small().eval()
    source = cs.Smoothed(model, NOISE).source(X, batch_size=10)
    sizes = [source.more(draws).source.batch_sizes for draws in (20, 7, 1, 33)]
    assert sizes == [(10,)] * 4
    room[0] = 5
    with pytest.raises(cs.InputError, match="at every look, ran out; start anew with batch_size=5"):
        source.more(20)
    halved = cs.Smoothed(model, NOISE).source(X, batch_size=10)
    assert halved.more(20).source.batch_sizes == (5,)


def _sums(probabilities) -> list[Fraction]:
    """Law of a sum of independent Bernoulli variables, exactly."""
    law = [Fraction(1)]
    for p in probabilities:
        law = [
            (1 - p) * (law[k] if k < len(law) else 0) + p * (law[k - 1] if k else 0)
            for k in range(len(law) + 1)
        ]
    return law


SLOTS = [
    [Fraction(s, 10) for s in slots]
    for slots in ([0, 10, 5], [9, 6, 6], [10, 10, 1], [3, 7, 2], [8, 8, 7])
]


@pytest.mark.parametrize("slots", SLOTS, ids=str)
@pytest.mark.parametrize("draws", [3, 5, 7, 8])
def test_places_make_hits_no_more_likely_than_the_model_that_picks_one(slots, draws):
    """Theory T1 (Hoeffding 1956): full batches, and a last one at random places, enumerated."""
    full, rest = divmod(draws, len(slots))
    lasts = list(itertools.combinations(slots, rest))
    laws = [_sums([*slots * full, *last]) for last in lasts]
    mean = sum(slots) / len(slots)
    tails = [sum(sum(law[k:]) for law in laws) / len(laws) for k in range(draws + 1)]
    picked = [tail(k, draws, mean) for k in range(draws + 1)]
    for k in range(draws + 1):
        if k >= draws * mean + 1:
            assert tails[k] <= picked[k]
        if k <= draws * mean:
            assert tails[k] >= picked[k]


def test_below_the_mean_it_would_be_false():
    """Negative control: the same bound at a count that is too small."""
    law = _sums([Fraction(1), Fraction(0)])
    assert sum(law[1:]) > tail(1, 2, Fraction(1, 2))


@pytest.mark.parametrize("tau", [0.5, 0.6, 0.75, 0.9, 0.99])
def test_counts_that_pass_are_large_enough_for_the_lemma(tau):
    """Every count below n tau + 1 has a tail above 1/4, so it passes at no alpha up to that."""
    for draws in (*range(1, 60), 100, 300, 1000, 3000):
        below = [k for k in range(draws + 1) if k < Fraction(tau) * draws + 1]
        assert float(upper_tail(below[-1], draws, tau)) > 0.25


SCORES = torch.randn(5, 4000, generator=torch.Generator().manual_seed(0))
MASKED = torch.where(torch.arange(5)[:, None] > 2, -1e9, SCORES)
NOISY = SCORES + 1e-5 * torch.randn(5, 4000, generator=torch.Generator().manual_seed(1))
FLIPPED = torch.where(torch.arange(4000) % 200 == 0, 1, torch.zeros(1, 4000, dtype=torch.int64))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SCORES, NOISY),
        (SCORES + 1000, NOISY + 1000),
        (MASKED * torch.where(MASKED < -1e8, torch.inf, 1.0), MASKED.where(MASKED < -1e8, NOISY)),
        (MASKED, torch.where(MASKED < -1e8, -1.1e9, NOISY)),
        (torch.where(torch.arange(4000) % 200 == 0, -SCORES, SCORES), SCORES),
        (FLIPPED, torch.zeros_like(FLIPPED)),
        (SCORES * torch.nan, SCORES * torch.nan),
        (SCORES * 0, SCORES * 0),
    ],
    ids=["bits", "an offset", "-inf", "masks", "choices inside", "labels", "NaN", "all zero"],
)  # fmt: skip
def test_last_bits_are_no_difference(one, other):
    assert not probe.differ(one, other, 1e-3)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SCORES, SCORES + 0.01 * torch.randn(5, 4000, generator=torch.Generator().manual_seed(2))),
        (MASKED, torch.where(MASKED < -1e8, -1e9, SCORES * 1.01)),
        (SCORES * torch.nan, SCORES),
        (1 - FLIPPED, torch.zeros_like(FLIPPED)),
        (torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.1]])),
    ],
    ids=["noise", "masks", "NaN", "labels", "one component"],
)
def test_more_than_last_bits_is_a_difference(one, other):
    """Negative control."""
    assert probe.differ(one, other, 1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_all_classes_share_hides_nothing(precision):
    """A mean over the batch, small beside an offset of all logits."""

    class Offset(nn.Module):
        def forward(self, x):
            s = score(x)
            return logits(torch.tanh(s - s.mean()), x) + (2000 if precision == "float32" else 10)

    smoothed = cs.Smoothed(Offset().eval(), NOISE, engine=cs.Engine(precision=precision))
    with pytest.raises(cs.InputError, match="treats each draw of a batch alone"):
        smoothed.vote(X, 110, batch_size=BATCH, seed=1)


def test_a_few_components_that_mix_are_found_and_single_choices_are_not():
    """Five of 4096 pixels are scored anew with the batch's mean; elsewhere each draw has one pixel
    of its own that last bits decide."""

    def model(mixes):
        def call(x):
            two = logits(score(x), x).clone()
            if mixes:
                two[:, 0, 0, :5] = (score(x) - score(x).mean())[:, None]
            else:
                place = (x.flatten(1).sum(1) * 1e4).long() % 4096
                rows = torch.arange(len(x))
                two[rows, 0, place // 64, place % 64] += len(x)
            return two

        return call

    wide = torch.full((1, 64, 64), 0.5)
    cs.Smoothed(model(False), NOISE).vote(wide, 60, batch_size=BATCH, seed=1)
    with pytest.raises(cs.InputError, match="treats each draw of a batch alone"):
        cs.Smoothed(model(True), NOISE).vote(wide, 60, batch_size=BATCH, seed=1)


def test_a_network_that_enlarges_last_bits_is_forgiven():
    """Its logits move by 1e-2 alone, as they do for one bit of its input; not if they did not."""

    def model(enlarges):
        def call(x):
            last = torch.sin(x * 2.0**26).mean((1, 2, 3)) if enlarges else 0
            return logits(score(x) + 0.1 * (len(x) == 1) + 5 * last, x)

        return cs.Smoothed(call, NOISE)

    x = torch.full((1, 16, 16), 0.5)
    model(True).vote(x, 20, batch_size=5, seed=1)
    with pytest.raises(cs.InputError, match="treats each draw of a batch alone"):
        model(False).vote(x, 20, batch_size=5, seed=1)


def test_a_choice_inside_an_honest_model_is_forgiven():
    """One draw of five lies so that last bits decide: no error. All of them: an error."""

    def model(unsure):
        def call(x):
            s = score(x)
            moved = 5.0 * (s < unsure) * (len(x) == 1)
            return logits(s + moved, x)

        return cs.Smoothed(call, NOISE)

    for seed in range(100):  # until draw 1 is the lowest of draws 0 to 4
        seen = [float(score(model(0).noisy(X, seed=seed, draw=j)[None])) for j in range(5)]
        if min(seen) == seen[1]:
            break
    unsure = (sorted(seen)[0] + sorted(seen)[1]) / 2
    assert not model(unsure).vote(X, 20, batch_size=5, seed=seed).source.own_randomness
    with pytest.raises(cs.InputError, match="treats each draw of a batch alone"):
        model(9).vote(X, 20, batch_size=5, seed=seed)
