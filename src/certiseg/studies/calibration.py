"""Simulated error rate of every method under its least favourable null, to compare with alpha.

In each image all N components have a label of probability exactly tau, so that every certified
label is false. Components are independent or identical in each draw; alpha holds for both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from certiseg.certificates.method import Method
from certiseg.certifiers.adaptive import Adaptive
from certiseg.certifiers.baselines import Classify, Individual, joint, predict
from certiseg.certifiers.hierarchical import Hierarchical
from certiseg.certifiers.percentile import percentile
from certiseg.certifiers.radius_map import RadiusMap
from certiseg.certifiers.regions import Regions
from certiseg.certifiers.segcertify import SegCertify
from certiseg.certifiers.sequential import Sequential
from certiseg.certifiers.sequential_regions import SequentialRegions
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.noise import Gaussian
from certiseg.stats.binomial import upper_tail
from certiseg.votes import VoteCounts

NOISE = Gaussian(1.0)
COMPONENTS, TRIALS, FIRST, BUDGET = 12, 60, 10, 3
_TREE = Hierarchy("two of three", ("a", "b", "c"), ("b or c",), (-1, 3, 3, -1))
_SURELY = 1e-6


@dataclass(frozen=True)
class Null:
    """Vote source of one image: label 0 with probability edge, else label 1, of 3 classes.

    coupled: all components get the same label in each draw.
    """

    edge: float
    coupled: bool
    rng: np.random.Generator

    def votes(self, trials: int) -> VoteCounts:
        """Vote counts (COMPONENTS, 3) of new draws."""
        p = (self.edge, 1.0 - self.edge, 0.0)
        if self.coupled:
            counts = np.tile(self.rng.multinomial(trials, p), (COMPONENTS, 1))
        else:
            counts = self.rng.multinomial(trials, p, size=COMPONENTS)
        return VoteCounts(counts, trials)

    def sizes(self) -> tuple[int, int]:
        return COMPONENTS, 3

    def more(self, draws: int) -> VoteCounts:
        return self.votes(draws)


Trial = Callable[[Null, float], bool]
"""Returns True if an image drawn from the null is certified falsely at alpha."""


def _by(method: type[Method], trials: int = TRIALS, **parameters: Any) -> Trial:
    """Trial of a method: more certified labels than allowed (k - 1 under a budget k)."""

    def trial(null: Null, alpha: float) -> bool:
        made = method(alpha=alpha, **parameters)  # type: ignore[call-arg]
        if made.stops_early:
            certificate = made.ask(null, noise=NOISE, num_samples=trials)
        else:
            votes = null.votes(trials)
            first = null.votes(FIRST) if made.selection == "split" else None
            certificate = made.certify(votes, noise=NOISE, selection_votes=first)
        return int(np.count_nonzero(certificate.certified)) > certificate.allowed_errors

    return trial


def _levels(null: Null, alpha: float) -> bool:
    votes, first = null.votes(TRIALS), null.votes(FIRST)
    method = Adaptive(tau=null.edge, alpha=alpha, hierarchy=_TREE)
    levels = np.arange(COMPONENTS) % 2
    return bool(
        method.certify(votes, noise=NOISE, selection_votes=first, levels=levels).certified.any()
    )


def _map(null: Null, alpha: float) -> bool:
    """Trial of the radius map: some radius exceeds that of the label's probability."""
    made = RadiusMap(alpha=alpha).certify(null.votes(TRIALS), noise=NOISE)
    true = np.where(made.labels == 0, NOISE.radius(null.edge), 0.0)
    return bool(np.any(made.certified & (np.asarray(made.radius) > true)))


def _one(null: Null, alpha: float) -> bool:
    votes = VoteCounts(null.votes(TRIALS).counts[:1], TRIALS)
    return bool(Classify(alpha=alpha).certify(votes, noise=NOISE).certified.any())


def _joint(null: Null, alpha: float) -> bool:
    votes = VoteCounts(null.votes(TRIALS).counts[0, :2], TRIALS)
    return bool(joint(votes, candidates=np.zeros(4, int), noise=NOISE, alpha=alpha).certified.any())


def _predict(null: Null, alpha: float) -> bool:
    """Trial of PREDICT: label 0 has probability 1/2 and counts as false."""
    return bool(np.any(predict(null.votes(TRIALS), alpha=alpha) == 0))


def _percentile(null: Null, alpha: float) -> bool:
    """Trial of percentile: one coordinate of the noise, whose median can fall by the radius."""
    values, radius = null.rng.standard_normal(TRIALS), 0.5
    limits = (-math.inf, math.inf)
    bound = percentile(values, noise=NOISE, radius=radius, alpha=alpha, bounds=limits)
    return bound.lower > -radius


METHODS: dict[str, tuple[float, Trial]] = {
    "Holm": (0.75, _by(SegCertify)),
    "Holm, tau = .5": (0.5, _by(SegCertify, tau=0.5)),
    "Bonferroni": (0.75, _by(SegCertify, correction="bonferroni")),
    "error budget k = 3": (0.75, _by(SegCertify, correction="k-fwer", budget=BUDGET)),
    "error budget k = 3, single-step": (
        0.75,
        _by(SegCertify, correction="k-fwer-single", budget=BUDGET),
    ),
    "two stages": (0.75, _by(SegCertify, selection="split")),
    "early stopping": (0.75, _by(Sequential, 2 * TRIALS)),
    "early stopping, equal shares": (0.75, _by(Sequential, 2 * TRIALS, spending="equal")),
    "early stopping, e-process": (0.75, _by(Sequential, 2 * TRIALS, spending="e-process")),
    # The node of labels 1 and 2 has the probability of label 1, and is false too.
    "hierarchy": (0.75, _by(Hierarchical, hierarchy=_TREE)),
    "AdaptiveCertify": (0.75, _levels),
    "radius map, p = .5": (0.5, _map),
    "radius map, p = .8": (0.8, _map),
    "CERTIFY": (0.5, _one),
    "IndivClass": (0.5, _by(Individual)),
    "JointClass": (0.5, _joint),
    "PREDICT": (0.5, _predict),
    "percentile": (0.5, _percentile),
    "regions": (0.75, _by(Regions)),
    "regions, tau = .5": (0.5, _by(Regions, tau=0.5)),
    "regions, early stopping": (0.75, _by(SequentialRegions, 2 * TRIALS)),
    "regions, hierarchy": (0.75, _by(Regions, hierarchy=_TREE)),
}
"""Methods by name: probability of label 0 under the null, and the trial of one image."""


@dataclass(frozen=True)
class Calibration:
    """Number of images with a false certificate (errors) among ``images``, at level alpha."""

    method: str
    coupled: bool
    images: int
    errors: int
    alpha: float

    @property
    def rate(self) -> float:
        return self.errors / self.images

    @property
    def passed(self) -> bool:
        """True unless that many errors have probability <= 1e-6 at an error rate of alpha."""
        return bool(upper_tail(self.errors, self.images, self.alpha) > _SURELY)


def calibrated(images: int, alpha: float, seed: int) -> Iterator[Calibration]:
    """Simulate every method on ``images`` images, with independent and with coupled components."""
    for number, (name, (edge, trial)) in enumerate(METHODS.items()):
        for coupled in (False, True):
            rng = np.random.default_rng([seed, number, coupled])
            null = Null(edge, coupled, rng)
            errors = sum(trial(null, alpha) for _ in range(images))
            yield Calibration(name, coupled, images, errors, alpha)
