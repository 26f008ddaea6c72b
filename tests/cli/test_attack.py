"""`certiseg attack`: files, figures and errors."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify

MODEL = ("--model", "python:tiny_models:by_brightness")
CLOUD_MODELS = """
import torch


def by_height():
    return lambda x: 9 * torch.stack([-x[:, 1], x[:, 1]], 1)


def by_normal():
    return lambda x: 9 * torch.stack([-x[:, 1] - x[:, 4], x[:, 1] + x[:, 4]], 1)
"""


@pytest.fixture
def clouds(workplace, monkeypatch):
    """A folder with models of clouds and a file of 64 points with normals."""
    (workplace / "attack_clouds.py").write_text(CLOUD_MODELS)
    monkeypatch.delitem(sys.modules, "attack_clouds", raising=False)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(64, 3))
    points -= points.mean(0)
    points /= np.linalg.norm(points, axis=1).max()
    normals = rng.normal(size=(64, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    np.savetxt(workplace / "cloud.txt", np.hstack([points, normals]), fmt="%.9g")
    return workplace


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
    assert weak["success"] < 0.1 < strong["success"]


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


@pytest.mark.slow
@pytest.mark.parametrize("channels", [3, 6])
def test_a_cloud_is_attacked_on_its_coordinates(call, clouds, channels):
    model = "by_height" if channels == 3 else "by_normal"
    options = ("--model", f"python:attack_clouds:{model}", "--channels", channels, "--seed", 0)
    line = ("attack", "cloud.txt", *options, "-e", 1.5, "--steps", 20, "-o", "out", "--json")
    done = call(*line)
    assert done.code == 0, done.err
    record = json.loads(done.out)
    given = np.loadtxt(clouds / "cloud.txt").T.astype(np.float32)[:channels]
    attacked = np.load(clouds / "out/cloud.attacked.npy", allow_pickle=False)
    change = attacked.astype(float) - given
    assert not change[3:].any()
    assert 1.4 < math.sqrt(math.fsum((change**2).flat)) <= record["norm"] <= 1.5
    assert 0.1 < record["changed"] == record["success"]
    assert (record["attack"], record["file_points"], record["normalised"]) == ("l2", 64, False)
    assert sorted(path.name for path in (clouds / "out").iterdir() if path.name[0] != ".") == [
        "attacks.jsonl",
        "cloud.attacked.npy",
        "cloud.cert.npz",
        "cloud.panel.png",
    ]
    assert Image.open(clouds / "out/cloud.panel.png").size[0] > 1200
    again = call("certify", "out/cloud.attacked.npy", *options, "--noise", "coordinates", "-o", "c")
    assert again.code == 0, again.err


def test_a_cloud_is_rotated(call, clouds):
    options = ("--model", "python:attack_clouds:by_height", "--seed", 0, "--json", "--sigma", 0.1)
    line = ("attack", "cloud.txt", *options, "--angle", 0.5, "--steps", 30, "-o", "out")
    done = call(*line)
    assert done.code == 0, done.err
    record = json.loads(done.out)
    given = np.loadtxt(clouds / "cloud.txt").T.astype(np.float32)[:3]
    attacked = np.load(clouds / "out/cloud.attacked.npy", allow_pickle=False)
    lengths = (np.linalg.norm(c - c.mean(1, keepdims=True), axis=0) for c in (given, attacked))
    assert np.allclose(*lengths, atol=1e-6)
    assert record["changed"] == np.mean((given[1] > 0) != (attacked[1] > 0)) > 0.1
    assert record["attack"] == "rotation"
    assert record["norm"] <= 0.5
    # sigma PhiInv(.75), as far as rotations in space certify it
    assert record["radius"] == pytest.approx(0.0675, abs=1e-3)


@pytest.mark.slow
def test_a_part_vanishes_for_the_nearest_points(call, clouds):
    options = ("--model", "python:attack_clouds:by_height", "--steps", 20, "--vanish", 0, "--json")
    shares = [
        json.loads(call("attack", "cloud.txt", *options, "-e", size, "-o", f"out{size}").out)
        for size in (0.1, 3)
    ]
    assert 0 < shares[0]["success"] < shares[1]["success"]


def test_errors_on_clouds_in_one_line(call, clouds):
    model = ("--model", "python:attack_clouds:by_height")
    np.save(clouds / "volume.npy", np.zeros((1, 8, 8, 8), np.float32))
    for wrong, words in (
        (("cloud.txt", *model), "--angle"),
        (("cloud.txt", *model, "-e", 1, "--angle", 0.1), "both"),
        (("cloud.txt", *model, "--angle", 9), "radians"),
        (("cloud.txt", *model, "--angle", 0.1, "--restarts", 2), "leave them out"),
        (("cloud.txt", *model, "--angle", 0.1, "--loss", "ce"), "leave them out"),
        (("cloud.txt", "--model", "certiseg:solids", "-e", 1), "--category"),
        (("cloud.txt", "--model", "certiseg:camvid", "-e", 1), "images"),
        (("bands.png", *MODEL, "--angle", 0.1), "pass --epsilon"),
        (("bands.png", *MODEL, "-e", 1, "--normalise"), "leave it out"),
        (("volume.npy", *MODEL, "-e", 1), "in Python"),
    ):
        done = call("attack", *wrong, "-o", "out", "--steps", 2)
        # Before it there may be a note on columns that are not used.
        assert done.code == 2, words
        assert words in done.err.splitlines()[-1]
        assert done.err.count("error: ") == 1
        assert not list((clouds / "out").glob("*.npy"))
