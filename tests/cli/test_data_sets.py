"""Data sets by name and by YAML, through evaluate and train; pictures of different sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made_pictures import every_id, filled, labels, picture

Call = Callable[..., Any]
MODEL = ("--model", "python:tiny_models:by_brightness", "--num-classes", "3")
QUICK = ("-n", 80, "--keep", 1, "--no-report", "-o", "out")
YAML = """\
name: bands
classes: [dark, middle, bright]
splits:
  train: {images: images, labels: labels}
  val: {images: images, labels: labels}
label_map: {10: dark, 20: middle, 30: bright}
ignore: [9]
"""


@pytest.fixture
def bands(workplace: Path) -> Path:
    """Four pictures in three plain bands, no two of one size, whose labels fit but for one void
    column, and the YAML that says so."""
    for number, (height, width) in enumerate(((16, 30), (20, 24), (12, 36), (18, 33))):
        ids = (np.arange(width) * 3 // width)[None].repeat(height, axis=0).astype(np.uint8)
        pixels = np.stack([ids * 127] * 3, axis=-1)
        (workplace / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(workplace / "images" / f"{number}.png")
        truth = (ids + 1) * 10
        truth[:, 2] = 9
        labels(workplace / "labels" / f"{number}.png", truth)
    (workplace / "bands.yaml").write_text(YAML)
    return workplace


def test_evaluate_reads_a_yaml_and_sizes_may_differ(bands: Path, call: Call) -> None:
    done = call("evaluate", *MODEL, "--data", "bands.yaml", "--sigma", 0.1, *QUICK)
    assert done.code == 0, done.err
    results = json.loads((bands / "out" / "results.json").read_text())
    assert results["data"] == "bands"
    assert results["classes"] == ["dark", "middle", "bright"]
    clean, _, certified = results["rows"]
    assert clean["accuracy"] == 1
    assert certified["correct_where_certified"] == 1
    assert certified["abstention"] < 0.5


def test_limit_is_said_everywhere(bands: Path, call: Call) -> None:
    done = call("evaluate", *MODEL, "--data", "bands.yaml", "--limit", 2, "--radius-map", *QUICK)
    assert done.code == 0, done.err
    note = "2 of 4 samples, at an even stride"
    assert note in " ".join(done.out.split())
    records = [
        json.loads((bands / "out" / name).read_text()) for name in ("run.json", "results.json")
    ]
    assert [record["thinned"] for record in records] == [note, note]
    assert [image["name"] for image in records[1]["images"]] == ["1", "3"]
    table = (bands / "out" / "table.md").read_text()
    run = json.loads((bands / "out" / "run.json").read_text())["run"]
    assert table.endswith(f"Data: bands, 2 images ({note}). Run: {run}.\n")


def test_train_reads_a_yaml_and_sizes_may_differ(bands: Path, call: Call) -> None:
    small = ("--widths", "4,6", "--blocks", "0,1", "--epochs", 1, "--batch-size", 3)
    done = call(
        "train", "--data", "bands.yaml", "--sigma", 0.1, "--crop", "16x16", *small, "-o", "model"
    )
    assert done.code == 0, done.err
    card = json.loads((bands / "model" / "card.json").read_text())
    assert card["classes"] == ["dark", "middle", "bright"]
    assert "--data PATH/TO/bands.yaml" in card["training"]["command"]
    done = call("evaluate", "--model", "model", "--data", "bands.yaml", *QUICK)
    assert done.code == 0, done.err


def test_a_named_data_set(workplace: Path, call: Call) -> None:
    picture(workplace / "val_img" / "a_leftImg8bit.png", (1, 35))
    labels(workplace / "val_label" / "a_gtFine_labelIds.png", every_id(33))
    done = call("evaluate", *MODEL, "--data", "cityscapes", "--root", ".", *QUICK)
    assert done.is_one_line_error("19 classes of Cityscapes", "3"), done.err


@pytest.mark.parametrize("command", [("evaluate", *MODEL), ("train", "--sigma", "0.1")])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "voc"), ("--root", "voc")),
        (("--data", "voc", "--root", "nowhere"), ("nowhere", "JPEGImages", "no folder")),
        (("--data", "ade20k", "--root", "."), ("annotations/", "bands.yaml, images")),
        (("--data", "bands.yaml", "--root", "."), ("no --root", "bands.yaml")),
        (("--data", "bands.yml"), ("bands.yml", "No such file")),
        (("--data", "kitti"), ("pascal-context", "coco-stuff", ".yaml", "kitti")),
        (("--data", "wrong.yaml"), ("wrong.yaml, line 8", "'licens'")),
    ],
)
def test_bad_input(
    bands: Path, call: Call, command: tuple[str, ...], arguments: tuple[str, ...], words: Any
) -> None:
    (bands / "wrong.yaml").write_text(YAML + "licens: CC0\n")
    done = call(*command, *arguments, "-o", "out")
    assert done.is_one_line_error(*words), done.err
    assert not (bands / "out").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: labels(path, filled(11, (18, 33))), ("3.png", "9..10, 20, 30", "got 11")),
        (lambda path: labels(path, filled(10, (18, 32))), ("18 x 33", "18 x 32", "one size")),
        (lambda path: path.unlink(), ("bands.yaml", "labels of 3.png")),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), ("3.png", "truncated")),
    ],
    ids=["a strange id", "another size", "a missing pair", "a cut file"],
)
def test_the_last_pair_is_checked_before_anything_is_written(
    bands: Path, call: Call, spoil: Callable[[Path], object], words: tuple[str, ...]
) -> None:
    spoil(bands / "labels" / "3.png")
    for command in (("evaluate", *MODEL), ("train", "--sigma", "0.1")):
        done = call(*command, "--data", "bands.yaml", "-o", "out")
        assert done.code == 2
        assert done.out.strip() == ""
        assert len(done.err.splitlines()) == 1
        assert all(word in done.err for word in words), done.err
        assert not (bands / "out").exists()
