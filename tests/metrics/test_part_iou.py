"""Part IoU: the benchmark's definition by plain loops, its bounds by all attacks on tiny shapes."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from certiseg.errors import InputError
from certiseg.metrics.part_iou import PartIou, part_iou_bounds, part_ious
from certiseg.votes import ABSTAIN

PARTS = {"Mug": (36, 37), "Lamp": (24, 25, 26, 27), "Table": (47, 48, 49)}


def shapes(count, points=30, seed=0, abstaining=0.2):
    """(category, truth, prediction); some parts absent from truth, prediction or both."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        category = list(PARTS)[index % 3 if index % 7 else 0]
        parts = np.array(PARTS[category])
        of_truth = parts[rng.random(len(parts)) < 0.7]
        truth = rng.choice(of_truth if len(of_truth) else parts[:1], points)
        given = np.where(rng.random(points) < 0.8, truth, rng.choice(parts[: rng.integers(1, 4)]))
        yield category, truth, np.where(rng.random(points) < abstaining, ABSTAIN, given)


def reference(found):
    """The benchmark's figures in plain loops over shapes, parts and points."""
    by_category = {}
    for category, truth, given in found:
        ious = []
        for part in PARTS[category]:
            both = sum(1 for t, p in zip(truth, given, strict=True) if t == part and p == part)
            either = sum(1 for t, p in zip(truth, given, strict=True) if t == part or p == part)
            ious.append(both / either if either else 1.0)
        by_category.setdefault(category, []).append(sum(ious) / len(ious))
    everything = [value for values in by_category.values() for value in values]
    means = {name: sum(values) / len(values) for name, values in by_category.items()}
    return sum(everything) / len(everything), sum(means.values()) / len(means), means


def pooled(found, **options):
    total = PartIou({})
    for category, truth, given in found:
        total += PartIou.count(truth, given, PARTS[category], category, **options)
    return total


@pytest.mark.parametrize("abstaining", [0.0, 0.3])
def test_the_benchmarks_definition_by_plain_loops(abstaining):
    found = list(shapes(60, abstaining=abstaining))
    instance, category, means = reference(found)
    figures = pooled(found)
    assert figures.instance_miou == pytest.approx(instance, abs=1e-12)
    assert figures.category_miou == pytest.approx(category, abs=1e-12)
    for name, value in means.items():
        assert figures.by_category[name].miou == pytest.approx(value, abs=1e-12)
        assert figures.by_category[name].shapes == sum(1 for shape in found if shape[0] == name)
    assert instance != pytest.approx(category, abs=1e-3)


def test_by_hand():
    """Part 47: 2 of 3 + 1 false = 2/4. 48: 0 of 1 + 0 = 0. 49: nowhere, 1."""
    truth, given = [47, 47, 47, 48], [47, 47, ABSTAIN, 47]
    assert part_ious(truth, given, (47, 48, 49)).tolist() == [2 / 4, 0, 1]
    assert part_iou_bounds(truth, given, (47, 48, 49)).tolist() == [2 / 4, 0, 0]
    figures = PartIou.count(truth, given, (47, 48, 49), "Table")
    assert figures.instance_miou == figures.category_miou == 1.5 / 3
    assert figures.certified_instance_miou == figures.certified_category_miou == 0.5 / 3
    # All certified: an absent part stays absent, unless a certificate may be false.
    assert part_iou_bounds([47, 47], [47, 47], (47, 48)).tolist() == [1, 1]
    assert part_iou_bounds([47, 47], [47, 47], (47, 48), allowed=1).tolist() == [1 / 2, 0]
    # Certified as a part that the truth lacks: 0 in both figures.
    assert part_iou_bounds([47, 47], [47, 48], (47, 48)).tolist() == [1 / 2, 0]
    # A label of another category is wrong and in no other part's union.
    assert part_ious([47, 48], [47, 3], (47, 48)).tolist() == [1, 0]
    assert part_iou_bounds([47, 48], [47, 3], (47, 48)).tolist() == [1, 0]


def attacked(given, allowed, labels):
    """Every labelling that keeps the certified labels but for at most `allowed` of them."""
    certified = given != ABSTAIN
    for mask in product(labels, repeat=len(given)):
        if np.count_nonzero((np.asarray(mask) != given) & certified) <= allowed:
            yield np.asarray(mask)


def tiny(count):
    rng = np.random.default_rng(3)
    parts = PARTS["Table"]
    for _ in range(count):
        truth = rng.choice(parts[: rng.integers(1, 4)], 5)
        given = np.where(rng.random(5) < 0.6, truth, rng.choice([ABSTAIN, *parts, 99], 5))
        yield truth, given


@pytest.mark.parametrize("allowed", [0, 1, 2])
@pytest.mark.parametrize("restricted", [True, False], ids=["to the parts", "to nothing"])
def test_no_attack_falls_below_the_bounds_and_each_is_met(allowed, restricted):
    """Theory T9, over all completions. The mean of the bounds bounds the mean, and need not be met:
    an attack gives each point one label."""
    parts = PARTS["Table"]
    for truth, given in tiny(30):
        labels = parts if restricted else (*parts, 99)
        # A certified 99 stays one; with the model restricted it could not have come up.
        if restricted and (given == 99).any():
            continue
        bounds = part_iou_bounds(truth, given, parts, allowed=allowed)
        ious = np.array(
            [part_ious(truth, mask, parts) for mask in attacked(given, allowed, labels)]
        )
        assert ious.min(axis=0).tolist() == bounds.tolist()
        mean = PartIou.count(truth, given, parts, "Table", allowed=allowed).certified_instance_miou
        assert mean <= ious.mean(axis=1).min() + 1e-12


def _no_bound(truth, given, parts, allowed=0):
    """The same with abstentions out of the union: the plain figure, less the budget."""
    given = np.asarray(given)
    plain = part_ious(truth, given, parts)
    return np.maximum(plain - allowed / len(given), 0)


def test_leaving_abstentions_out_of_the_union_is_caught():
    """Negative control: attacks fall below it, for parts of the truth and for absent ones."""
    parts = PARTS["Table"]
    beaten = {"of the truth": False, "absent": False}
    for truth, given in tiny(30):
        ious = np.array(
            [part_ious(truth, mask, parts) for mask in attacked(given, 0, (*parts, 99))]
        )
        below = ious.min(axis=0) < _no_bound(truth, given, parts)
        here = np.isin(parts, truth)
        beaten["of the truth"] |= bool((below & here).any())
        beaten["absent"] |= bool((below & ~here).any())
    assert beaten == {"of the truth": True, "absent": True}


def test_forgetting_the_budget_is_caught():
    """Negative control."""
    truth, given = np.array([47, 47, 48]), np.array([47, 47, 48])
    ious = np.array(
        [part_ious(truth, mask, (47, 48, 49)) for mask in attacked(given, 1, (47, 48, 49))]
    )
    assert (ious.min(axis=0) < part_iou_bounds(truth, given, (47, 48, 49))).all()


@pytest.mark.parametrize("allowed", [0, 2])
def test_certified_figures_never_exceed_the_plain_ones(allowed):
    figures = pooled(shapes(60), allowed=allowed)
    assert 0 < figures.certified_instance_miou < figures.instance_miou
    assert 0 < figures.certified_category_miou < figures.category_miou
    for category in figures.by_category.values():
        assert category.certified_miou <= category.miou


def test_parts_add_up_in_any_order():
    found = list(shapes(40))
    forth, back = pooled(found), pooled(found[::-1])
    halves = pooled(found[:15]) + pooled(found[15:])
    assert forth == halves
    for name in (
        "instance_miou",
        "category_miou",
        "certified_instance_miou",
        "certified_category_miou",
    ):
        assert getattr(forth, name) == getattr(back, name) == getattr(halves, name)
    assert forth.by_category == back.by_category


def test_nothing_is_nan():
    assert math.isnan(PartIou({}).instance_miou)
    assert math.isnan(PartIou({}).certified_category_miou)
    assert PartIou({}).by_category == {}


@pytest.mark.parametrize(
    ("truth", "given", "parts", "words"),
    [
        ([47, 48], [47], (47, 48), r"got shapes \(2,\) and \(1,\)"),
        ([[47]], [[47]], (47, 48), r"got shapes \(1, 1\)"),
        ([], [], (47, 48), r"got shapes \(0,\)"),
        ([47], [47], (), "parts, got"),
        ([47], [47], (47, 47), "parts, got"),
        ([46], [47], (47, 48), r"truth among \[47, 48\], got 46"),
        ([47.0], [47], (47, 48), "truth of integers"),
        ([47], [47.0], (47, 48), "prediction of integers"),
    ],
)
def test_bad_labels(truth, given, parts, words):
    with pytest.raises(InputError, match=words):
        PartIou.count(truth, given, parts, "Table")


@pytest.mark.parametrize("allowed", [-1, 0.5, True])
def test_bad_budget(allowed):
    with pytest.raises(InputError, match="false certificates >= 0"):
        PartIou.count([47], [47], (47, 48), "Table", allowed=allowed)
