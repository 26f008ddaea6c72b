"""tau + eta (theory T12): what every method tests where the drawn law is known to be off."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import certiseg as cs
from certiseg.certifiers import checks
from certiseg.certifiers.radius_map import radius_by_count
from certiseg.noise import gaussian
from certiseg.stats.binomial import lower_bound
from some_votes import made_up_source, some_votes
from trees import SMALL

NOISE = cs.Gaussian(0.25)
ETA = 0.004
DRAWS = 120
BY_CALLER = some_votes(np.random.default_rng(0), (400,), 4, DRAWS)
FIRST = some_votes(np.random.default_rng(1), (400,), 4, 30)


def _drawn(votes: cs.VoteCounts, start: int = 0) -> cs.VoteCounts:
    source = made_up_source(start, start + votes.trials, input_shape=(3, 20, 20))
    return replace(votes, source=source)


@pytest.fixture
def coarse(monkeypatch):
    """As if words had few bits: eta large enough to be seen."""
    monkeypatch.setattr(gaussian, "_LARGEST_ETA", 1.0)
    monkeypatch.setattr(cs.Gaussian, "eta", lambda self, shape: ETA)


class _Given:
    """A source of votes that are there already."""

    def __init__(self, votes):
        self.votes = votes

    def sizes(self):
        return self.votes.num_components, self.votes.num_classes

    def more(self, draws):
        assert draws == self.votes.trials
        return self.votes


METHODS = {
    "holm": lambda v, f, tau: cs.certify(v, noise=NOISE, tau=tau),
    "bonferroni": lambda v, f, tau: cs.certify(v, noise=NOISE, tau=tau, correction="bonferroni"),
    "k-fwer": lambda v, f, tau: cs.certify(v, noise=NOISE, tau=tau, correction="k-fwer", budget=3),
    "split": lambda v, f, tau: cs.certify(v, noise=NOISE, tau=tau, selection_votes=f),
    "hierarchical": lambda v, f, tau: cs.hierarchical(v, noise=NOISE, tau=tau, hierarchy=SMALL),
    "adaptive": lambda v, f, tau: cs.adaptive(
        v,
        noise=NOISE,
        tau=tau,
        hierarchy=SMALL,
        selection_votes=f,
        levels=np.arange(400) % 3,
    ),
    "sequential": lambda v, f, tau: cs.sequential(
        _Given(v), noise=NOISE, num_samples=DRAWS, tau=tau, looks=1
    ),
    "e-process": lambda v, f, tau: cs.sequential(
        _Given(v), noise=NOISE, num_samples=DRAWS, tau=tau, looks=1, spending="e-process"
    ),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_tests_against_tau_and_eta(name, coarse):
    method, votes, first = METHODS[name], _drawn(BY_CALLER, 30), _drawn(FIRST)
    assert votes.eta == ETA
    differ = 0
    for tau in np.linspace(0.6, 0.72, 25).tolist():
        made = method(votes, first, tau)
        asked = method(BY_CALLER, FIRST, math.nextafter(tau + ETA, 1.0))
        assert np.array_equal(made.labels, asked.labels)
        # The claim is about tau itself.
        assert (made.tau, made.radius) == (tau, NOISE.radius(tau))
        cs.verify(made)
        differ += not np.array_equal(made.labels, method(BY_CALLER, FIRST, tau).labels)
    # Negative control: with eta left out some labels are others.
    assert differ > 0


def test_bounds_on_probabilities_are_lowered(coarse):
    votes = _drawn(BY_CALLER)
    made, without = (cs.radius_map(v, noise=NOISE) for v in (votes, BY_CALLER))
    held = made.certified
    assert np.all(made.radius[held] < without.radius[held])
    assert 0 < held.sum() <= without.certified.sum()
    count = int(votes.top()[1].max())
    bound = float(lower_bound(count, DRAWS, 1e-3 / 800))
    assert made.radius.max() == NOISE.radius(checks.lowered(bound, ETA))
    assert checks.lowered(bound, ETA) < bound - ETA + 1e-15
    cs.verify(made)
    one = replace(votes, counts=np.array([[DRAWS - 2, 2, 0]]))
    assert (
        cs.classify(one, noise=NOISE).radius
        < cs.classify(replace(one, source=None), noise=NOISE).radius
    )
    both = replace(votes, counts=np.array([DRAWS - 2, 2]))
    candidates = np.zeros((2, 2), int)
    assert (
        cs.joint(both, candidates=candidates, noise=NOISE).radius
        < cs.joint(replace(both, source=None), candidates=candidates, noise=NOISE).radius
    )
    table = radius_by_count(np.full(9, DRAWS), DRAWS, noise=NOISE, alpha=1e-3, eta=0.5)
    assert np.isnan(table).all()


def test_percentile_asks_for_eta_more():
    values = np.linspace(0, 1, 500)
    radius = 0.1
    plain = cs.percentile(values, noise=NOISE, radius=radius)
    lower = cs.percentile(values, noise=NOISE, radius=radius, eta=0.02)
    assert lower.rank < plain.rank


def test_predict_spends_what_is_left(coarse):
    counts = np.array([[95, 25]])
    votes = _drawn(cs.VoteCounts(counts, DRAWS))
    assert cs.predict(replace(votes, source=None), alpha=0.4).tolist() == [0]
    assert cs.predict(votes, alpha=DRAWS * ETA).tolist() == [cs.ABSTAIN]


def test_more_draws_than_the_law_is_good_for(coarse, monkeypatch):
    monkeypatch.setattr(cs.Gaussian, "eta", lambda self, shape: 0.005)
    with pytest.raises(cs.InputError, match=r"n eta <= 1/2.*in parts"):
        cs.certify(_drawn(BY_CALLER), noise=NOISE)


def test_votes_of_the_caller_have_no_eta():
    assert BY_CALLER.eta == 0.0
    assert checks.tested_tau(0.75, BY_CALLER) == 0.75
    assert checks.tested_tau(0.75, _drawn(BY_CALLER)) > 0.75
    rotated = cs.Rotation(0.25)
    assert rotated.eta((3, 40)) == 0.0
