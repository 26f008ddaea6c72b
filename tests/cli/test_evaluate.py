"""`certiseg evaluate` on a folder pair whose figures are known in advance."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify

Call = Callable[..., Any]
MODEL = ("--model", "python:tiny_models:by_brightness", "--num-classes", "3")
FOLDERS = ("--images", "images", "--labels", "labels")


@pytest.fixture
def pair(workplace: Path) -> Path:
    """Two pictures in three plain bands. Truth agrees with them but for one void column a
    picture and, in the second, one whole band (a third of the columns) of another class."""
    for folder in ("images", "labels"):
        (workplace / folder).mkdir()
    bands = (np.arange(30) * 3 // 30)[None].repeat(20, axis=0).astype(np.uint8)
    grey = (bands * 127).astype(np.uint8)
    for name in ("one", "two"):
        Image.fromarray(np.stack([grey] * 3, axis=-1)).save(workplace / f"images/{name}.png")
        truth = bands.copy()
        if name == "two":
            truth[:, :10] = 2
        truth[:, 5] = 9
        Image.fromarray(truth).save(workplace / f"labels/{name}.png")
    return workplace


def evaluate(call: Call, *options: object) -> Any:
    return call(
        "evaluate", *FOLDERS, *MODEL, "--ignore-index", 9, "-o", "out", "--no-report", *options
    )


@pytest.mark.parametrize("words", [("9,2",), ("9", "--ignore-index", "2")])
def test_several_labels_are_ignored(pair: Path, call: Call, words: tuple[str, ...]) -> None:
    """With commas, or by repeating the option."""
    options = ("-o", "out", "--no-report", "--seed", 5, "--ignore-index", *words)
    assert call("evaluate", *FOLDERS, *MODEL, *options).code == 0
    results = json.loads((pair / "out" / "results.json").read_text())
    # What is left is right: the wrong band's truth is class 2.
    assert results["rows"][0]["accuracy"] == 1.0


def test_figures_are_those_known_in_advance(pair: Path, call: Call) -> None:
    done = evaluate(call, "--non-robust", "python:tiny_models:by_brightness", "--seed", 5)
    assert done.code == 0, done.err
    results = json.loads((pair / "out" / "results.json").read_text())
    non_robust, clean, noisy, certified = results["rows"]
    # Without noise the thresholds lie between the blurred columns, so every band comes out right;
    # of 29 labelled columns a picture, the 9 of one band of the second picture are wrong.
    assert clean["accuracy"] == pytest.approx((29 + 20) / 58)
    assert {**non_robust, "model": "", "seconds": 0} == {**clean, "model": "", "seconds": 0}
    assert 0.7 < noisy["accuracy"] <= clean["accuracy"]
    assert certified["certified_accuracy"] == certified["accuracy"]
    assert certified["accuracy"] + certified["abstention"] < 1
    kept = 1 - certified["abstention"]
    assert certified["correct_where_certified"] == pytest.approx(certified["accuracy"] / kept)
    assert certified["radius"] == pytest.approx(0.25 * 0.6744897501960817)
    assert certified["abstention_all"] == pytest.approx(
        np.mean([image["abstention_all"] for image in results["images"]])
    )


def test_files_and_provenance(pair: Path, call: Call) -> None:
    assert evaluate(call, "--save-certificates").code == 0
    out = pair / "out"
    assert {path.name for path in out.glob("[!.]*")} == {
        "run.json",
        "samples",
        "views",
        "certificates",
        "table.md",
        "table.csv",
        "results.json",
        "status.json",
    }
    results = json.loads((out / "results.json").read_text())
    assert results["num_images"] == 2
    assert results["thinned"] is None
    assert results["settings"]["num_samples"] == 100
    assert results["made_with"]["command"].startswith("certiseg")
    assert results["model"] == "python:tiny_models:by_brightness"
    assert results["non_robust"] is None
    assert {"certiseg", "torch", "numpy", "python", "machine"} <= set(results["made_with"])
    seeds = []
    for name in ("0000-one", "0001-two"):
        certificate = Certificate.load(out / "certificates" / f"{name}.cert.npz")
        verify(certificate)
        assert certificate.votes.source is not None
        assert certificate.votes.source.seed_origin == "entropy"
        seeds.append(certificate.votes.source.seed)
    # One seed a run, so that it can be continued; two images under it have unrelated noise.
    assert seeds == [image["seed"] for image in results["images"]]
    assert set(seeds) == {json.loads((out / "run.json").read_text())["seed"]}
    rows = list(csv.DictReader((out / "table.csv").open()))
    assert [row["model"] for row in rows] == [
        "base, clean",
        "base, one draw of noise",
        "certified, n = 100",
    ]
    assert (out / "table.md").read_text().count("\n| ") == 4


def test_limit_thins_and_says_so(pair: Path, call: Call) -> None:
    done = evaluate(call, "--limit", 1)
    assert "1 of 2 samples, at an even stride" in done.out
    results = json.loads((pair / "out" / "results.json").read_text())
    assert results["thinned"] == "1 of 2 samples, at an even stride"
    assert results["num_images"] == 1


def test_a_given_seed_replays_the_figures(pair: Path, call: Call) -> None:
    rows = []
    for _ in range(2):
        assert evaluate(call, "--seed", 8, "--overwrite").code == 0
        results = json.loads((pair / "out" / "results.json").read_text())
        rows.append([{**row, "seconds": None} for row in results["rows"]])
    assert rows[0] == rows[1]


def test_json_prints_the_rows_alone(pair: Path, call: Call) -> None:
    done = evaluate(call, "--json")
    assert json.loads(done.out) == json.loads((pair / "out" / "results.json").read_text())["rows"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*FOLDERS, "--data", "mni152"), ("--images with --labels or --data", "--data")),
        ((), ("--images with --labels or --data", "none")),
        (("--images", "images"), ("--labels",)),
        (("--data", "camvid"), ("--root",)),
        (("--data", "cityscapes"), ("--root", "cityscapes")),
        (("--data", "kitti"), ("camvid", "solids or shapenet", ".yaml", "kitti")),
        (("--data", "mni152", "--root", "."), ("no --root", "mni152")),
        (("--data", "nowhere.yaml"), ("nowhere.yaml", "No such file")),
        (("--data", "mni152", "--channels", "3"), ("channel",)),
        ((*FOLDERS,), ("label ids", "9")),
        ((*FOLDERS, "--ignore-index", "9", "-n", "20"), ("at least", "20")),
        ((*FOLDERS, "--ignore-index", "9", "--limit", "0"), ("limit", "0")),
        ((*FOLDERS, "--ignore-index", "9", "--tau", "0.3"), ("tau", "0.3")),
        (("--images", "images", "--labels", "nowhere"), ("nowhere", "folder")),
    ],
)
def test_bad_input(
    pair: Path, call: Call, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = call("evaluate", *MODEL, *arguments, "-o", "out")
    assert done.is_one_line_error(*words), done.err
    assert not (pair / "out").exists()


def test_model_of_other_classes(pair: Path, call: Call) -> None:
    model = ("--model", "python:tiny_models:by_brightness", "--num-classes", 4)
    done = call("evaluate", *FOLDERS, *model, "--ignore-index", 9, "-o", "out")
    assert done.is_one_line_error("4", "3"), done.err
    model = ("--model", "python:tiny_models:by_brightness")
    done = call("evaluate", *FOLDERS, *model, "--ignore-index", 9, "-o", "out")
    assert done.is_one_line_error("--num-classes"), done.err
    assert not (pair / "out").exists()


def test_a_damaged_last_picture_stops_the_run_before_it_draws(pair: Path, call: Call) -> None:
    last = pair / "images" / "two.png"
    last.write_bytes(last.read_bytes()[:-20])
    assert evaluate(call).is_one_line_error("two.png", "truncated")
    assert not (pair / "out").exists()


def test_earlier_results_are_kept_unless_told(pair: Path, call: Call) -> None:
    evaluate(call)
    assert evaluate(call).is_one_line_error("table.md", "--overwrite")
    assert evaluate(call, "--overwrite").code == 0


def test_accuracy_beyond_the_radius_of_windows(pair: Path, call: Call) -> None:
    """Theory T17, from the certificates; no other model has such figures."""
    options = ("--windows", 8, "--margin", 2, "--save-certificates", "--seed", 3)
    done = evaluate(call, *options)
    assert done.code == 0, done.err
    found = json.loads((pair / "out" / "results.json").read_text())
    right = np.zeros(4)
    for path in sorted((pair / "out").rglob("*.cert.npz")):
        certificate = Certificate.load(path)
        truth = np.asarray(Image.open(pair / "labels" / f"{path.name.split('-')[1][:3]}.png"))
        held = certificate.labels == truth
        norms = [factor * certificate.radius for factor in (1.5, 2, 3, 4)]
        right += [held.sum() - certificate.lost_at_most(norm, held) for norm in norms]
    labelled = 2 * 20 * 29
    assert list(found["beyond"].values()) == (right / labelled).tolist()
    assert list(found["beyond"]) == ["1.5 R", "2 R", "3 R", "4 R"]
    assert found["beyond"]["1.5 R"] > 0
    assert "beyond the radius R, windows together (T17): " in done.out
    assert evaluate(call, "--overwrite", "--seed", 3).code == 0
    assert json.loads((pair / "out" / "results.json").read_text())["beyond"] is None
