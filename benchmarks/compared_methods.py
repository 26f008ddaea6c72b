"""The methods that ``power.py`` compares, each a function of the stored draws and their number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import certiseg as cs
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from stored_draws import Replay, StoredDraws

NOISE, TAU, ALPHA, SELECTION = cs.Gaussian(0.25), 0.75, 1e-3, 10
PIXELS, CELLS = "pixels", "cells"
PAPER, HOLM = "split 10 + rest, Holm (the paper)", "pooled, Holm"
Certify = Callable[[StoredDraws, int], cs.Certificate]
Labels = NDArray[np.signedinteger]


@dataclass(frozen=True)
class Method:
    """certify: from the draws and the number of passes in all. on: pixels or cells.

    held: the labels of the certificate that count. other_claim: what these say less than "this
    class, within R(tau)", or nothing.
    """

    name: str
    certify: Certify
    on: str = PIXELS
    held: Callable[[cs.Certificate], Labels] = lambda certificate: certificate.labels
    other_claim: str = ""

    @property
    def looks(self) -> bool:
        """Whether it looks more than once."""
        return self.name.endswith("looks")

    def attempt(self, draws: StoredDraws, passes: int) -> cs.Certificate | None:
        """The certificate, or None where so few passes cannot certify anything (n_min)."""
        try:
            return self.certify(draws, passes)
        except InputError as refused:
            if not str(refused).startswith("expected at least"):
                raise
            return None


def flat(correction: str, budget: float | None = None) -> Certify:
    """All draws choose and test."""
    return lambda draws, passes: cs.certify(
        draws.votes(0, passes),
        noise=NOISE,
        tau=TAU,
        alpha=ALPHA,
        correction=correction,
        budget=budget,
    )


def split(draws: StoredDraws, passes: int) -> cs.Certificate:
    return cs.certify(
        draws.votes(SELECTION, passes),
        noise=NOISE,
        tau=TAU,
        alpha=ALPHA,
        selection_votes=draws.votes(0, SELECTION),
    )


def radius_map(draws: StoredDraws, passes: int) -> cs.Certificate:
    return cs.radius_map(draws.votes(0, passes), noise=NOISE, alpha=ALPHA)


def hierarchical(tree: Hierarchy, budget: float | None = None) -> Certify:
    return lambda draws, passes: cs.hierarchical(
        draws.votes(0, passes),
        noise=NOISE,
        tau=TAU,
        alpha=ALPHA,
        hierarchy=tree,
        correction="holm" if budget is None else "k-fwer",
        budget=budget,
    )


def sequential(spending: str, looks: int = 5, min_gain: float | None = None) -> Certify:
    """passes is the most that may be drawn."""
    return lambda draws, passes: cs.sequential(
        Replay(draws),
        noise=NOISE,
        num_samples=passes,
        tau=TAU,
        alpha=ALPHA,
        looks=looks,
        spending=spending,
        min_gain=min_gain,
    )


def compared(tree: Hierarchy) -> list[Method]:
    """Methods that use all passes."""

    def classes(certificate: cs.Certificate) -> Labels:
        return np.where(certificate.labels < tree.num_classes, certificate.labels, cs.ABSTAIN)

    return [
        Method(PAPER, split),
        Method("pooled, Bonferroni", flat("bonferroni")),
        Method(HOLM, flat("holm")),
        Method("pooled, budget .1 %", flat("k-fwer", 0.001), other_claim="all but .1 %"),
        Method("pooled, budget 1 %", flat("k-fwer", 0.01), other_claim="all but 1 %"),
        Method("cells of 4 x 4, Holm", flat("holm"), CELLS),
        Method(
            "cells of 4 x 4, budget .1 %", flat("k-fwer", 0.001), CELLS, other_claim="all but .1 %"
        ),
        Method("radius map, read at R(tau)", radius_map, held=lambda c: c.at(NOISE.radius(TAU))),
        Method("radius map, any radius", radius_map, other_claim="some radius above 0"),
        Method("hierarchy, classes", hierarchical(tree), held=classes),
        Method("hierarchy, any node", hierarchical(tree), other_claim="class or group"),
        Method(
            "hierarchy, any node, budget .1 %",
            hierarchical(tree, 0.001),
            other_claim="class or group, all but .1 %",
        ),
        Method("sequential, late, 5 looks", sequential("late")),
        Method("sequential, equal, 5 looks", sequential("equal")),
        Method("e-process, 5 looks", sequential("e-process")),
    ]


def stopping() -> list[Method]:
    """Methods for which passes is a budget: they stop when the next look is not worth it."""
    return [
        Method(
            f"{name}, {looks} looks, min. gain {100 * min_gain:g} %",
            sequential(spending, looks, min_gain),
        )
        for name, spending, looks, min_gain in (
            ("sequential, late", "late", 5, 0.001),
            ("sequential, late", "late", 5, 0.01),
            ("sequential, equal", "equal", 5, 0.001),
            ("e-process", "e-process", 5, 0.001),
            ("e-process", "e-process", 20, 0.001),
        )
    ]
