"""`certify --regions`, and `certiseg region`: how many labels of a region hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.regions import regions
from certiseg.noise import Gaussian
from certiseg.votes import VoteCounts

Call = Callable[..., Any]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """40 x 50 labels: two halves of two classes, weak at the border, hopeless in a corner."""
    hits = np.full((40, 50), 110)
    hits[:, 20:30] = np.random.default_rng(0).integers(94, 106, (40, 10))
    hits[:5, :5] = 60
    counts = np.zeros((40, 50, 2), dtype=np.uint8)
    rows, columns = np.indices(hits.shape)
    counts[rows, columns, (columns >= 25).astype(int)] = hits
    counts[rows, columns, (columns < 25).astype(int)] = 110 - hits
    file = tmp_path / "a.cert.npz"
    regions(VoteCounts(counts, 110), noise=Gaussian(0.25)).save(file)
    return file


def test_answers_are_those_of_python(call: Call, stored: Path, tmp_path: Path) -> None:
    mask = np.zeros((40, 50), dtype=np.uint8)
    mask[:8, 15:35] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    options = ("--mask", tmp_path / "m.png", "--box", "10,0,30,28", "--class", 1, "--json")
    outcome = call("region", stored, *options)
    assert outcome.code == 0, outcome.err
    answers = [json.loads(line) for line in outcome.out.splitlines()]
    certificate = Certificate.load(stored)
    box = np.zeros((40, 50), dtype=bool)
    box[10:30, :28] = True
    wanted = [certificate.at_least(r) for r in (mask > 0, box, certificate.labels == 1)]
    assert [answer["at_least"] for answer in answers] == wanted
    assert answers[1]["components"] == 560
    assert wanted[1] < answers[1]["labels"] < 560


def test_in_words(call: Call, stored: Path) -> None:
    certificate = Certificate.load(stored)
    sure = certificate.at_least(np.ones((40, 50), dtype=bool))
    outcome = call("region", stored)
    words = f"everything: at least {sure} of its 2000 components keep their label"
    assert outcome.out.startswith(words)
    assert "confidence 99.9% for all regions at once" in outcome.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--box", "0,0,41,5"), "expected --box TOP,LEFT,BOTTOM,RIGHT within labels of shape"),
        (("--box", "5,5,5,9"), "expected --box"),
        (("--box", "1,2,3"), "expected --box"),
        (("--class", 2), "expected --class of 0 to 1, got 2"),
        (("--mask", "small.png"), "expected a mask of the labels' size (40, 50), got (4, 5)"),
        (("--mask", "none.png"), "none.png: expected a readable PNG"),
    ],
)
def test_regions_that_are_none(
    call: Call,
    stored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[Any, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.ones((4, 5), dtype=np.uint8)).save("small.png")
    outcome = call("region", stored, *options)
    assert outcome.code == 2
    assert words in outcome.err


def test_a_certificate_that_does_not_follow_is_refused(call: Call, stored: Path) -> None:
    from dataclasses import replace

    made = Certificate.load(stored)
    replace(made, labels=np.zeros_like(made.labels)).save(stored)
    outcome = call("region", stored)
    assert outcome.code == 1
    assert "do not follow from the stored counts" in outcome.err


def test_certify_with_regions(workplace: Path, call: Call) -> None:
    options = ("--model", "python:tiny_models:by_brightness", "--regions", "-n", 80, "--json")
    outcome = call("certify", "bands.png", *options, "-o", "out")
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    assert record["method"] == "regions"
    certificate = Certificate.load(workplace / "out" / "bands.cert.npz")
    assert record["may_be_wrong"] == certificate.allowed_errors
    for label, name in enumerate(record["at_least"]):
        assert record["at_least"][name] == certificate.at_least(certificate.labels == label)


def test_regions_exclude_other_methods(workplace: Path, call: Call) -> None:
    model = ("--model", "python:tiny_models:by_brightness", "--num-classes", 3, "--regions")
    for other in ("--radius-map", "--correction=bonferroni"):
        refused = call("certify", "bands.png", *model, other, "-o", "out")
        assert refused.is_one_line_error("--regions"), refused.err


def test_regions_stop_early(workplace: Path, call: Call) -> None:
    options = ("--model", "python:tiny_models:by_brightness", "--num-classes", 3, "--regions")
    done = call("certify", "bands.png", *options, "--target-coverage=50%", "-o", "out", "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert (record["method"], record["stopped"]) == ("sequential_regions", "wanted share reached")
    assert record["n"] < 100
    assert call("verify", "out/bands.cert.npz").code == 0


def test_certify_with_regions_of_nodes(workplace: Path, call: Call) -> None:
    tree = {"name": "light", "classes": ["dark", "middle", "bright"]}
    tree["tree"] = ["dark", {"lit": ["middle", "bright"]}]  # type: ignore[assignment]
    (workplace / "light.json").write_text(json.dumps(tree))
    options = ("--model", "python:tiny_models:by_brightness", "--regions", "--num-classes", 3)
    nodes = ("--hierarchy", "light.json", "-n", 80, "--seed", 1)
    done = call("certify", "bands.png", *options, *nodes, "-o", "out", "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    certificate = Certificate.load(workplace / "out" / "bands.cert.npz")
    assert certificate.hierarchy is not None
    assert (certificate.labels == 3).any()
    for label, name in enumerate(("dark", "middle", "bright", "lit")):
        assert record["at_least"][name] == certificate.at_least(certificate.labels == label)
    assert call("verify", "out/bands.cert.npz").code == 0
    answer = call("region", "out/bands.cert.npz", "--class", 3, "--json")
    assert json.loads(answer.out)["at_least"] == record["at_least"]["lit"]
    assert call("region", "out/bands.cert.npz", "--class", 4).is_one_line_error("0 to 3", "light")

    for other, words in (
        ("--target-coverage=50%", ("early stopping", "--hierarchy")),
        ("--thresholds=0.25", ("--thresholds",)),
    ):
        refused = call("certify", "bands.png", *options, *nodes, other, "-o", "no")
        assert refused.is_one_line_error(*words), refused.err


def test_evaluations_of_regions_have_no_nodes(workplace: Path, call: Call) -> None:
    """The remedy is tried in ``test_figures_of_regions``."""
    for folder, file in (("images", "bands.png"), ("labels", "truth.png")):
        (workplace / folder).mkdir()
        (workplace / file).rename(workplace / folder / "a.png")
    tree = {"name": "light", "classes": ["class 0", "class 1", "class 2"]}
    tree["tree"] = ["class 0", {"lit": ["class 1", "class 2"]}]  # type: ignore[assignment]
    (workplace / "light.json").write_text(json.dumps(tree))
    model = ("--model", "python:tiny_models:by_brightness", "--num-classes", 3)
    data = ("--images", "images", "--labels", "labels", "-n", 40, "-o", "out")
    refused = call("evaluate", *model, *data, "--regions", "--hierarchy", "light.json")
    assert refused.is_one_line_error("--regions or of --hierarchy", "leave --hierarchy out")
    assert not (workplace / "out").exists()


def test_figures_of_regions(workplace: Path, call: Call) -> None:
    """With one certificate they are those of its regions; the report recomputes them."""
    for folder, file in (("images", "bands.png"), ("labels", "truth.png")):
        (workplace / folder).mkdir()
        (workplace / file).rename(workplace / folder / "a.png")
    model = ("--model", "python:tiny_models:by_brightness", "--num-classes", 3)
    data = ("--images", "images", "--labels", "labels", "--save-certificates", "--seed", 1)
    done = call("evaluate", *model, *data, "--regions", "-n", 40, "-o", "out", "--json")
    assert done.code == 0, done.err
    found = json.loads((workplace / "out" / "results.json").read_text())
    (file,) = (workplace / "out").rglob("*.cert.npz")
    certificate = Certificate.load(file)
    truth = np.asarray(Image.open(workplace / "labels" / "a.png"))
    right = certificate.labels == truth
    labelled = int((truth != 255).sum())
    assert found["rows"][-1]["model"] == "certified, regions, n = 40"
    assert found["rows"][-1]["certified_accuracy"] == certificate.at_least(right) / labelled
    assert found["allowed"] == int(right.sum()) - certificate.at_least(right)
    assert call("report", "out").code == 0
