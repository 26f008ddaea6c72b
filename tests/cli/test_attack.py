"""`certiseg attack`: files, figures and errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify

MODEL = ("--model", "python:tiny_models:by_brightness")


def test_files_and_figures_agree(call, workplace):
    done = call("attack", "bands.png", *MODEL, "-e", 6, "--steps", 20, "-o", "out", "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert record == json.loads((workplace / "out/attacks.jsonl").read_text())
    attacked = np.load(workplace / "out/bands.attacked.npy", allow_pickle=False)
    given = np.asarray(Image.open(workplace / "bands.png")).transpose(2, 0, 1) / np.float32(255)
    assert attacked.dtype == np.float32
    assert 0 <= attacked.min() <= attacked.max() <= 1
    true = math.sqrt(math.fsum(((attacked.astype(float) - given.astype(float)) ** 2).flat))
    assert 5.5 < true <= record["norm"] <= record["epsilon"] == 6
    assert 0 < record["changed"] == record["success"] < 1
    preview = np.asarray(Image.open(workplace / "out/bands.attacked.png")) / 255
    assert np.abs(preview.transpose(2, 0, 1) - attacked).max() <= 0.5 / 255 + 1e-6
    assert Image.open(workplace / "out/bands.panel.png").size[0] > 1200
    certificate = Certificate.load(workplace / "out/bands.cert.npz")
    verify(certificate)
    assert certificate.certified.mean() == record["certified"]


def test_a_class_vanishes(call, workplace):
    options = ("--steps", 30, "-o", "out", "--json", "--vanish", 2)
    weak, strong = (
        json.loads(call("attack", "bands.png", *MODEL, "-e", size, *options, *more).out)
        for size, more in ((0.5, ()), (12, ("--overwrite",)))
    )
    assert 0.6 < weak["success"] < strong["success"]


def test_another_model_is_attacked_and_what_is_certified_of_this_one_holds(call, workplace):
    other = ("--non-robust", "python:tiny_models:by_brightness")
    line = ("attack", "bands.png", *MODEL, *other, "-e", 0.1, "--steps", 20, "-o", "out", "--json")
    done = call(*line)
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert record["attacked"] == "python:tiny_models:by_brightness"
    assert record["radius"] > 0.1
    assert record["certified"] > 0
    assert record["certified_lost"] == 0


def test_errors_in_one_line(call, workplace):
    common = ("-o", "out", "--steps", 2)
    for wrong, words in (
        ((*MODEL, "-e", 0), "epsilon"),
        ((*MODEL, "-e", 1, "--loss", "dice"), "masked-ce"),
        ((*MODEL, "-e", 1, "--vanish", 7), "nowhere"),
        (("--model", "python:tiny_models:one_label", "-e", 1), "segmentation model"),
        ((*MODEL, "--non-robust", "certiseg:camvid", "-e", 1), "same classes"),
    ):
        assert call("attack", "bands.png", *wrong, *common).is_one_line_error(words), words
        assert not list((workplace / "out").glob("bands*"))


def test_earlier_results_are_not_replaced_unasked(call, workplace):
    line = ("attack", "bands.png", *MODEL, "-e", 1, "--steps", 1, "-o", "out")
    assert call(*line).code == 0
    assert call(*line).is_one_line_error("--overwrite")
    assert call(*line, "--overwrite").code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--scales", "0.5,1", "--flip"),
        ("--resize", "32x32"),
        ("--windows", 32, "--margin", 8),
        ("--names", "names.txt"),
    ],
    ids=str,
)
def test_models_are_described_as_for_certify(call, workplace, options):
    (workplace / "names.txt").write_text("dark\ngrey\nbright\n")
    line = ("attack", "bands.png", *MODEL, "-e", 6, "--steps", 5, "-o", "out", "--json")
    done = call(*line, *options)
    assert done.code == 0, done.err
    assert json.loads(done.out)["changed"] > 0
