"""Hierarchy: what is a tree over the classes, and what is none."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given

import certiseg as cs
from certiseg.hierarchies import ROOT, Hierarchy
from trees import SMALL, ancestors, hierarchies


def test_by_hand():
    assert (SMALL.num_classes, SMALL.num_nodes, SMALL.depth) == (4, 6, 3)
    assert SMALL.names == ("a", "b", "c", "d", "ab", "abc")
    assert np.array_equal(SMALL.leaves()[:4], np.eye(4, dtype=bool))
    assert SMALL.leaves()[4:].tolist() == [[True, True, False, False], [True, True, True, False]]


def test_levels_by_hand():
    """c has no parent of height 1, and d none below the root: they stay until one comes."""
    assert SMALL.levels().tolist() == [
        [0, 1, 2, 3],
        [4, 4, 2, 3],
        [5, 5, 5, 3],
        [ROOT, ROOT, ROOT, ROOT],
    ]


def test_levels_of_the_published_tree():
    """Cityscapes as Anani et al. 2024 draw it: road and sky stay themselves up to "obstacle"."""
    classes = ("road", "sidewalk", "building", "sky", "person", "rider", "car", "bus")
    nodes = ("human", "vehicle", "static", "dynamic", "obstacle")
    tree = Hierarchy("part", classes, nodes, (-1, 10, 10, -1, 8, 8, 9, 9, 11, 11, 12, 12, -1))
    names = [[tree.names[node] for node in level] for level in tree.levels()[:-1]]
    assert names[1][4:] == ["human", "human", "vehicle", "vehicle"]
    assert names[2][4:] == ["dynamic"] * 4
    assert names[3] == ["road", "obstacle", "obstacle", "sky", *["obstacle"] * 4]
    assert tree.depth == 4


def test_a_flat_list_is_a_hierarchy():
    flat = Hierarchy("flat", ("a", "b"), (), (ROOT, ROOT))
    assert flat.depth == 1
    assert flat.levels().tolist() == [[0, 1], [ROOT, ROOT]]
    assert Hierarchy("one", ("a",), (), (ROOT,)).num_nodes == 1


@given(hierarchies())
def test_leaves_are_what_lies_below(hierarchy):
    table = hierarchy.leaves()
    for label in range(hierarchy.num_classes):
        assert np.flatnonzero(table[:, label]).tolist() == sorted(ancestors(hierarchy, label))
    assert np.all(table.sum(axis=1)[hierarchy.num_classes :] >= 2)
    assert np.all(table.sum(axis=1) < hierarchy.num_classes) or not hierarchy.nodes


@given(hierarchies())
def test_levels_are_partitions_that_coarsen(hierarchy):
    """Two classes of one node at one level stay together; the classes of a node are its leaves."""
    levels, leaves = hierarchy.levels(), hierarchy.leaves()
    assert levels[0].tolist() == list(range(hierarchy.num_classes))
    assert set(levels[-1].tolist()) == {ROOT}
    assert set(levels[:-1].ravel().tolist()) <= set(range(hierarchy.num_nodes)) | {ROOT}
    assert ROOT not in levels[-2]
    for level in levels[:-1]:
        for node in set(level.tolist()):
            assert np.array_equal(level == node, leaves[node])
    for finer, coarser in pairwise(levels):
        for label, node in enumerate(coarser):
            assert np.all(coarser[finer == finer[label]] == node)


@given(hierarchies())
def test_record_and_back(hierarchy):
    assert Hierarchy.from_record(json.loads(json.dumps(hierarchy.record()))) == hierarchy


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"parents": (4, 4, 5, -1, 5)}, "a parent for each of 6 classes and nodes, got 5"),
        ({"parents": (4, 4, 5, -1, 5, 7)}, "as the parent of 'abc', got 7"),
        ({"parents": (4, 4, 5, 0, 5, -1)}, "as the parent of 'd', got 0"),
        ({"parents": (4, 4, 5, -2, 5, -1)}, "as the parent of 'd', got -2"),
        ({"parents": (4, 4, 5, True, 5, -1)}, "as the parent of 'd', got True"),
        ({"parents": (4, 4, 5, -1, 5, 4)}, "a tree, got a cycle through 'ab'"),
        ({"parents": (-1, -1, -1, -1, 5, 4)}, "a tree, got a cycle through 'abc'"),
        ({"parents": (4, 4, 5, -1, 4, -1)}, "a tree, got a cycle"),
        ({"parents": (4, 4, -1, -1, 5, -1)}, "at least two children of every node, got 1 of 'abc'"),
        ({"parents": (5, 5, 5, -1, -1, -1)}, "at least two children of every node, got 0 of 'ab'"),
        ({"parents": (4, 4, 5, 5, 5, -1)}, "at least two nodes at the top, got 'ab' over all"),
        ({"nodes": ("ab", "ab")}, "once, got 'ab' more than once"),
        ({"nodes": ("ab", "d")}, "once, got 'd' more than once"),
        ({"nodes": ("ab", " ")}, "names of one line of text, got ' '"),
        ({"nodes": ("ab", "x\ny")}, r"names of one line of text, got 'x\\ny'"),
        ({"classes": ("a", "b", 3, "d")}, "names of one line of text, got 3"),
        ({"name": ""}, "names of one line of text, got ''"),
        ({"classes": (), "nodes": (), "parents": ()}, "at least one class"),
        ({"classes": tuple(map(str, range(10**4)))}, "at most 10000 classes and nodes, got 10002"),
    ],
)
def test_what_is_no_tree(change, part):
    with pytest.raises(cs.InputError, match=part) as caught:
        Hierarchy(**{**SMALL.record(), **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("record", "part"),
    [
        ({}, r"with classes, name, nodes, parents, got \[\]"),
        ({**SMALL.record(), "depth": 3}, "got .*'depth'"),
        ({**SMALL.record(), "nodes": "ab"}, "a list .* as nodes"),
        ({**SMALL.record(), "parents": None}, "a list .* as parents"),
        ([], "expected a hierarchy with"),
    ],
)
def test_bad_records(record, part):
    with pytest.raises(cs.InputError, match=part):
        Hierarchy.from_record(record)
