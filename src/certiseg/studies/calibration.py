"""How often is anything false? Every method at its least favourable null, beside alpha.

Each image has N components, every label at the edge of being certifiable: a certificate that gives
it is false, and one that gives the runner-up too. Components are independent, or all share one
draw's outcome; methods promise alpha for either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.adaptive import adaptive
from certiseg.certifiers.baselines import classify, individual, joint, predict
from certiseg.certifiers.hierarchical import hierarchical
from certiseg.certifiers.percentile import percentile
from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.segcertify import Correction, certify
from certiseg.certifiers.sequential import sequential
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.noise import Gaussian
from certiseg.stats.binomial import upper_tail
from certiseg.stats.spending import Spending
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


def _given(certificate: Certificate, allowed: int = 0) -> bool:
    """At the null every label given is false."""
    return int(np.count_nonzero(certificate.certified)) > allowed


def _flat(tau: float, correction: Correction, budget: int | None = None) -> Trial:
    def trial(null: Null, alpha: float) -> bool:
        made = certify(
            null.votes(TRIALS),
            noise=NOISE,
            tau=tau,
            alpha=alpha,
            correction=correction,
            budget=budget,
        )
        return _given(made, 0 if budget is None else budget - 1)

    return trial


def _split(null: Null, alpha: float) -> bool:
    return _given(
        certify(
            null.votes(TRIALS),
            noise=NOISE,
            tau=null.edge,
            alpha=alpha,
            selection_votes=null.votes(FIRST),
        )
    )


def _looks(spending: Spending) -> Trial:
    def trial(null: Null, alpha: float) -> bool:
        return _given(
            sequential(
                null,
                noise=NOISE,
                num_samples=2 * TRIALS,
                tau=null.edge,
                alpha=alpha,
                spending=spending,
            )
        )

    return trial


def _nodes(null: Null, alpha: float) -> bool:
    """Labels 1 and 2 make one node, which is false as label 1 is."""
    return _given(
        hierarchical(null.votes(TRIALS), noise=NOISE, tau=null.edge, alpha=alpha, hierarchy=_TREE)
    )


def _levels(null: Null, alpha: float) -> bool:
    return _given(
        adaptive(
            null.votes(TRIALS),
            noise=NOISE,
            tau=null.edge,
            alpha=alpha,
            hierarchy=_TREE,
            selection_votes=null.votes(FIRST),
            levels=np.arange(COMPONENTS) % 2,
        )
    )


def _map(null: Null, alpha: float) -> bool:
    """False where a radius exceeds that of the label's own probability."""
    made = radius_map(null.votes(TRIALS), noise=NOISE, alpha=alpha)
    true = np.where(made.labels == 0, NOISE.radius(null.edge), 0.0)
    return bool(np.any(made.certified & (np.asarray(made.radius) > true)))


def _one(null: Null, alpha: float) -> bool:
    votes = null.votes(TRIALS)
    made = classify(VoteCounts(votes.counts[:1], TRIALS), noise=NOISE, alpha=alpha)
    return _given(made)


def _each(null: Null, alpha: float) -> bool:
    return _given(individual(null.votes(TRIALS), noise=NOISE, alpha=alpha))


def _joint(null: Null, alpha: float) -> bool:
    votes = VoteCounts(null.votes(TRIALS).counts[0, :2], TRIALS)
    return _given(joint(votes, candidates=np.zeros(4, int), noise=NOISE, alpha=alpha))


def _predict(null: Null, alpha: float) -> bool:
    """Label 0 is as probable as 1 and counts as false, as if by a hair less."""
    return bool(np.any(predict(null.votes(TRIALS), alpha=alpha) == 0))


def _percentile(null: Null, alpha: float) -> bool:
    """The number is one coordinate of the noise: its median falls by just the radius."""
    radius = 0.5
    values = null.rng.standard_normal(TRIALS)
    bound = percentile(
        values, noise=NOISE, radius=radius, alpha=alpha, bounds=(-math.inf, math.inf)
    )
    return bound.lower > -radius


METHODS: dict[str, tuple[float, Trial]] = {
    "Holm": (0.75, _flat(0.75, "holm")),
    "Holm, tau = .5": (0.5, _flat(0.5, "holm")),
    "Bonferroni": (0.75, _flat(0.75, "bonferroni")),
    "error budget k = 3": (0.75, _flat(0.75, "k-fwer", BUDGET)),
    "error budget k = 3, single-step": (0.75, _flat(0.75, "k-fwer-single", BUDGET)),
    "two stages": (0.75, _split),
    "early stopping": (0.75, _looks("late")),
    "early stopping, equal shares": (0.75, _looks("equal")),
    "early stopping, e-process": (0.75, _looks("e-process")),
    "hierarchy": (0.75, _nodes),
    "AdaptiveCertify": (0.75, _levels),
    "radius map, p = .5": (0.5, _map),
    "radius map, p = .8": (0.8, _map),
    "CERTIFY": (0.5, _one),
    "IndivClass": (0.5, _each),
    "JointClass": (0.5, _joint),
    "PREDICT": (0.5, _predict),
    "percentile": (0.5, _percentile),
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
