"""`certiseg evaluate` and `certiseg reproduce` on point clouds: figures, files, bad input."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify
from certiseg.datasets.solids import solids
from certiseg.metrics.part_iou import PartIou

Call = Callable[..., Any]

MODELS = '''
import torch
from certiseg.datasets.solids import solids

PARTS = solids("test", count=1).card.parts


class ByHeight:
    """The first part of the category above the cloud's middle, the second below."""

    num_classes = 16

    def of(self, category):
        upper, lower = PARTS[category][:2]

        def model(x):
            logits = torch.full((len(x), 16, x.shape[2]), -torch.inf)
            logits[:, upper], logits[:, lower] = x[:, 1], -x[:, 1]
            return logits

        return model

    def __call__(self, x):
        raise AssertionError("clouds of a category go to the model of it")


def by_height():
    return ByHeight()


def one_label_a_cloud():
    return lambda x: torch.zeros(len(x), 16)
'''
MODEL = ("--model", "python:cloud_models:by_height")
SOLIDS = ("--data", "solids", "--points", 128)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "cloud_models.py").write_text(MODELS)
    return tmp_path


def by_height(x: np.ndarray, parts: tuple[int, ...]) -> np.ndarray:
    """What the model of the tests says without noise."""
    return np.where(x[1] > -x[1], parts[0], parts[1])


@pytest.mark.slow
def test_figures_of_clouds_are_those_of_their_labels(workplace: Path, call: Call) -> None:
    done = call(
        "evaluate", *MODEL, *SOLIDS, "--limit", 10, "--sigma", 0.01, "--noise", "coordinates",
        "--seed", 3, "-o", "out", "--no-report",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "10 of 500 clouds, spread evenly over 5 categories" in done.out
    results = json.loads((workplace / "out" / "results.json").read_text())
    clean, _, certified = results["rows"]

    samples = solids("test", points=128, normals=False)
    named = {samples[i].name: samples[i] for i in range(250, 300)}
    total, right, points = PartIou({}), 0, 0
    for image in results["images"]:
        sample = named.get(image["name"]) or next(
            samples[i] for i in range(len(samples)) if samples[i].name == image["name"]
        )
        parts = samples.card.parts[sample.category]
        labels = by_height(sample.x, parts)
        total += PartIou.count(sample.labels, labels, parts, sample.category)
        right, points = right + np.count_nonzero(labels == sample.labels), points + labels.size
    assert clean["accuracy"] == pytest.approx(right / points)
    assert clean["instance_miou"] == pytest.approx(total.instance_miou)
    assert clean["category_miou"] == pytest.approx(total.category_miou)
    assert clean["certified_instance_miou"] is None
    assert certified["certified_instance_miou"] <= certified["instance_miou"]
    assert 0 < certified["certified_category_miou"] < clean["category_miou"]
    assert set(results["by_category"]["certified"]) == set(samples.card.parts)
    assert results["radius"] == pytest.approx(0.01 * 0.6744897501960817)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--noise", "rotation"), ("around any axis", "rad (", "degrees)")),
        (("--noise", "rotation", "--axis", "y"), ("around the y axis", "degrees)")),
        (("--noise", "coordinates"), ("perturbation of the 3 channels", "l2 norm")),
        (("--noise", "gaussian", "--radius-map"), ("its own radius",)),
    ],
)
def test_certificates_of_clouds_verify_and_say_what_moves(
    workplace: Path, call: Call, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    data = (*SOLIDS, "--limit", 2, "--no-report")
    done = call("evaluate", *MODEL, *data, "--sigma", 0.1, *options, "-o", "out")
    assert done.code == 0, done.err
    files = sorted((workplace / "out" / "certificates").iterdir())
    assert len(files) == 2
    for file in files:
        certificate = Certificate.load(file)
        verify(certificate)
        assert certificate.labels.shape == (128,)
        for word in words:
            assert word in certificate.statement()
    assert json.loads((workplace / "out" / "run.json").read_text())["kind"] == "clouds"


def shapenet_like(root: Path) -> Path:
    """Four mugs and a damaged fifth, as the benchmark's folder has them."""
    source = solids("test", points=64)
    mugs = [i for i in range(len(source)) if source.category(i) == "Mug"][:5]
    (root / "03797390").mkdir(parents=True)
    (root / "train_test_split").mkdir()
    for name, index in enumerate(mugs):
        sample = source[index]
        # The generator's first part is the body; ShapeNet's handle is 36, its body 37.
        labels = np.where(sample.labels == sample.labels.min(), 37, 36)
        rows = np.column_stack([sample.x.T, labels.astype(float)])
        text = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in rows)
        (root / "03797390" / f"mug{name}.txt").write_text(text if name < 4 else text + " nan")
    listed = [f"shape_data/03797390/mug{name}" for name in range(5)]
    for split in ("train", "val", "test"):
        file = root / "train_test_split" / f"shuffled_{split}_file_list.json"
        file.write_text(json.dumps(listed))
    return root


SHAPENET_MODEL = """
import torch


def mugs():
    def model(x):
        logits = torch.full((len(x), 50, x.shape[2]), -1e9)
        logits[:, 36], logits[:, 37] = x[:, 0], -x[:, 0]
        return logits
    return model
"""


@pytest.mark.slow
def test_a_damaged_cloud_is_named_and_left_out_only_when_told(workplace: Path, call: Call) -> None:
    (workplace / "mug_models.py").write_text(SHAPENET_MODEL)
    root = shapenet_like(workplace / "parts")
    options = ("--model", "python:mug_models:mugs", "--num-classes", 50, "--data", "shapenet")
    options += ("--root", root, "--points", 64, "--sigma", 0.05, "-o", "out")
    done = call("evaluate", *options)
    assert done.is_one_line_error("mug4.txt", "line 64"), done.err
    assert not (workplace / "out").exists()
    done = call("evaluate", *options, "--skip-bad")
    assert done.code == 0, done.err
    assert done.err.startswith("skipped: ")
    assert "mug4.txt" in done.err
    results = json.loads((workplace / "out" / "results.json").read_text())
    assert results["num_images"] == 4
    assert "4 of 5 clouds" in results["thinned"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "shapenet"), ("--root", "shapenetcore_partanno")),
        (("--data", "solids", "--root", "x"), ("--root", "generated")),
        (("--data", "solids", "--skip-bad"), ("--skip-bad", "no files")),
        (("--data", "solids", "--grid", "4"), ("grid", "points")),
        (("--data", "solids", "--noise", "rotation", "--sigma", "3"), ("sigma", "3")),
        (("--data", "solids", "--axis", "y"), ("--axis", "rotation")),
        (("--data", "solids", "--noise", "rotation", "--axis", "w"), ("axis", "w")),
        (("--data", "solids", "--channels", "1"), ("3 channels", "1")),
        (("--data", "solids", "--points", "3"), ("points", "3")),
        (("--data", "solids", "--split", "dev"), ("split", "dev")),
        (("--data", "mni152", "--points", "64"), ("--points", "images")),
    ],
)
def test_bad_input(
    workplace: Path, call: Call, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = call("evaluate", *MODEL, *arguments, "-o", "out")
    assert done.is_one_line_error(*words), done.err
    assert not (workplace / "out").exists()


def test_pictures_are_not_rotated(workplace: Path, call: Call) -> None:
    options = ("--model", "certiseg:mni152", "--data", "mni152", "--noise", "rotation")
    done = call("evaluate", *options, "--limit", 1, "-o", "out")
    assert done.is_one_line_error("point cloud", "rotated"), done.err
    assert not (workplace / "out").exists()


def test_a_model_without_a_label_for_each_point(workplace: Path, call: Call) -> None:
    options = ("--model", "python:cloud_models:one_label_a_cloud", *SOLIDS, "--limit", 1)
    done = call("evaluate", *options, "-o", "out")
    assert done.is_one_line_error("128", "points"), done.err


@pytest.mark.slow
def test_the_papers_table_on_generated_clouds(workplace: Path, call: Call) -> None:
    done = call(
        "reproduce", "shapenet", "--data", "solids", *MODEL, "--limit", 2, "--most-draws", 1000,
        "--non-robust", "python:cloud_models:by_height", "--seed", 1, "--batch-size", 100,
        "-o", "out",
    )  # fmt: skip
    assert done.code == 0, done.err
    out = workplace / "out"
    rows = list(csv.DictReader((out / "table.csv").open()))
    assert [row["model"] for row in rows[:1]] == ["non-robust, clean"]
    methods = ["split, holm", "split, bonferroni", "pooled, holm"]
    for sigma in ("0.25", "0.5"):
        own = [row for row in rows if row["sigma"] == sigma]
        assert [row["model"] for row in own[:2]] == ["base, clean", "base, one draw of noise"]
        lines = [(row["model"], row["tau"], row["n"], row["n0"]) for row in own[2:]]
        assert lines == [
            (method, tau, "1100", "100" if method.startswith("split") else "0")
            for tau in ("0.75", "0.85")
            for method in methods
        ]
        for row in own[2:]:
            assert float(row["certified_accuracy"]) == pytest.approx(float(row["accuracy"]))
            assert float(row["accuracy"]) + float(row["abstention"]) <= 1
    held = {
        (r["model"], r["sigma"], r["tau"]): 1 - float(r["abstention"]) for r in rows if r["tau"]
    }
    assert held["split, bonferroni", "0.25", "0.75"] <= held["split, holm", "0.25", "0.75"]
    assert held["split, holm", "0.25", "0.75"] <= held["pooled, holm", "0.25", "0.75"] + 0.02
    results = json.loads((out / "results.json").read_text())
    assert results["done"] == results["clouds"] == 2
    assert len(results["seeds"]) == 2
    assert r"\toprule" in (out / "table.tex").read_text()
    assert "2 of 500 clouds" in (out / "table.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--model", "--data shapenet")),
        ((*MODEL,), ("--root", "shapenetcore_partanno")),
        (("--data", "camvid"), ("solids or shapenet", "camvid")),
        (("--data", "solids", *MODEL, "--most-draws", "10"), ("--most-draws", "1000")),
        (("--data", "solids", *MODEL, *MODEL), ("SIGMA=MODEL",)),
        (("--data", "solids", "--model", "0.3=python:a:b"), ("sigma", "0.3")),
        (("--data", "solids", *MODEL, "--limit", "0"), ("limit", "0")),
    ],
)
def test_bad_input_of_reproduce(
    workplace: Path, call: Call, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = call("reproduce", "shapenet", *arguments, "-o", "out")
    assert done.is_one_line_error(*words), done.err
    assert not (workplace / "out").exists()
