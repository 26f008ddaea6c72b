"""Hierarchies from files: the shipped ones, JSON and YAML alike, and one line for every fault."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import certiseg as cs
from certiseg.datasets.camvid import CARD as CAMVID
from certiseg.hierarchies import Hierarchy, load_hierarchy, shipped_hierarchies
from trees import SMALL

TREE = {"abc": [{"ab": ["a", "b"]}, "c"]}
CONTENT = {"name": "small", "classes": ["a", "b", "c", "d"], "tree": ["d", TREE]}
YAML = """
name: small
classes: [a, b, c, d]
tree:
  - d
  - abc:
      - ab: [a, b]
      - c
"""


def _shape(hierarchy: Hierarchy) -> dict[str, set[str]]:
    """Node -> names of its classes, whatever the ids."""
    return {
        name: {hierarchy.classes[i] for i in np.flatnonzero(row)}
        for name, row in zip(hierarchy.names, hierarchy.leaves(), strict=True)
    }


def _write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def _with(**change: object) -> str:
    return json.dumps({**CONTENT, **change})


def test_shipped_names():
    assert shipped_hierarchies() == ["camvid", "cityscapes", "pascal_context", "voc"]


@pytest.mark.parametrize(
    ("name", "classes", "depth"),
    [("camvid", 11, 4), ("cityscapes", 19, 4), ("pascal_context", 59, 4), ("voc", 21, 3)],
)
def test_shipped_hierarchies(name, classes, depth):
    hierarchy = load_hierarchy(name)
    assert (hierarchy.name, hierarchy.num_classes, hierarchy.depth) == (name, classes, depth)


def test_camvid_has_the_classes_of_its_card():
    assert load_hierarchy("camvid").classes == CAMVID.classes


def test_cityscapes_has_the_categories_of_its_benchmark():
    """Cordts et al. 2016, table 1; sky is a category of one class, and stands at the top."""
    cityscapes = load_hierarchy("cityscapes")
    groups = _shape(cityscapes)
    assert cityscapes.classes[:3] == ("road", "sidewalk", "building")
    assert cityscapes.classes[10:13] == ("sky", "person", "rider")
    assert groups["flat"] == {"road", "sidewalk"}
    assert groups["construction"] == {"building", "wall", "fence"}
    assert groups["object"] == {"pole", "traffic light", "traffic sign"}
    assert groups["nature"] == {"vegetation", "terrain"}
    assert groups["human"] == {"person", "rider"}
    assert groups["vehicle"] == {"car", "truck", "bus", "train", "motorcycle", "bicycle"}
    assert groups["obstacle"] == set(cityscapes.classes) - {"sky", "road", "sidewalk"}


def test_pascal_context_lists_its_classes_by_the_alphabet():
    classes = load_hierarchy("pascal_context").classes
    assert list(classes) == sorted(classes)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps(CONTENT)),
        ("a.yaml", YAML),
        ("a.YML", YAML),
        ("b.yaml", json.dumps(CONTENT)),
    ],
)
def test_json_and_yaml_alike(tmp_path, name, text):
    hierarchy = load_hierarchy(_write(tmp_path, name, text))
    assert hierarchy.classes == SMALL.classes
    assert _shape(hierarchy) == _shape(SMALL)
    assert load_hierarchy(str(tmp_path / name)) == hierarchy


def test_a_mapping_and_a_list_of_mappings_say_the_same(tmp_path):
    one = _with(tree=[{"ab": ["a", "b"]}, {"cd": ["c", "d"]}])
    other = _with(tree={"ab": ["a", "b"], "cd": ["c", "d"]})
    both = [load_hierarchy(_write(tmp_path, "a.json", text)) for text in (one, other)]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("a.json", "{", "got Expecting property name"),
        ("a.json", "[1, 2]", "a mapping with classes, name, tree, got list"),
        ("a.json", json.dumps({"name": "x"}), r"got \['name'\]"),
        ("a.json", _with(depth=3), "got .*'depth'"),
        ("a.json", _with(classes="abcd"), "classes as a list of names"),
        ("a.json", _with(classes=["a", "b", "c", 4]), "classes as a list of names"),
        ("a.json", _with(classes=[]), "names of classes in the top of the tree, got 'd'"),
        ("a.json", _with(classes=["a", "b", "c", "d", "d"]), "once, got 'd' more than once"),
        ("a.json", _with(name=7), "names of one line of text, got 7"),
        ("a.json", _with(tree=None), "classes or nodes in the top of the tree, got None"),
        ("a.json", _with(tree="a"), "classes or nodes in the top of the tree, got 'a'"),
        ("a.json", _with(tree=5), "in the top of the tree, got 5"),
        ("a.json", _with(tree=["d", TREE, "e"]), "in the top of the tree, got 'e'"),
        ("a.json", _with(tree=["d", TREE, "d"]), "got 'd' twice, now in the top of the tree"),
        ("a.json", _with(tree=[TREE]), "every class in the tree, got none of 'd'"),
        ("a.json", _with(tree=["d", TREE, {"e": []}]), r"classes or nodes in 'e', got \[\]"),
        ("a.json", _with(tree=["d", TREE, {"e": None}]), "classes or nodes in 'e', got"),
        ("a.json", _with(tree=["d", TREE, {"e": "a"}]), "classes or nodes in 'e', got 'a'"),
        ("a.json", _with(tree=["d", TREE, ["a"]]), r"got \['a'\]"),
        ("a.json", _with(tree=["a", "b", "c", {"d": ["d"]}]), "got 'd' more than once"),
        ("a.json", _with(tree=["a", "b", "c", {"e": ["d"]}]), "got 1 of 'e'"),
        ("a.json", _with(tree={"all": ["a", "b", "c", "d"]}), "got 'all' over all classes"),
        ("a.json", '{"name": "a", "name": "b"}', "got the key 'name' twice"),
        ("a.json", " " * 300_000, "more than 256 KiB"),
        ("a.json", "[" * 200_000, "nested too deeply"),
        ("a.yaml", "[" * 20_000, "nested too deeply"),
        ("a.yaml", "name: [", "in line"),
        ("a.yaml", "- a\n- b", "got list"),
        ("a.yaml", "tree: {x: [a]}\ntree: {x: [b]}", "got the key 'tree' twice"),
        ("a.yaml", "tree: &x [a]\nname: *x", r"got an alias \(\*\)"),
        ("a.yaml", "name: &x [*x]", r"got an alias \(\*\)"),
        ("a.yaml", "name: !!python/object/apply:os.getcwd []", "constructor for the tag"),
        ("a.yaml", "? [a]\n: b", "in line"),
        ("a.yaml", YAML.replace("- d\n", "- 1\n"), "of text in the top of the tree, got 1"),
        ("a.yaml", YAML.replace("ab:", "yes:"), r"in 'abc', got \{True: "),
        ("a.yaml", YAML.replace("name: small", "name: 1999-12-31"), "names of one line of text"),
        ("a.yaml", YAML.replace("small", "sm\x07all"), "special characters"),
        ("a.yaml", "", "got NoneType"),
    ],
)
def test_faults_in_one_line(tmp_path, name, text, part):
    path = _write(tmp_path, name, text)
    with pytest.raises(cs.InputError, match=part) as caught:
        load_hierarchy(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: expected ")


def test_no_file(tmp_path):
    with pytest.raises(cs.InputError, match="got No such file"):
        load_hierarchy(tmp_path / "a.json")
    with pytest.raises(
        cs.InputError, match="among camvid, cityscapes, pascal_context, voc, or a file"
    ):
        load_hierarchy("kitti")
    path = tmp_path / "b.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(cs.InputError, match="can't decode"):
        load_hierarchy(path)
