"""Every method of certification through `certiseg certify` and `certiseg evaluate`."""

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
from certiseg.cli.numbers import budget_of, share_of, spending_of
from certiseg.errors import InputError

Call = Callable[..., Any]
MODEL = ("--model", "python:tiny_models:by_brightness")
TREE = {
    "name": "shades",
    "classes": ["dark", "middle", "bright"],
    "tree": ["dark", {"light": ["middle", "bright"]}],
}

METHODS = {
    "holm": ((), "segcertify"),
    "k-fwer": (("--correction", "k-fwer", "--budget", "1%"), "segcertify"),
    "k-fwer single": (("--correction", "k-fwer-single", "--budget", "5"), "segcertify"),
    "radius map": (("--radius-map",), "radius_map"),
    "min-gain": (("--min-gain", "1%", "-n", "200"), "sequential"),
    "target-coverage": (
        ("--target-coverage", "50%", "--spending", "equal", "--looks", "4"),
        "sequential",
    ),
    "shares": (("--target-coverage", "100%", "--spending", "0.5,0.5"), "sequential"),
    "e-process": (("--min-gain", "1%", "--spending", "e-process"), "sequential"),
    "sequential budget": (
        ("--min-gain", "1%", "--looks", "3", "--correction", "k-fwer", "--budget", "3"),
        "sequential",
    ),
    "hierarchy": (("--hierarchy", "light.json"), "hierarchical"),
    "adaptive": (("--hierarchy", "light.json", "--thresholds", "0.25"), "adaptive"),
    "grid": (("--grid", "3"), "segcertify"),
    "grid and map": (("--grid", "2", "--radius-map"), "radius_map"),
    "grid and budget": (("--grid", "4", "--correction", "k-fwer", "--budget", "2"), "segcertify"),
}


@pytest.fixture
def place(workplace: Path) -> Path:
    (workplace / "light.json").write_text(json.dumps(TREE))
    for folder in ("images", "labels"):
        (workplace / folder).mkdir()
    Image.open(workplace / "bands.png").save(workplace / "images" / "one.png")
    Image.open(workplace / "truth.png").save(workplace / "labels" / "one.png")
    return workplace


@pytest.mark.parametrize("name", list(METHODS))
def test_certify_writes_what_verify_confirms(place: Path, call: Call, name: str) -> None:
    options, method = METHODS[name]
    done = call("certify", "bands.png", *MODEL, *options, "--seed", 3, "-o", "out")
    assert done.code == 0, done.err
    certificate = Certificate.load(place / "out" / "bands.cert.npz")
    verify(certificate)
    assert certificate.method == method
    assert certificate.certified.any()
    assert certificate.statement() in done.out.replace("\n", " ")
    assert call("verify", place / "out" / "bands.cert.npz").code == 0
    shown = np.asarray(Image.open(place / "out" / "bands.overlay.png"))
    assert shown.shape == (20, 30, 3)
    white = np.all(shown == 255, axis=-1)
    assert np.array_equal(white, certificate.full_size() == -1)
    assert (place / "out" / "bands.radius.png").exists() == (method == "radius_map")


def test_the_engine_reaches_the_certificate(place: Path, call: Call) -> None:
    options = ("--precision", "bfloat16", "--channels-last", "--noise-on", "device")
    done = call("certify", "bands.png", *MODEL, *options, "--seed", 3, "-o", "out")
    assert done.code == 0, done.err
    certificate = Certificate.load(place / "out" / "bands.cert.npz")
    verify(certificate)
    assert certificate.votes.source is not None
    engine = certificate.votes.source.engine
    assert engine["precision"] == "float32, autocast bfloat16"
    assert engine["layout"] == "channels last"
    assert "computed in float32, autocast bfloat16" in certificate.statement()


@pytest.mark.parametrize("name", list(METHODS))
def test_evaluate(place: Path, call: Call, name: str) -> None:
    options, method = METHODS[name]
    folders = ("--images", "images", "--labels", "labels", "--num-classes", 3)
    done = call("evaluate", *folders, *MODEL, *options, "--seed", 3, "-o", "out", "--no-report")
    assert done.code == 0, done.err
    results = json.loads((place / "out" / "results.json").read_text())
    assert results["method"] == method
    row = results["rows"][-1]
    assert 0 <= row["certified_accuracy"] <= row["accuracy"] <= 1
    assert 0 <= row["certified_miou"] <= row["miou"] <= 1
    assert (row["cig"] is not None) == (method in ("hierarchical", "adaptive"))
    assert (row["draws"] is not None) == (method == "sequential")
    assert (place / "out" / "curve.csv").exists() == (method == "radius_map")


def test_the_curve_meets_the_table_at_the_radius_of_tau(place: Path, call: Call) -> None:
    folders = ("--images", "images", "--labels", "labels", "--num-classes", 3)
    call("evaluate", *folders, *MODEL, "--radius-map", "--seed", 3, "-o", "out", "--no-report")
    rows = list(csv.DictReader((place / "out" / "curve.csv").open()))
    results = json.loads((place / "out" / "results.json").read_text())
    accuracy = [float(row["certified_accuracy"]) for row in rows]
    assert accuracy == sorted(accuracy, reverse=True)
    radii = [float(row["radius"]) for row in rows]
    place_of_tau = int(np.searchsorted(radii, results["radius"]))
    assert accuracy[place_of_tau] <= results["rows"][-1]["certified_accuracy"]
    assert results["rows"][-1]["certified_accuracy"] <= accuracy[place_of_tau - 1]
    assert (place / "out" / "curve.png").exists()
    assert (place / "out" / "curve.svg").exists()


def test_percentiles_of_one_noisy_pass(place: Path, call: Call) -> None:
    folders = ("--images", "images", "--labels", "labels", "--num-classes", 3)
    done = call(
        "evaluate", *folders, *MODEL, "--percentile", "--seed", 3, "-o", "out", "--no-report"
    )
    assert done.code == 0, done.err
    assert "of one noisy pass" in done.out.replace("\n", " ")
    results = json.loads((place / "out" / "results.json").read_text())
    bounds = results["images"][0]["percentile"]
    noisy = next(row for row in results["rows"] if "noise" in row["model"])
    assert 0 < bounds["mean_iou"] < bounds["accuracy"] <= 1
    assert bounds["accuracy"] <= noisy["accuracy"] + 0.1
    assert all(low <= 1 / 3 + 0.1 and high >= 1 / 3 - 0.1 for low, high in bounds["area"])
    assert results["percentile"]["accuracy"] == bounds["accuracy"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--correction", "k-fwer"), ("budget",)),
        (("--budget", "3"), ("k-fwer",)),
        (("--correction", "k-fwer", "--budget", "0"), ("budget", "[1,")),
        (("--correction", "k-fwer", "--budget", "601"), ("budget", "[1, 600]")),
        (("--correction", "k-fwer", "--budget", "many"), ("--budget", "many")),
        (("--radius-map", "--min-gain", "1%"), ("one method", "--radius-map")),
        (("--radius-map", "--hierarchy", "light.json"), ("one method",)),
        (("--radius-map", "--correction", "bonferroni"), ("--radius-map", "bonferroni")),
        (("--radius-map", "--selection", "split"), ("pooled", "split")),
        (("--radius-map", "-n", "19"), ("at least 21 draws for a radius map of 600",)),
        (("--min-gain", "2"), ("--min-gain", "'2'", "write 2%")),
        (("--min-gain", "0"), ("--min-gain", "above 0")),
        (("--target-coverage", "101%"), ("--target-coverage", "at most 100%")),
        (("--min-gain", "1%", "--looks", "0"), ("look", "0")),
        (("--looks", "3"), ("--min-gain or --target-coverage",)),
        (("--spending", "equal"), ("--min-gain or --target-coverage",)),
        (("--min-gain", "1%", "--spending", "lavish"), ("spending", "lavish")),
        (("--min-gain", "1%", "--spending", "0.7,0.7"), ("share",)),
        (("--selection-samples", "20"), ("--selection-samples", "--selection split")),
        (("--radius-map", "--selection-samples", "20"), ("--selection-samples",)),
        (
            ("--hierarchy", "light.json", "--thresholds", "0.2", "--selection", "pooled"),
            ("two stages",),
        ),
        (("--grid", "21"), ("at most 20", "20 x 30")),
        (("--min-gain", "1%", "-n", "20"), ("at least", "20")),
        (("--min-gain", "1%", "--correction", "bonferroni"), ("holm or k-fwer", "bonferroni")),
        (("--thresholds", "0.25"), ("--hierarchy",)),
        (("--hierarchy", "light.json", "--thresholds", "a"), ("--thresholds", "'a'")),
        (("--hierarchy", "light.json", "--thresholds", "0,0,0.2"), ("at most 2 thresholds",)),
        (("--hierarchy", "light.json", "--thresholds", "0.2", "--budget", "2"), ("k-fwer",)),
        (("--hierarchy", "nowhere.json"), ("nowhere.json",)),
        (("--hierarchy", "camvid"), ("classes",)),
        (("--precision", "float16"), ("CPU", "float16")),
        (("--precision", "float16", "--device", "cpu"), ("CPU", "float16")),
        (("--cuda-graphs",), ("--compile", "--cuda-graphs")),
        (("--compile", "--cuda-graphs"), ("CUDA device", "cpu")),
        (("--grid", "0"), ("grid", "0")),
        (("--grid", "4", "-n", "10"), ("at least", "40 components")),
    ],
)
def test_bad_input_in_one_line_and_nothing_written(
    place: Path, call: Call, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = call("certify", "bands.png", *MODEL, *options, "-o", "out")
    assert done.is_one_line_error(*words), done.err
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--percentile", "--min-gain", "1%"), ("--percentile", "early stopping")),
        (("--percentile", "-n", "60", "--tau", "0.95", "--sigma", "0.25"), ("at least", "draws")),
        (("--hierarchy", "camvid"), ("3 classes", "camvid")),
    ],
)
def test_bad_input_of_evaluate(
    place: Path, call: Call, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    folders = ("--images", "images", "--labels", "labels", "--num-classes", 3)
    done = call("evaluate", *folders, *MODEL, *options, "-o", "out")
    assert done.is_one_line_error(*words), done.err
    assert not (place / "out").exists()


def test_numbers_as_people_type_them() -> None:
    assert share_of("--min-gain", "0.1%") == pytest.approx(0.001)
    assert share_of("--min-gain", "0.001") == 0.001
    assert share_of("--target-coverage", "100%") == 1.0
    assert (budget_of("5"), budget_of("0.1%")) == (5, pytest.approx(0.001))
    assert spending_of("late") == "late"
    assert spending_of(".2,.8") == (0.2, 0.8)
    for text in ("5.5", "100%", "0%", "-1", "1e3"):
        with pytest.raises(InputError, match="budget"):
            budget_of(text)


def test_thresholds_need_logits(place: Path, call: Call) -> None:
    model = ("--model", "python:tiny_models:labels_only", "--num-classes", 3)
    options = ("--hierarchy", "light.json", "--thresholds", "0.25")
    done = call("certify", "bands.png", *model, *options, "-o", "out")
    assert done.is_one_line_error("logits"), done.err
    assert not (place / "out").exists()


def test_classes_of_the_hierarchy_are_in_the_order_of_the_model(place: Path, call: Call) -> None:
    """As many classes in another order would certify groups under the wrong names."""
    tree = {
        "name": "brain",
        "classes": ["white matter", "grey matter", "background"],
        "tree": ["background", {"brain matter": ["grey matter", "white matter"]}],
    }
    (place / "brain.json").write_text(json.dumps(tree))
    Image.open(place / "bands.png").convert("L").resize((96, 96)).save(place / "slice.png")
    options = ("--hierarchy", "brain.json", "-o", "out")
    done = call("certify", "slice.png", "--model", "certiseg:mni152", *options)
    assert done.is_one_line_error("white matter", "class 0", "label order"), done.err
    assert not (place / "out").exists()


def test_groups_are_named_where_the_model_names_nothing(place: Path, call: Call) -> None:
    call("certify", "bands.png", *MODEL, "--hierarchy", "light.json", "--seed", 3, "-o", "out")
    (record,) = map(json.loads, (place / "out" / "results.jsonl").read_text().splitlines())
    assert list(record["labels"]) == ["dark", "middle", "bright", "light"]


def test_what_an_earlier_run_wrote_beside_does_not_stay(place: Path, call: Call) -> None:
    call("certify", "bands.png", *MODEL, "--radius-map", "-o", "out")
    assert (place / "out" / "bands.radius.png").exists()
    assert call("certify", "bands.png", *MODEL, "-o", "out", "--overwrite").code == 0
    assert not (place / "out" / "bands.radius.png").exists()
    folders = ("--images", "images", "--labels", "labels", "--num-classes", 3, "--no-report")
    call("evaluate", *folders, *MODEL, "--radius-map", "--save-certificates", "-o", "eval")
    assert (place / "eval" / "curve.csv").exists()
    again = call("evaluate", *folders, *MODEL, "--keep", 0, "-o", "eval", "--overwrite")
    assert again.code == 0
    assert not (place / "eval" / "curve.csv").exists()
    assert not list((place / "eval" / "certificates").glob("*"))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_radius_maps_of_tiny_pictures(place: Path, call: Call, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (250, 250, 250)).save(place / "tiny.png")
    done = call("certify", "tiny.png", *MODEL, "--radius-map", "--seed", 1, "-o", "out")
    assert done.code == 0, done.err
    assert Image.open(place / "out" / "tiny.radius.png").width >= 260


def test_a_budget_that_allows_everything_claims_nothing(place: Path, call: Call) -> None:
    options = ("--correction", "k-fwer", "--budget", "600", "--seed", 3, "-o", "out")
    done = call("certify", "bands.png", *MODEL, *options)
    assert done.code == 0, done.err
    assert "nothing is claimed" in done.out.replace("\n", " ")
    assert "599" in done.out
