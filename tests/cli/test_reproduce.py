"""`certiseg reproduce` on pictures: tables out of the command line, and bad input in one line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Call = Callable[..., Any]

MODELS = """
import torch
from torch import nn


class ByBrightness(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes

    def forward(self, x):
        y = nn.functional.avg_pool2d(x.mean(1, keepdim=True), 5, 1, 2, count_include_pad=False)
        centres = torch.linspace(0, 1, self.num_classes)[None, :, None, None]
        return -(y - centres).abs()


def eleven():
    return ByBrightness(11)


def nineteen():
    return ByBrightness(19)


def three():
    return ByBrightness(3)
"""
MODEL = ("--model", "python:street_models:eleven")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with street_models.py and a tiny CamVid."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "street_models.py").write_text(MODELS)
    for folder in ("val", "valannot"):
        (tmp_path / "camvid" / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(3):
        truth = np.repeat(rng.integers(0, 12, (3, 4)), 4, axis=0).repeat(4, axis=1)
        grey = np.where(truth < 11, truth * 25.5, 128)[..., None].repeat(3, axis=2)
        Image.fromarray(grey.astype(np.uint8)).save(tmp_path / f"camvid/val/{number}.png")
        labels = Image.fromarray(truth.astype(np.uint8))
        labels.save(tmp_path / f"camvid/valannot/{number}.png")
    return tmp_path


@pytest.mark.slow
def test_camvid_with_the_emulation_beside(workplace: Path, call: Call) -> None:
    done = call(
        "reproduce", "camvid", *MODEL, "--root", "camvid", "--limit", 2, "--scales", "1,0.5+1",
        "--sigmas", "0.05", "--most-draws", 100, "--seed", 1, "--emulate", "shared-noise",
        "--reference-draws", 20, "--non-robust", "python:street_models:eleven", "-o", "out",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "2 of 3 samples, at an even stride" in done.out
    assert "UNSOUND" in done.out
    rows = list(csv.DictReader((workplace / "out" / "table.csv").open()))
    for scale in ("1", "0.5+1"):
        own = [row for row in rows if row["scale"] == scale]
        assert [row["model"] for row in own[:3]] == [
            "non-robust, clean", "base, clean", "base, one draw of noise",
        ]  # fmt: skip
        at_first = [row["model"] for row in own if row["alpha"] == "0.001"]
        assert at_first == [
            "SegCertify, holm",
            "SegCertify, bonferroni",
            "pooled, holm",
            "pooled, budget 0.1%",
            "pooled, radius map",
            "pooled, early stopping",
            *(f"UNSOUND batch of {b}, {c}" for b in (4, 16) for c in ("holm", "bonferroni")),
        ]
        assert {row["alpha"] for row in own} == {"", "0.001", "0.0001"}
        assert own[0]["accuracy"] == own[1]["accuracy"]
    assert r"\toprule" in (workplace / "out" / "table.tex").read_text()
    results = json.loads((workplace / "out" / "results.json").read_text())
    assert results["thinned"] == "2 of 3 samples, at an even stride"
    assert results["made_with"]["command"].startswith("certiseg")
    certificates = call("verify", workplace / "out")
    assert certificates.code != 0


def test_cityscapes_in_its_own_layout(workplace: Path, call: Call) -> None:
    rng = np.random.default_rng(1)
    for folder, ending in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        (workplace / "city" / folder / "val" / "ulm").mkdir(parents=True)
        for number in range(2):
            shape = (8, 16, 3) if folder == "leftImg8bit" else (8, 16)
            values = rng.integers(0, 34, shape).astype(np.uint8)
            name = f"city/{folder}/val/ulm/ulm_{number}_{ending}.png"
            Image.fromarray(values).save(workplace / name)
    options = ("--root", "city", "--model", "python:street_models:nineteen", "--most-draws", 100)
    options += ("--methods", "paper", "--alphas", "0.001", "--sigmas", "0.05", "--seed", 1)
    done = call("reproduce", "cityscapes", *options, "-o", "out")
    assert done.code == 0, done.err
    rows = list(csv.DictReader((workplace / "out" / "table.csv").open()))
    assert list(dict.fromkeys(row["scale"] for row in rows)) == ["0.25", "0.5", "0.75", "1"]
    assert len(rows) == 4 * 4


@pytest.mark.slow
def test_the_sample_of_cityscapes(data_root: Path, workplace: Path, call: Call) -> None:
    """One frame of 2048 x 1024 at a quarter of its size; the model knows nothing of streets."""
    root = data_root / "cityscapes_sample"
    if not root.is_dir():
        pytest.skip("cityscapes_sample/ is not in the folder of real data")
    options = ("--split", "train", "--limit", 1, "--scales", "0.25", "--sigmas", "0.25")
    options += ("--model", "python:street_models:nineteen", "--most-draws", 100)
    options += ("--alphas", "0.001")
    done = call("reproduce", "cityscapes", "--root", root, *options, "-o", "out")
    assert done.code == 0, done.err
    rows = list(csv.DictReader((workplace / "out" / "table.csv").open()))
    assert len(rows) == 2 + 6
    assert "1 of 8 samples" in (workplace / "out" / "table.md").read_text()


def test_json_says_that_lines_are_unsound(workplace: Path, call: Call) -> None:
    options = ("--root", "camvid", "--limit", 1, "--sigmas", "0.05", "--most-draws", 100)
    options += ("--alphas", "0.01", "--methods", "paper", "--json")
    done = call("reproduce", "camvid", *MODEL, *options, "-o", "plain")
    assert done.code == 0, done.err
    plain = json.loads(done.out)
    assert plain["unsound"] is None
    assert [line["model"] for line in plain["lines"]] == [
        "base, clean", "base, one draw of noise", "SegCertify, holm", "SegCertify, bonferroni",
    ]  # fmt: skip
    emulating = ("--emulate", "shared-noise", "--shared-batch", "24", "--reference-draws", 0)
    done = call("reproduce", "camvid", *MODEL, *options, *emulating, "-o", "out")
    found = json.loads(done.out)
    assert found["unsound"].startswith("UNSOUND")
    assert [line["unsound"] for line in found["lines"]] == [False] * 4 + [True] * 2
    assert found["false"] == []


@pytest.mark.parametrize(
    ("table", "arguments", "words"),
    [
        ("cityscapes", ("--root", "camvid"), ("--model", "HRNet", "19 classes")),
        ("pascal-context", ("--root", "camvid"), ("--model", "HRNet", "59 classes")),
        ("camvid", MODEL, ("--root",)),
        ("camvid", (*MODEL, "--root", "nowhere"), ("nowhere", "valannot")),
        ("camvid", (*MODEL, "--root", "camvid", "--split", "test"), ("test",)),
        (
            "camvid",
            ("--model", "python:street_models:three", "--root", "camvid"),
            ("11 classes", "3"),
        ),
        (
            "camvid",
            (*MODEL, "--root", "camvid", "--emulate", "shared-noise", "--methods", "radius-map"),
            ("shared-noise", "radius-map", "'paper'"),
        ),
        (
            "camvid",
            (*MODEL, "--root", "camvid", "--emulate", "shared-noise", "--shared-batch", "1.5"),
            ("--shared-batch", "1.5"),
        ),
        (
            "camvid",
            (*MODEL, "--root", "camvid", "--emulate", "shared-noise", "--shared-batch", "0"),
            ("--shared-batch", "0"),
        ),
        ("camvid", (*MODEL, "--root", "camvid", "--emulate", "noise"), ("noise",)),
        ("camvid", (*MODEL, "--root", "camvid", "--scales", "half"), ("--scales", "half")),
        ("camvid", (*MODEL, "--root", "camvid", "--scales", "0"), ("scales above 0",)),
        ("camvid", (*MODEL, "--root", "camvid", "--sigmas", "a"), ("--sigmas", "a")),
        ("camvid", (*MODEL, "--root", "camvid", "--alphas", "2"), ("alpha", "2")),
        ("camvid", (*MODEL, "--root", "camvid", "--methods", "best"), ("--methods", "best")),
        ("camvid", (*MODEL, "--root", "camvid", "--most-draws", "9"), ("--most-draws", "100")),
        ("camvid", (*MODEL, "--root", "camvid", "--limit", "0"), ("limit", "0")),
        (
            "camvid",
            (*MODEL, "--root", "camvid", "--reference-draws", "-1"),
            ("--reference-draws", "-1"),
        ),
        ("camvid", (*MODEL, *MODEL, "--root", "camvid"), ("SIGMA=MODEL",)),
    ],
)
def test_bad_input(
    workplace: Path, call: Call, table: str, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = call("reproduce", table, *arguments, "-o", "out")
    assert done.is_one_line_error(*words), done.err
    assert not (workplace / "out").exists()


def test_an_unknown_table_is_one_line(call: Call) -> None:
    assert call("reproduce", "imagenet", "-o", "out").is_one_line_error("imagenet")


def test_help_lists_the_tables(call: Call) -> None:
    done = call("reproduce", "--help")
    for table in ("cityscapes", "pascal-context", "camvid", "shapenet", "shapenet-rotation"):
        assert table in done.out
