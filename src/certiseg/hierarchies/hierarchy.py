"""``Hierarchy``: a tree of classes, whose inner nodes can be certified as labels (theory T8)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError
from certiseg.files.fields import TEXT, Fields, checked, list_of, whole

ROOT = -1
"""Id of the root. As a label it is an abstention, which is also -1."""

MOST_NODES = 10_000
"""Upper limit on classes and nodes, so that a file cannot demand unbounded memory."""

_RECORD: Fields = {
    "name": TEXT,
    "classes": list_of(TEXT, 1, MOST_NODES),
    "nodes": list_of(TEXT, 0, MOST_NODES),
    "parents": list_of(whole(ROOT, MOST_NODES), 1, MOST_NODES),
}


@dataclass(frozen=True)
class Hierarchy:
    """A tree over the classes. Ids: classes 0..C-1 in label order, then inner nodes from C on.

    Args:
        name: name of the hierarchy.
        classes: names of the leaves in label order.
        nodes: names of the inner nodes without the root.
        parents: parent id of each of the C + len(nodes) ids; ROOT at the top.

    Raises:
        InputError: unless this is a tree whose leaves are exactly the classes, names are unique,
            and the root and every inner node have at least two children.

    Example:
        >>> tree = Hierarchy("street", ("road", "car", "bus"), ("vehicle",), (-1, 3, 3, -1))
        >>> tree.names[3], tree.depth
        ('vehicle', 2)
    """

    name: str
    classes: tuple[str, ...]
    nodes: tuple[str, ...]
    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        for field in ("classes", "nodes", "parents"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        _check_names(self.name, self.names)
        self._check_parents()
        self._check_children()

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def num_nodes(self) -> int:
        """Classes and inner nodes, without the root."""
        return len(self.classes) + len(self.nodes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names by id."""
        return self.classes + self.nodes

    @property
    def depth(self) -> int:
        """Edges on the longest path from the root to a class; 1 for a flat list of classes."""
        return int(self._heights[ROOT])

    def leaves(self) -> NDArray[np.bool_]:
        """Membership matrix, bool (num_nodes, C): True where the node contains the class.

        A class contains itself.
        """
        table = np.zeros((self.num_nodes, self.num_classes), dtype=bool)
        for label in range(self.num_classes):
            node = label
            while node != ROOT:
                table[node, label] = True
                node = self.parents[node]
        return table

    def levels(self) -> NDArray[np.int32]:
        """Node ids (depth + 1, C) that replace each class at each level of AdaptiveCertify.

        Level 0 holds the classes, level ``depth`` the root. The height of a node is its distance
        from the farthest class below it. At level l a class is replaced by its highest ancestor of
        height at most l (or by itself), so that each level is a partition coarser than the last.
        Source: Anani et al. 2024, who assign levels by hand. Where a class has no ancestor at a
        level they return to the class; here its node of the previous level remains.
        """
        table = np.empty((self.depth + 1, self.num_classes), dtype=np.int32)
        for label in range(self.num_classes):
            node = label
            for level in range(self.depth + 1):
                while node != ROOT and self._heights[self.parents[node]] <= level:
                    node = self.parents[node]
                table[level, label] = node
        return table

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all names and the tree."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()

    def record(self) -> dict[str, Any]:
        """Serialize to plain JSON values."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Hierarchy:
        """Inverse of record. Raises InputError for wrong fields and for an invalid hierarchy."""
        return Hierarchy(**checked(record, _RECORD, "a hierarchy"))

    @cached_property
    def _heights(self) -> NDArray[np.int64]:
        """Distance of each id from the farthest class below it. ROOT = -1 is the last entry."""
        heights = np.zeros(self.num_nodes + 1, dtype=np.int64)
        for label in range(self.num_classes):
            node, height = label, 0
            while node != ROOT:
                node, height = self.parents[node], height + 1
                heights[node] = max(heights[node], height)
        return heights

    def _check_parents(self) -> None:
        """Raise InputError unless every parent is the root or an inner node, without cycles."""
        if len(self.parents) != self.num_nodes:
            raise InputError(
                f"expected a parent for each of {self.num_nodes} classes and nodes, got "
                f"{len(self.parents)}; the root's id is {ROOT}"
            )
        for name, parent in zip(self.names, self.parents, strict=True):
            whole = isinstance(parent, int) and not isinstance(parent, bool)
            if not whole or not (parent == ROOT or self.num_classes <= parent < self.num_nodes):
                raise InputError(
                    f"expected the root ({ROOT}) or an inner node as the parent of {name!r}, got "
                    f"{parent!r}; inner nodes have the ids {self.num_classes} to "
                    f"{self.num_nodes - 1}"
                )
        rooted = {ROOT}
        for node in range(self.num_nodes):
            path: list[int] = []
            while node not in rooted and len(path) <= self.num_nodes:
                path.append(node)
                node = self.parents[node]
            if node not in rooted:
                raise InputError(
                    f"expected a tree, got a cycle through {self.names[node]!r}; "
                    "every node must lead up to the root"
                )
            rooted.update(path)

    def _check_children(self) -> None:
        children = Counter(self.parents)
        for node in range(self.num_classes, self.num_nodes):
            if children[node] < 2:
                raise InputError(
                    f"expected at least two children of every node, got {children[node]} of "
                    f"{self.names[node]!r}; leave it out, or join it with its child"
                )
        if children[ROOT] < 2 and self.nodes:
            raise InputError(
                f"expected at least two nodes at the top, got {self.nodes[0]!r} over all classes; "
                "the root is there without being named, leave that node out"
            )


def _check_names(name: object, names: tuple[object, ...]) -> None:
    if len(names) > MOST_NODES:
        raise InputError(
            f"expected at most {MOST_NODES} classes and nodes, got {len(names)}; "
            "a hierarchy is a few dozen names"
        )
    if not names:
        raise InputError("expected at least one class, got none; list the classes in label order")
    for text in (name, *names):
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            raise InputError(
                f"expected names of one line of text, got {text!r}; put it in quotation marks"
            )
    twice = [text for text, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(
            f"expected every name of a class or node once, got {twice[0]!r} more than once; "
            "rename one of them"
        )
