"""Class hierarchies for tests: a small one by hand with the laws of its votes, and random ones for
Hypothesis."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise, product

import numpy as np
from hypothesis import strategies as st

from certiseg.hierarchies import ROOT, Hierarchy
from exact import multinomial

# Root over abc and d, abc over ab and c, ab over a and b: ids 0 to 3, ab = 4, abc = 5.
SMALL = Hierarchy("small", ("a", "b", "c", "d"), ("ab", "abc"), (4, 4, 5, ROOT, 5, ROOT))

Law = tuple[Fraction, ...]


def laws_of(tau: float) -> list[Law]:
    """Probabilities of a, b, c, d at which the finest node above tau is ab, abc, the root, or a.

    In the first three its children have tau and 1 - tau, or as much of that as fits.
    """
    t = Fraction(tau)
    zero, rest = Fraction(0), 1 - t
    return [
        (t, rest, zero, zero),
        (t / 2, t / 2, rest, zero),
        (rest, zero, t, zero),
        (zero, zero, t, rest),
        (t + Fraction(1, 20), zero, zero, rest - Fraction(1, 20)),
        (Fraction(1), zero, zero, zero),
    ]


def independent_nodes(trials: int, laws: tuple[Law, ...]):
    """Yield (counts per component, probability); components do not depend on each other."""
    tables = [[(c, w) for c, w in multinomial(trials, list(law)) if w] for law in laws]
    for cells in product(*tables):
        weight = Fraction(1)
        for _, w in cells:
            weight *= w
        yield tuple(counts for counts, _ in cells), weight


def coupled_nodes(trials: int, laws: tuple[Law, ...]):
    """As independent_nodes, but one uniform number per draw decides all components."""
    edges = [list(accumulate(law, initial=Fraction(0))) for law in laws]
    cells = list(pairwise(sorted({edge for law in edges for edge in law})))
    labels = [[sum(edge <= low for edge in law) - 1 for low, _ in cells] for law in edges]
    for counts, weight in multinomial(trials, [high - low for low, high in cells]):
        yield tuple(tuple(np.bincount(of, counts, 4).astype(int)) for of in labels), weight


@st.composite
def hierarchies(draw, most_classes: int = 8) -> Hierarchy:
    """Any tree: nodes at the top are joined under new nodes until enough is enough."""
    classes = draw(st.integers(2, most_classes))
    parents, tops = [ROOT] * classes, list(range(classes))
    while len(tops) > 2 and draw(st.booleans()):
        joined = draw(st.permutations(tops))[: draw(st.integers(2, len(tops) - 1))]
        for node in joined:
            parents[node] = len(parents)
        tops = [node for node in tops if node not in joined] + [len(parents)]
        parents.append(ROOT)
    nodes = tuple(f"node {i}" for i in range(classes, len(parents)))
    return Hierarchy("random", tuple(f"class {i}" for i in range(classes)), nodes, tuple(parents))


def ancestors(hierarchy: Hierarchy, node: int) -> list[int]:
    """The node and all above it, from fine to coarse, without the root."""
    path = []
    while node != ROOT:
        path.append(node)
        node = hierarchy.parents[node]
    return path
