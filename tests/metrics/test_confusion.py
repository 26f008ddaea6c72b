"""Confusion counts with abstentions: by hand, pooled by addition, and their bounds attacked."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import certiseg as cs

TRUTH = np.array([[0, 0, 1, 1], [2, 2, 255, 255]])
GIVEN = np.array([[0, -1, 1, 0], [2, -1, -1, 1]])


def test_by_hand():
    """Class 0: 1 right of 2, one false from class 1: 1/3. Class 1: 1/2. Class 2: 1/2."""
    c = cs.Confusion.count(TRUTH, GIVEN, 3)
    assert c.accuracy == pytest.approx(3 / 6)
    assert c.iou.tolist() == pytest.approx([1 / 3, 1 / 2, 1 / 2])
    assert c.miou == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    assert c.abstention == pytest.approx(2 / 6)
    assert c.abstention_all == pytest.approx(3 / 8)
    assert c.labelled == 6


def test_parts_add_up():
    whole = cs.Confusion.count(TRUTH, GIVEN, 3)
    parts = cs.Confusion.count(TRUTH[:1], GIVEN[:1], 3) + cs.Confusion.count(
        TRUTH[1:], GIVEN[1:], 3
    )
    assert np.array_equal(whole.counts, parts.counts)
    assert whole.abstention_all == parts.abstention_all


def test_absent_class_is_not_a_zero():
    c = cs.Confusion.count(np.zeros((2, 2), int), np.zeros((2, 2), int), 5)
    assert np.isnan(c.iou[1:]).all()
    assert c.miou == 1.0


def test_mean_of_pooled_counts_is_not_the_mean_of_images():
    """Negative control: two images of different size."""
    a = cs.Confusion.count(np.zeros(10, int), np.zeros(10, int), 2)
    b = cs.Confusion.count(np.zeros(2, int), np.ones(2, int), 2)
    assert (a + b).accuracy == pytest.approx(10 / 12)
    assert (a + b).accuracy != pytest.approx((a.accuracy + b.accuracy) / 2)


def test_nothing_labelled():
    c = cs.Confusion.count(np.full(4, 255), np.zeros(4, int), 2)
    assert np.isnan(c.accuracy)
    assert np.isnan(c.miou)
    assert c.abstention_all == 0.0


@pytest.mark.parametrize(
    ("truth", "given", "part"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), "shape"),
        (np.array([7]), np.array([0]), r"truth in \[0, 2\], got \[7, 7\]"),
        (np.array([0]), np.array([-2]), r"prediction in \[-1, 2\]"),
        (np.array([0]), np.array([3]), "prediction"),
    ],
)
def test_bad_labels(truth, given, part):
    with pytest.raises(cs.InputError, match=part):
        cs.Confusion.count(truth, given, 3)


def _attacked(truth, labels, allowed, classes):
    """Every mask that keeps the certified labels but for at most ``allowed`` of them."""
    labels = np.asarray(labels)
    certified = labels != cs.ABSTAIN
    for mask in product(range(classes), repeat=len(truth)):
        if np.count_nonzero((np.asarray(mask) != labels) & certified) <= allowed:
            yield cs.Confusion.count(truth, mask, classes)


def _images(classes: int, count: int):
    """Small images: truth with unlabelled components, certified masks right and wrong."""
    rng = np.random.default_rng(7)
    for _ in range(count):
        truth = rng.choice([*range(classes), 255], 5)
        labels = np.where(rng.random(5) < 0.5, truth, rng.integers(-1, classes, 5))
        yield truth, np.where(labels == 255, cs.ABSTAIN, labels)


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_no_attack_falls_below_the_bounds_and_some_meets_them(allowed):
    """Theory T9, brute force over all masks that an attack can reach. The bounds of accuracy and of
    each class's IoU are met; that of the mean need not be: an attack chooses one class a component.
    """
    for truth, mask in _images(3, 25):
        bound = cs.Confusion.count(truth, mask, 3, allowed=allowed)
        if not bound.labelled:
            continue
        worst = list(_attacked(truth, mask, allowed, 3))
        assert min(c.accuracy for c in worst) == bound.certified_accuracy
        by_class = np.array([c.class_accuracy for c in worst])
        assert np.array_equal(by_class.min(axis=0), bound.certified_class_accuracy, equal_nan=True)
        # A class that is nowhere in an attacked mask has no IoU there: no less than 0.
        ious = np.nan_to_num([c.iou for c in worst], nan=0.0)
        of_truth = np.isin(range(3), truth)
        lowest = ious.min(axis=0)
        assert lowest[of_truth].tolist() == bound.certified_iou[of_truth].tolist()
        present = ~np.isnan(bound.certified_iou)
        assert np.array_equal(present, ~np.isnan(bound.iou))
        assert bound.certified_miou <= ious[:, present].mean(axis=1).min() + 1e-12
        assert bound.certified_miou <= ious[:, of_truth].mean(axis=1).min() + 1e-12


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_no_attack_falls_below_the_bound_of_dice_and_some_meets_it(allowed):
    """Theory T9, brute force: Dice recounted from the sets themselves in every mask that an attack
    can reach. The bound of a class of the truth is met to the last digit."""
    for truth, mask in _images(3, 25):
        bound = cs.Confusion.count(truth, mask, 3, allowed=allowed)
        if not bound.labelled:
            continue
        known = truth != 255
        lowest = np.full(3, np.inf)
        for attacked in _attacked(truth, mask, allowed, 3):
            lowest = np.minimum(lowest, np.nan_to_num(attacked.dice, nan=0.0))
        for label in set(truth[known].tolist()):
            assert lowest[label] == bound.certified_dice[label]
        assert np.array_equal(np.isnan(bound.certified_dice), np.isnan(bound.dice))
        assert np.nanmax(bound.certified_dice - bound.dice) <= 0
        present = ~np.isnan(bound.certified_dice)
        assert bound.certified_mean_dice <= lowest[present].mean() + 1e-12


def _by_region(evidence, bound):
    """m(S) of theory T16, and every set of components that may be false at once."""

    def allowed(region):
        return int(np.searchsorted(np.cumsum(np.sort(evidence[region])), bound))

    sets = product([False, True], repeat=len(evidence))
    return allowed, [np.array(s) for s in sets if evidence[np.array(s)].sum() < bound]


def _attacked_regions(truth, labels, false, classes):
    """Every mask in which all labels may change that are abstentions or in a set of false ones."""
    seen = set()
    for wrong in false:
        free = (labels == cs.ABSTAIN) | wrong
        choices = [range(classes) if f else [label] for f, label in zip(free, labels, strict=True)]
        seen |= set(product(*choices))
    for mask in seen:
        yield cs.Confusion.count(truth, mask, classes)


def _of_regions(count):
    rng = np.random.default_rng(11)
    for truth, mask in _images(3, count):
        evidence = rng.choice([1.0, 2.0, 5.0], 5)
        allowed, false = _by_region(evidence, rng.choice([0.5, 1.5, 3.5, 6.5]))
        listed = mask != cs.ABSTAIN
        yield truth, mask, lambda region, a=allowed, on=listed: a(region & on), false


def test_no_attack_falls_below_the_bounds_where_regions_say_how_many_are_false():
    """Theory T9 with T16, brute force. Accuracy is met; an IoU is met by some, and by all if the
    evidence of all certificates is the same."""
    met = 0
    for truth, mask, allowed, false in _of_regions(40):
        bound = cs.Confusion.count(truth, mask, 3, allowed=allowed)
        if not bound.labelled:
            continue
        worst = list(_attacked_regions(truth, mask, false, 3))
        assert min(c.accuracy for c in worst) == bound.certified_accuracy
        by_class = np.array([c.class_accuracy for c in worst])
        assert np.array_equal(by_class.min(axis=0), bound.certified_class_accuracy, equal_nan=True)
        ious = np.nan_to_num([c.iou for c in worst], nan=0.0)
        dice = np.nan_to_num([c.dice for c in worst], nan=0.0)
        of_truth = np.isin(range(3), truth)
        assert (ious.min(axis=0)[of_truth] >= bound.certified_iou[of_truth]).all()
        assert (dice.min(axis=0)[of_truth] >= bound.certified_dice[of_truth]).all()
        met += (ious.min(axis=0) == bound.certified_iou)[of_truth].sum()
        budget = int(allowed(np.ones(5, dtype=bool)))
        under = cs.Confusion.count(truth, mask, 3, allowed=budget)
        assert np.nan_to_num(under.certified_iou - bound.certified_iou).max() <= 1e-12
    assert met > 50


def test_pooled_images_lose_what_each_of_them_may_lose():
    """An image without a class may still bring false certificates into its union."""
    (truth, mask, allowed, false), *_ = (
        case for case in _of_regions(40) if 2 not in case[0] and 2 not in case[1] and case[3][1:]
    )
    fixed = cs.Confusion.count([2, 2, 2], [2, 2, 0], 3)
    pooled = fixed + cs.Confusion.count(truth, mask, 3, allowed=allowed)
    worst = [fixed + attacked for attacked in _attacked_regions(truth, mask, false, 3)]
    assert min(c.iou[2] for c in worst) == pooled.certified_iou[2] < fixed.certified_iou[2]


def test_a_bound_that_lets_nothing_join_the_union_is_caught():
    """Negative control: what leaves the true positives is not all that m(S) allows."""
    beaten = 0
    for truth, mask, allowed, false in _of_regions(40):
        bound = cs.Confusion.count(truth, mask, 3, allowed=allowed)
        bound.allowed_by_class[1] = 0
        worst = list(_attacked_regions(truth, mask, false, 3))
        ious = np.nan_to_num([c.iou for c in worst], nan=0.0).min(axis=0)
        beaten += np.any(
            ious[np.isin(range(3), truth)] < bound.certified_iou[np.isin(range(3), truth)]
        )
    assert beaten > 0


def test_dice_by_hand_and_from_the_iou():
    """Class 0: 2 right of the 3 + 3 that are true or predicted, 4 / 6, an IoU of 2 / 4."""
    c = cs.Confusion.count([0, 0, 0, 1, 1], [0, 0, 1, 0, 1], 3)
    assert c.dice.tolist()[:2] == [4 / 6, 2 / 4]
    assert np.isnan(c.dice[2])
    assert c.mean_dice == (4 / 6 + 2 / 4) / 2
    np.testing.assert_allclose(c.dice, 2 * c.iou / (1 + c.iou))
    sets = [[0, 0, 0, 1, 1], [0, 0, cs.ABSTAIN, cs.ABSTAIN, 1]]
    c = cs.Confusion.count(*sets, 3)
    # Class 0 keeps 2; it is 3 in truth and at most 3 in an attacked mask: 4 / 6.
    assert c.certified_dice.tolist()[:2] == [4 / 6, 2 / 4]
    np.testing.assert_allclose(c.certified_dice, 2 * c.certified_iou / (1 + c.certified_iou))


def test_a_dice_bound_that_forgets_abstentions_or_the_budget_is_caught():
    """Negative control: the paper's counting, made a Dice coefficient, is beaten by an attack."""
    truth, mask = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, -1, -1])
    without = cs.Confusion.count(truth, mask, 2)
    worst = min(c.dice[0] for c in _attacked(truth, mask, 0, 2))
    assert without.dice[0] == 1.0 > worst == without.certified_dice[0]
    assert min(c.dice[0] for c in _attacked(truth, mask, 1, 2)) < without.certified_dice[0]


def test_leaving_abstentions_out_of_the_union_is_caught():
    """Negative control (Fault 6): the paper's IoU is beaten by an attack, and so are bounds that
    forget the budget."""
    truth, mask = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, -1, -1])
    without = cs.Confusion.count(truth, mask, 2)
    worst = min(c.iou[0] for c in _attacked(truth, mask, 0, 2))
    assert without.iou[0] == 1.0 > worst == without.certified_iou[0] == 1 / 2
    one_false = list(_attacked(truth, mask, 1, 2))
    assert min(c.accuracy for c in one_false) < without.certified_accuracy
    assert min(c.iou[0] for c in one_false) < without.certified_iou[0]


def test_budget_by_hand():
    """Accuracy (3 - 1) / 6; class 0: (1 - 1) / 4; class 1: (1 - 1) / 3; class 2: (1 - 1) / 3."""
    c = cs.Confusion.count(TRUTH, GIVEN, 3, allowed=1)
    assert c.certified_accuracy == pytest.approx(2 / 6)
    assert c.certified_iou.tolist() == [0.0, 0.0, 0.0]
    plain = cs.Confusion.count(TRUTH, GIVEN, 3)
    assert plain.certified_accuracy == plain.accuracy == c.accuracy
    assert plain.certified_iou.tolist() == pytest.approx([1 / 4, 1 / 4, 1 / 3])
    assert cs.Confusion.count(TRUTH, GIVEN, 3, allowed=9).certified_accuracy == 0.0


def test_budgets_add_up():
    one = cs.Confusion.count(TRUTH[:1], GIVEN[:1], 3, allowed=1)
    both = one + cs.Confusion.count(TRUTH[1:], GIVEN[1:], 3, allowed=2)
    assert both.allowed == 3
    assert both.certified_accuracy == 0.0


def test_certified_mean_is_over_the_classes_of_miou():
    """Class 1 is predicted only: 0 in both means. Class 2 is nowhere: in neither."""
    c = cs.Confusion.count([0, 0, 0, 0], [0, 0, 1, -1], 3)
    assert c.certified_iou.tolist()[:2] == [1 / 2, 0.0]
    assert np.isnan(c.certified_iou[2])
    assert c.certified_miou == c.miou == 1 / 4
    nothing = cs.Confusion.count([255], [0], 2)
    assert np.isnan(nothing.certified_miou)
    assert np.isnan(nothing.certified_accuracy)


@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_certified_figures_never_exceed_the_papers(seed, allowed):
    rng = np.random.default_rng(seed)
    c = cs.Confusion.count(
        rng.choice([0, 1, 2, 3, 255], 30), rng.integers(-1, 4, 30), 4, allowed=allowed
    )
    assert c.certified_accuracy <= c.accuracy
    assert c.certified_miou <= c.miou
    assert (np.nan_to_num(c.certified_iou) <= np.nan_to_num(c.iou)).all()


@pytest.mark.parametrize("allowed", [-1, 0.5, True, None])
def test_bad_budget(allowed):
    with pytest.raises(cs.InputError, match="false certificates >= 0"):
        cs.Confusion.count(TRUTH, GIVEN, 3, allowed=allowed)
