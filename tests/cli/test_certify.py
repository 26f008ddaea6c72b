"""`certiseg certify` on tiny pictures and models: its files, and its refusals."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify

Call = Callable[..., Any]
MODEL = ("--model", "python:tiny_models:by_brightness")


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("[!.]*")} - {"status.json"}


def test_writes_certificate_overlay_and_record(workplace: Path, call: Call) -> None:
    done = call("certify", "bands.png", *MODEL, "--seed", 3, "-o", "out/deep")
    assert done.code == 0, done.err
    out = workplace / "out" / "deep"
    assert files(out) == {
        "bands.cert.npz",
        "bands.overlay.png",
        "bands.legend.png",
        "results.jsonl",
    }
    certificate = Certificate.load(out / "bands.cert.npz")
    verify(certificate)
    assert certificate.statement() in done.out.replace("\n", " ")
    (record,) = (json.loads(line) for line in (out / "results.jsonl").read_text().splitlines())
    histogram = np.bincount(certificate.labels[certificate.certified], minlength=3).tolist()
    assert record["labels"] == dict(zip(("class 0", "class 1", "class 2"), histogram, strict=True))
    expected = {
        "name": "bands",
        "size": [20, 30],
        "abstention": certificate.abstention,
        "radius": certificate.radius,
        "tau": 0.75,
        "alpha": 1e-3,
        "n": 100,
        "n0": None,
        "sigma": 0.25,
        "correction": "holm",
        "selection": "pooled",
        "seed": 3,
        "seed_origin": "caller",
        "model": "python:tiny_models:by_brightness",
        "statement": certificate.statement(),
    }
    assert {name: record[name] for name in expected} == expected
    assert record["seconds"] > 0


def test_overlay_is_white_exactly_where_it_abstains(workplace: Path, call: Call) -> None:
    call("certify", "bands.png", *MODEL, "--seed", 3, "-o", "out")
    labels = Certificate.load(workplace / "out" / "bands.cert.npz").labels
    assert (labels == -1).any()
    assert (labels >= 0).any()
    painted = np.asarray(Image.open(workplace / "out" / "bands.overlay.png"))
    np.testing.assert_array_equal((painted == 255).all(axis=-1), labels == -1)


def test_split_selection_and_bonferroni(workplace: Path, call: Call) -> None:
    options = (
        "--selection",
        "split",
        "--selection-samples",
        7,
        "--correction",
        "bonferroni",
        "-n",
        80,
    )
    assert call("certify", "bands.png", *MODEL, *options, "-o", "out").code == 0
    certificate = Certificate.load(workplace / "out" / "bands.cert.npz")
    assert certificate.selection_votes is not None
    assert (certificate.selection_votes.trials, certificate.votes.trials) == (7, 80)
    assert certificate.correction == "bonferroni"


def test_json_prints_one_line_a_picture_and_nothing_else(workplace: Path, call: Call) -> None:
    os.link("bands.png", "again.png")
    done = call("certify", "bands.png", "again.png", *MODEL, "--json", "-o", "out")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [record["name"] for record in records] == ["bands", "again"]
    stored = (workplace / "out" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in stored] == records


def test_model_that_returns_labels_needs_their_number(workplace: Path, call: Call) -> None:
    model = ("--model", "python:tiny_models:labels_only")
    assert call("certify", "bands.png", *model, "-o", "out").is_one_line_error("num_classes")
    assert not (workplace / "out").exists()
    done = call("certify", "bands.png", *model, "--num-classes", 2, "-o", "out")
    assert done.code == 0, done.err


def test_earlier_results_are_kept_unless_told(workplace: Path, call: Call) -> None:
    call("certify", "bands.png", *MODEL, "-o", "out")
    before = (workplace / "out" / "bands.cert.npz").read_bytes()
    again = ("certify", "bands.png", *MODEL, "-o", "out")
    assert call(*again).is_one_line_error("bands.cert.npz", "--overwrite")
    assert (workplace / "out" / "bands.cert.npz").read_bytes() == before
    assert call(*again, "--overwrite").code == 0
    assert (workplace / "out" / "bands.cert.npz").read_bytes() != before
    assert len((workplace / "out" / "results.jsonl").read_text().splitlines()) == 1


def test_another_picture_joins_the_results(workplace: Path, call: Call) -> None:
    os.link("bands.png", "more.png")
    call("certify", "bands.png", *MODEL, "-o", "out")
    assert call("certify", "more.png", *MODEL, "-o", "out").code == 0
    lines = (workplace / "out" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["bands", "more"]


def rgb(height: int = 8, width: int = 9) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def bad_picture(kind: str, path: Path) -> None:
    picture = Image.fromarray(rgb())
    if kind in ("L", "RGBA", "P"):
        picture.convert(kind).save(path)
    elif kind == "truncated":
        picture.save(path)
        path.write_bytes(path.read_bytes()[:-30])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no picture")
    else:
        assert kind == "missing"


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("L", "grey"),
        ("RGBA", "RGBA"),
        ("P", "palette"),
        ("truncated", "truncated"),
        ("empty", "empty"),
        ("text", "got another"),
        ("missing", "No such file"),
    ],
)
def test_bad_picture_stops_the_whole_run(workplace: Path, call: Call, kind: str, word: str) -> None:
    """Even as the last of several: nothing is drawn or written before all were read."""
    bad_picture(kind, workplace / "bad.png")
    done = call("certify", "bands.png", "bad.png", *MODEL, "-o", "out")
    assert done.is_one_line_error("bad.png", "expected", word), done.err
    assert not (workplace / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sigma", "0"), ("sigma > 0", "got 0")),
        (("--sigma", "-1"), ("sigma > 0", "-1")),
        (("--sigma", "nan"), ("sigma > 0", "nan")),
        (("--sigma", "x"), ("--sigma",)),
        (("--tau", "0.49"), ("tau in [1/2, 1)", "0.49")),
        (("--tau", "1"), ("tau in [1/2, 1)", "1")),
        (("--alpha", "0"), ("alpha in (0, 1)", "0")),
        (("--alpha", "1"), ("alpha in (0, 1)", "1")),
        (("-n", "40"), ("at least 47 draws", "600 components", "40", "47 or more")),
        (("-n", "0"), ("at least",)),
        (("--correction", "none"), ("--correction",)),
        (("--selection", "best"), ("--selection",)),
        (("--selection", "split", "--selection-samples", "0"), ("at least 1", "0")),
        (("--batch-size", "0"), ("at least 1", "0")),
        (("--seed", "-1"), ("seed", "-1")),
        (("--device", "abacus"), ("device", "abacus")),
        (("--channels", "2"), ("--channels", "2")),
        (("--num-classes", "1"), ("at least 2", "1")),
        (("--num-classes", "4"), ("4", "3")),
    ],
)
def test_bad_parameter(
    workplace: Path, call: Call, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = call("certify", "bands.png", *MODEL, *options, "-o", "out")
    assert done.is_one_line_error(*words), done.err
    assert not (workplace / "out").exists()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("python:tiny_models:half_size", ("(20, 30)", "(10, 15)")),
        ("python:tiny_models:one_label", ("one label", "(20, 30)")),
        ("python:tiny_models:grey_only", ("(1, 3, 20, 30)", "--channels")),
        ("python:tiny_models:untidy", ("callable", "str")),
        ("python:tiny_models:missing", ("missing", "tiny_models")),
        ("python:no_such_module_here:f", ("no_such_module_here",)),
        ("certiseg:nothing", ("certiseg:NAME", "nothing")),
        ("nowhere", ("certiseg:NAME", "nowhere")),
    ],
)
def test_model_that_does_not_fit(
    workplace: Path, call: Call, spec: str, words: tuple[str, ...]
) -> None:
    done = call("certify", "bands.png", "--model", spec, "-o", "out")
    assert done.is_one_line_error("expected", *words), done.err
    assert not (workplace / "out").exists()


def test_unwritable_output_folder(workplace: Path, call: Call) -> None:
    done = call("certify", "bands.png", *MODEL, "-o", "bands.png/out")
    assert done.is_one_line_error("writable output folder", "bands.png/out"), done.err


def test_two_pictures_of_one_name(workplace: Path, call: Call) -> None:
    (workplace / "other").mkdir()
    os.link("bands.png", "other/bands.png")
    done = call("certify", "bands.png", "other/bands.png", *MODEL, "-o", "out")
    assert done.is_one_line_error("different names", "bands.cert.npz"), done.err
    assert not (workplace / "out").exists()


def test_foreign_results_file_is_left_alone(workplace: Path, call: Call) -> None:
    (workplace / "out").mkdir()
    (workplace / "out" / "results.jsonl").write_text("mine\n")
    done = call("certify", "bands.png", *MODEL, "-o", "out")
    assert done.is_one_line_error("results.jsonl"), done.err
    assert files(workplace / "out") == {"results.jsonl"}


@pytest.mark.filterwarnings("default")
def test_a_tiny_sigma_is_noted(workplace: Path, call: Call) -> None:
    done = call("certify", "bands.png", *MODEL, "--sigma", 0.002, "-o", "out")
    assert done.code == 0
    assert done.err.count("note: sigma 0.002 is below 1 % of the inputs' range [0, 1]") == 1
