"""Certification methods on the toy model, for all repetitions at once.

Cutoffs and bounds come from the same functions as for certificates; only votes are simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from certiseg.noise import Gaussian
from certiseg.stats.binomial import lower_bound
from certiseg.stats.multiple_testing import bonferroni_cutoff, step_down_cutoff
from certiseg.stats.pvalues import dominant_tail, wrong_label_tail
from certiseg.studies.toy import Floats, Hits, Ints, Toy, wrong_mode

UNIT = Gaussian(1.0)
# Cached, as all repetitions use the same tables.
dominant, stray = (lru_cache(maxsize=64)(table) for table in (dominant_tail, wrong_label_tail))


@dataclass(frozen=True, eq=False)
class Outcome:
    """Outcome of one method in R repetitions; every field has shape (R,).

    share: certified components / N, at any radius. share_at_radius: those certified at R(tau) or
    more. false: number of false certificates; 0 or 1 for methods that certify all components or
    none. radius: mean over all components in units of sigma, counting abstentions as 0. draws:
    number of draws used.
    """

    share: Floats
    share_at_radius: Floats
    false: Ints
    radius: Floats
    draws: Ints


def bonferroni(tested: Hits, *, tau: float, alpha: float, draws: int) -> Outcome:
    """SegCertify with Bonferroni's correction; candidates fixed beforehand (theory T2, T4)."""
    # The cutoff depends only on the sum of the histogram, equal in all repetitions.
    cutoff = bonferroni_cutoff(tested.histogram[0], dominant(tested.trials, tau), alpha)
    return segcertify(tested, np.full(len(tested.right), cutoff), tau=tau, draws=draws)


def step_down(
    tested: Hits, *, tau: float, alpha: float, budget: int, pooled: bool, draws: int
) -> Outcome:
    """SegCertify with Holm's correction (budget = 1) or with an error budget (theory T4, T5)."""
    cutoffs = [
        step_down_cutoff(
            histogram,
            dominant(tested.trials, tau),
            alpha,
            everywhere=stray(tested.trials, tau) if pooled else None,
            budget=budget,
        )
        for histogram in tested.histogram
    ]
    return segcertify(tested, np.array(cutoffs), tau=tau, draws=draws)


def segcertify(tested: Hits, cutoffs: Ints, *, tau: float, draws: int) -> Outcome:
    """Certify components with at least ``cutoffs`` hits (R,), at radius R(tau)."""
    share = tested.certified(cutoffs) / tested.toy.components
    return Outcome(
        share=share,
        share_at_radius=share,
        false=tested.false(cutoffs, tau),
        radius=share * UNIT.radius(tau),
        draws=np.full(len(share), draws),
    )


def radius_map(tested: Hits, *, tau: float, alpha: float, draws: int) -> Outcome:
    """Radius map (theory T6)."""
    toy, counts = tested.toy, np.arange(tested.trials + 1)
    bounds = lower_bound(counts, tested.trials, alpha / toy.components / 2)
    radii = np.array([UNIT.radius(bound) if bound > 0.5 else 0.0 for bound in bounds])
    first = np.searchsorted(bounds, 0.5, side="right")
    proven = np.searchsorted(radii, UNIT.radius(tau))
    ones = np.ones(len(tested.right), dtype=np.int64)
    # A radius is false if its lower bound exceeds the label's probability.
    held = bounds > 0.5
    false = tested.right @ (held & (bounds > toy.usual)).astype(np.int64)
    false += tested.wrong @ (held & (bounds > 1.0 - toy.usual)).astype(np.int64)
    false += held[tested.odd_hits] & (bounds[tested.odd_hits] > tested.odd_probability)
    return Outcome(
        share=tested.certified(ones * first) / toy.components,
        share_at_radius=tested.certified(ones * proven) / toy.components,
        false=false,
        radius=tested.histogram @ radii / toy.components,
        draws=ones * draws,
    )


def individual(tested: Hits, *, tau: float, alpha: float, draws: int) -> Outcome:
    """IndivClass: all components get the radius of the one with fewest hits (theory T2)."""
    toy = tested.toy
    worst = np.argmax(tested.histogram > 0, axis=1)
    bounds = lower_bound(worst, tested.trials, alpha / toy.components)
    usual = np.where(tested.wrong.any(axis=1), min(toy.usual, 1.0 - toy.usual), toy.usual)
    lowest = np.minimum(usual, tested.odd_probability)
    return _all_or_nothing(bounds, lowest, tau, draws)


def joint(
    toy: Toy,
    selection: int,
    trials: int,
    repetitions: int,
    rng: np.random.Generator,
    *,
    tau: float,
    alpha: float,
    draws: int,
) -> Outcome:
    """JointClass: the label map is one class, chosen by ``selection`` draws (theory T2)."""
    missed = rng.binomial(toy.components - 1, wrong_mode(selection, toy.usual), repetitions)
    odd_right = 2 * rng.binomial(selection, toy.odd, repetitions) >= selection
    probability = (
        toy.usual ** (toy.components - 1.0 - missed)
        * (1.0 - toy.usual) ** missed
        * np.where(odd_right, toy.odd, 1.0 - toy.odd)
    )
    bounds = lower_bound(rng.binomial(trials, probability), trials, alpha)
    return _all_or_nothing(bounds, probability, tau, draws)


def _all_or_nothing(bounds: Floats, probability: Floats, tau: float, draws: int) -> Outcome:
    held = bounds > 0.5
    radius = np.array([UNIT.radius(bound) if bound > 0.5 else 0.0 for bound in bounds])
    return Outcome(
        share=held.astype(np.float64),
        share_at_radius=(held & (radius >= UNIT.radius(tau))).astype(np.float64),
        false=(held & (bounds > probability)).astype(np.int64),
        radius=radius,
        draws=np.full(len(held), draws),
    )
