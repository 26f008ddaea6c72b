"""The collective bound (theory T17): labels lost to perturbations beyond the radius."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog

import certiseg as cs
from certiseg.certificates import windows as module
from certiseg.certificates.windows import Sliding, Tiling

NOISE = cs.Gaussian(0.25)
SHAPE, SIZE, MARGIN = (4, 15), (4, 5), 1


def _certificate(seed: int = 0, *, mapped: bool = True, local: bool = True) -> cs.Certificate:
    """Few radii, so that all losses can be enumerated."""
    rng = np.random.default_rng(seed)
    votes = _votes(rng.choice([100, 97, 55], size=SHAPE), local)
    return cs.radius_map(votes, noise=NOISE) if mapped else cs.certify(votes, noise=NOISE)


def _votes(hits: np.ndarray, local: bool = True) -> cs.VoteCounts:
    import torch

    def model(x):
        return torch.cat([x, 1 - x], dim=1)

    base = cs.Windows(model, SIZE, MARGIN) if local else model
    source = cs.Smoothed(base, NOISE).vote(torch.zeros(1, *SHAPE), 100, seed=0).source
    return cs.VoteCounts(np.stack([hits, 100 - hits], axis=-1), 100, source)


def _truly_lost(certificate: cs.Certificate, epsilon: float) -> int:
    """The most labels over all sets of groups whose windows can all be reached: the set covering
    problem behind the linear program, group by group."""
    tiling = Tiling(SIZE, MARGIN)
    groups = []
    for spans in tiling.spans(SHAPE):
        core = tuple(span.core for span in spans)
        seen = np.zeros(SHAPE, dtype=bool)
        seen[tuple(span.seen for span in spans)] = True
        radii = certificate.radius[core][certificate.certified[core]]
        groups += [(seen.ravel(), r, int((radii == r).sum())) for r in np.unique(radii)]
    most = 0
    for chosen in product((False, True), repeat=len(groups)):
        some = [group for group, take in zip(groups, chosen, strict=True) if take]
        gain = sum(count for *_, count in some)
        if gain <= most:
            continue
        found = linprog(
            np.ones(np.prod(SHAPE)),
            A_ub=-np.array([seen for seen, *_ in some], dtype=float),
            b_ub=-np.array([r**2 for _, r, _ in some]),
            method="highs",
        )
        if found.fun <= epsilon**2:
            most = gain
    return most


@pytest.mark.parametrize("largest", [module._MOST_PAIRS, 0], ids=["program", "closed form"])
@pytest.mark.parametrize("seed", range(3))
def test_no_perturbation_loses_more(seed, largest, monkeypatch):
    """Also where the linear program would be too large."""
    monkeypatch.setattr(module, "_MOST_PAIRS", largest)
    certificate = _certificate(seed)
    radii = np.unique(certificate.radius[certificate.certified])
    for epsilon in (0.5 * radii[0], radii[0], 1.1 * radii[-1], 1.5 * radii[-1], 3 * radii[-1]):
        true, bound = _truly_lost(certificate, epsilon), certificate.lost_at_most(epsilon)
        assert true <= bound <= certificate.certified.sum()
    assert certificate.lost_at_most(0.99 * radii[0]) == 0
    if largest:
        assert certificate.lost_at_most(1.1 * radii[-1]) < certificate.certified.sum()


def _counted_anew(layout, inside, radii, epsilon: float) -> int:
    """The bound for labels (inside), whose groups are counted for this norm alone."""
    inside = inside & (radii <= epsilon)
    window = np.zeros(inside.shape, dtype=int)
    for number, spans in enumerate(layout.spans(inside.shape)):
        window[tuple(span.core for span in spans)] = number
    values, which = np.unique(radii[inside], return_inverse=True)
    pairs, counts = np.unique(window[inside] * len(values) + which, return_counts=True)
    places, radius = np.divmod(pairs, len(values))
    axes = [layout.axis(axis, length) for axis, length in enumerate(inside.shape)]
    lost = module._program(axes, places, values[radius] ** 2, counts, epsilon)
    return min(int(inside.sum()), int(np.floor(lost)))


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_one_table_gives_the_same_bound_for_every_norm_and_region(seed, mapped, monkeypatch):
    certificate = _certificate(seed, mapped=mapped)
    counted = []
    made = module.Groups.of
    monkeypatch.setattr(module.Groups, "of", lambda c: counted.append(c) or made(c))
    rng = np.random.default_rng(seed)
    radii = np.broadcast_to(certificate.radius, SHAPE)
    largest = float(radii.max())
    for share in (1.0, 0.7, 0.1):
        region = rng.random(SHAPE) < share
        losses = module.Losses(certificate, region)
        for factor in (0, 0.5, 0.9, 1, 1.001, 1.2, 1.7, 2.4, 10):
            epsilon = factor * largest
            bound = _counted_anew(
                Tiling(SIZE, MARGIN), certificate.certified & region, radii, epsilon
            )
            assert losses(epsilon) == certificate.lost_at_most(epsilon, region) == bound
    assert len(counted) == 1


def test_the_closed_form_is_little_worse_and_quick_for_many_windows(monkeypatch):
    inside = np.random.default_rng(0).random((256, 512)) < 0.9
    radii = np.full(inside.shape, 0.17)
    best = _counted_anew(Tiling((32, 32), 16), inside, radii, 0.34)
    monkeypatch.setattr(module, "_MOST_PAIRS", 0)
    closed = _counted_anew(Tiling((32, 32), 16), inside, radii, 0.34)
    assert best <= closed < 1.02 * best < 0.5 * inside.sum()
    monkeypatch.undo()
    # 22 801 windows: the program has millions of entries.
    inside, radii = inside.repeat(2, 0), radii.repeat(2, 0)
    assert 0 < _counted_anew(Sliding((64, 64), (6, 6)), inside, radii, 0.3) < inside.sum()


def test_a_solver_that_errs_costs_tightness_and_never_validity(monkeypatch):
    certificate = _certificate(1)
    epsilon = 1.5 * float(certificate.radius.max())
    true, best = _truly_lost(certificate, epsilon), certificate.lost_at_most(epsilon)
    dual = module._dual
    rng = np.random.default_rng(0)

    def erring(*given):
        return dual(*given) * rng.uniform(0.2, 3, len(given[0])) + rng.normal(0, 1, len(given[0]))

    monkeypatch.setattr(module, "_dual", erring)
    for _ in range(20):
        assert certificate.lost_at_most(epsilon) >= best >= true
    monkeypatch.setattr(module, "_dual", lambda places, *rest: np.zeros(len(places)))
    assert certificate.lost_at_most(epsilon) == certificate.certified.sum()


def test_a_primal_value_of_a_solver_that_stops_early_would_not_do(monkeypatch):
    """Negative control: what a feasible point of the program is worth is no bound."""
    certificate = _certificate(1)
    epsilon = 1.5 * float(certificate.radius.max())

    def primal(places, squares, counts, reaches, energy):
        # All energy spread evenly over the atoms: feasible, not the worst.
        atoms = {atom for seen in reaches for atom in seen}
        share = np.array([len(reaches[w]) for w in places]) * energy / len(atoms)
        return float((counts * np.minimum(1, 0.5 * share / squares)).sum())

    found = {}
    monkeypatch.setattr(module, "_dual", lambda *given: found.setdefault("v", primal(*given)) * 0)
    bound = certificate.lost_at_most(epsilon)
    assert found["v"] < _truly_lost(certificate, epsilon) <= bound


def test_without_windows_the_whole_input_is_one():
    certificate = _certificate(local=False)
    radii = np.unique(certificate.radius[certificate.certified])
    assert certificate.lost_at_most(radii[0]) == int((certificate.radius == radii[0]).sum())
    assert certificate.lost_at_most(radii[-1]) == certificate.certified.sum()


def test_regions_and_budgets_add_what_may_be_wrong_anyway():
    hits = np.random.default_rng(0).choice([100, 97, 88], size=SHAPE)
    budget = cs.certify(_votes(hits), noise=NOISE, correction="k-fwer", budget=3)
    left = np.zeros(SHAPE, dtype=bool)
    left[:, :3] = True
    assert budget.lost_at_most(0.0) == 2
    assert budget.lost_at_most(0.5, left) <= int((budget.certified & left).sum())


def test_more_norm_loses_more_and_regions_lose_less():
    certificate = _certificate(2, mapped=False)
    values = [certificate.lost_at_most(f * certificate.radius) for f in (0.9, 1, 1.5, 2, 4, 9)]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] == certificate.certified.sum()
    half = np.zeros(SHAPE, dtype=bool)
    half[:, 6:] = True
    assert certificate.lost_at_most(1.5 * certificate.radius, half) <= values[2]


def test_windows_of_another_input_are_no_record():
    source = _votes(np.full(SHAPE, 100)).source
    for windows in ((3, 1), (3, 4, 5, 1, 1), (0, 4, 1), (3, 4, -1), (3, 4, 5, 0)):
        with pytest.raises(cs.InputError, match="sides of windows"):
            replace(source, windows=windows)


def test_stored(tmp_path):
    certificate = _certificate()
    certificate.save(tmp_path / "w.cert.npz")
    again = cs.Certificate.load(tmp_path / "w.cert.npz")
    cs.verify(again)
    assert again.votes.source.windows == (4, 5, 1)
    assert again.lost_at_most(0.4) == certificate.lost_at_most(0.4)


def test_nothing_certified_and_a_single_label():
    nothing = cs.radius_map(_votes(np.full(SHAPE, 55)), noise=NOISE)
    assert not nothing.certified.any()
    assert nothing.lost_at_most(0.0) == nothing.lost_at_most(9.0) == 0
    first, then = (cs.VoteCounts(np.array([n, 0]), n) for n in (10, 1000))
    one = cs.classify(then, noise=NOISE, selection_votes=first)
    assert one.labels.shape == ()
    assert one.lost_at_most(0.9 * one.radius) == 0
    assert one.lost_at_most(float(one.radius)) == 1


def test_any_norm_has_an_answer():
    certificate = _certificate()
    everything = int(certificate.certified.sum())
    assert certificate.lost_at_most(1e160) == certificate.lost_at_most(1e308) == everything
    assert certificate.lost_at_most(1e-320) == 0


def test_a_whole_label_map_has_no_windows():
    source = _votes(np.full(SHAPE, 100)).source
    votes = cs.VoteCounts(np.array([100, 0]), 100, source)
    joint = cs.joint(votes, candidates=np.zeros(SHAPE, dtype=int), noise=NOISE)
    assert joint.certified.all()
    assert "own window" not in joint.statement()
    assert joint.lost_at_most(2 * float(joint.radius)) == joint.labels.size


@pytest.mark.parametrize(
    "epsilon", [-1, float("nan"), float("inf"), "1", True, None, [0.1], 10**400]
)
def test_epsilons_that_are_none(epsilon):
    with pytest.raises(cs.InputError, match="expected epsilon >= 0"):
        _certificate().lost_at_most(epsilon)
