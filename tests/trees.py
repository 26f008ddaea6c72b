"""Class hierarchies for tests: a small one by hand, and random ones for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from certiseg.hierarchies import ROOT, Hierarchy

# Root over abc and d, abc over ab and c, ab over a and b: ids 0 to 3, ab = 4, abc = 5.
SMALL = Hierarchy("small", ("a", "b", "c", "d"), ("ab", "abc"), (4, 4, 5, ROOT, 5, ROOT))


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
