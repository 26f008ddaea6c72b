"""How often is anything false? Every method at its least favourable null, beside alpha.

Each image has N components, every label at the edge of being certifiable: a certificate that gives
it is false, and one that gives the runner-up too. Components are independent, or all share one
draw's outcome; methods promise alpha for either.
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
    """Draws of one image: label 0 with probability edge, 1 with all the rest, 2 never.

    coupled: one outcome a draw for all components.
    """

    edge: float
    coupled: bool
    rng: np.random.Generator

    def votes(self, trials: int) -> VoteCounts:
        """Votes (COMPONENTS, 3) of so many new draws."""
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
"""Whether an image drawn from the null is certified falsely at alpha."""


def _by(method: type[Method], trials: int = TRIALS, **parameters: Any) -> Trial:
    """At the null every label given is false; an error budget allows k - 1 of them."""

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
    """False where a radius exceeds that of the label's own probability."""
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
    """Label 0 is as probable as 1 and counts as false, as if by a hair less."""
    return bool(np.any(predict(null.votes(TRIALS), alpha=alpha) == 0))


def _percentile(null: Null, alpha: float) -> bool:
    """The number is one coordinate of the noise: its median falls by just the radius."""
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
    # Labels 1 and 2 make one node, which is false as label 1 is.
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
}
"""By name: the probability of label 0 at the null, and one image's trial."""


@dataclass(frozen=True)
class Calibration:
    """errors of images held something false, where alpha of them may."""

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
        """Whether so many errors are no surprise at alpha: a false alarm has probability 1e-6."""
        return bool(upper_tail(self.errors, self.images, self.alpha) > _SURELY)


def calibrated(images: int, alpha: float, seed: int) -> Iterator[Calibration]:
    """Every method, independent and coupled, on so many images each."""
    for number, (name, (edge, trial)) in enumerate(METHODS.items()):
        for coupled in (False, True):
            rng = np.random.default_rng([seed, number, coupled])
            null = Null(edge, coupled, rng)
            errors = sum(trial(null, alpha) for _ in range(images))
            yield Calibration(name, coupled, images, errors, alpha)
