"""Methods on stored votes: the shares that certificates themselves would have had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import certiseg as cs
from certiseg.certifiers.radius_map import radius_map
from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.studies.correction import BUDGETS, compared, shares, task_of

NOISE, TAU, ALPHA = Gaussian(0.25), 0.7, 0.01


def some_votes(seed: int, trials: int) -> cs.VoteCounts:
    """900 components: most clear, a third doubtful; the same ones for every number of draws."""
    rng = np.random.default_rng(99)
    top = np.where(rng.random(900) < 0.7, 0.97, rng.uniform(0.3, 0.95, 900))
    p = np.stack([top, 0.7 * (1 - top), 0.3 * (1 - top)], axis=-1)
    return cs.VoteCounts(np.random.default_rng(seed).multinomial(trials, p), trials)


def stored(split: bool = True) -> cs.Certificate:
    return cs.certify(
        some_votes(1, 80),
        noise=NOISE,
        tau=TAU,
        alpha=ALPHA,
        selection_votes=some_votes(2, 12) if split else None,
    )


def test_shares_are_those_of_certificates() -> None:
    certificate = stored()
    found = shares(certificate, task_of(certificate, "x"))
    votes, first = certificate.votes, certificate.selection_votes
    assert first is not None
    for name, prefix, test, extra in (
        ("split", "", votes, {"selection_votes": first}),
        ("pooled", "pooled ", votes + first, {}),
    ):
        common = {"noise": NOISE, "tau": TAU, "alpha": ALPHA, **extra}
        assert found[f"{prefix}Holm"] == cs.certify(test, **common).certified.mean(), name
        single = cs.certify(test, correction="bonferroni", **common)
        assert found[f"{prefix}Bonferroni"] == single.certified.mean()
        for budget, words in zip(BUDGETS, ("2", "5", "0.1% of N", "1% of N"), strict=True):
            allowed = cs.certify(test, correction="k-fwer", budget=budget, **common)
            assert found[f"{prefix}k-FWER, k = {words}"] == allowed.certified.mean()
    at_radius = radius_map(votes + first, noise=NOISE, alpha=ALPHA).at(NOISE.radius(TAU))
    assert found["radius map"] == np.mean(at_radius >= 0)
    assert found["pooled Bonferroni"] < found["pooled Holm"] < found["pooled k-FWER, k = 1% of N"]


def test_without_selection_draws_only_pooled_methods() -> None:
    certificate = stored(split=False)
    found = shares(certificate, task_of(certificate, "x"))
    assert next(iter(found)) == "pooled Bonferroni"
    assert all(name.startswith("pooled") or name == "radius map" for name in found)
    assert found["pooled Holm"] == certificate.certified.mean()


def test_a_budget_larger_than_the_image_is_cut() -> None:
    one = cs.certify(cs.VoteCounts(np.array([[60, 0], [59, 1]]), 60), noise=NOISE)
    assert shares(one, task_of(one, "x"))["pooled k-FWER, k = 5"] == 1.0


def test_rows_are_means_over_images() -> None:
    rows = compared([{"a": 0.5, "b": 0.6}, {"a": 0.7, "b": 1.0}], draws=110)
    assert [row.method for row in rows] == ["a", "b"]
    assert (rows[1].share, rows[1].lowest, rows[1].highest) == (0.8, 0.6, 1.0)
    assert rows[1].gain == pytest.approx(0.2)
    assert (rows[0].gain, rows[0].images, rows[0].draws) == (0.0, 2, 110)


def test_what_fixes_no_plan_is_refused() -> None:
    whole_map = radius_map(some_votes(1, 80), noise=NOISE, alpha=ALPHA)
    with pytest.raises(InputError, match=r"map\.npz: expected .* fixed tau"):
        task_of(whole_map, "map.npz")
    stopped_early = replace(stored(), looks=object())
    with pytest.raises(InputError, match="number of draws"):
        task_of(stopped_early, "early.npz")
