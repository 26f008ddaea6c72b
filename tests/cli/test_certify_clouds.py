"""`certiseg certify` on point clouds: known labels, files, notes and refusals."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify
from certiseg.datasets.card import PART_COLOURS
from certiseg.datasets.shapenet import shapenet_card

Call = Callable[..., Any]

MODELS = '''
import torch


def by_height():
    """Below 0, or above; a third class for what no height has."""
    def model(x):
        return torch.stack([-x[:, 1], x[:, 1], x[:, 1] * 0 - 9], 1)
    return model


class Tables:
    """Two categories of ShapeNet: the second part of each above 0, the first below."""

    num_classes = 50
    parts = {"Mug": (36, 37), "Table": (47, 48, 49)}

    def of(self, category):
        below, above = self.parts[category][:2]

        def model(x):
            logits = torch.full((len(x), 50, x.shape[2]), -torch.inf)
            logits[:, below], logits[:, above] = -x[:, 1], x[:, 1]
            return logits

        return model

    def __call__(self, x):
        raise AssertionError("clouds of a category go to the model of it")


def tables():
    return Tables()


def with_normals():
    """By the second coordinate of the normal."""
    return lambda x: torch.stack([-x[:, 4], x[:, 4]], 1)


def one_label():
    return lambda x: torch.zeros(len(x), 3)
'''
MODEL = ("--model", "python:own_clouds:by_height")
QUIET = ("--sigma", 0.1, "--seed", 3)


def slabs(count: int = 40) -> np.ndarray:
    """Two slabs at heights -0.8 and 0.8, alternately: (N, 6) with normals up or down."""
    rng = np.random.default_rng(0)
    flat = rng.uniform(-0.5, 0.5, (count, 3))
    above = np.arange(count) % 2 * 2.0 - 1
    flat[:, 1] = 0.8 * above
    flat[:, [0, 2]] -= flat[:, [0, 2]].mean(axis=0)
    return np.column_stack([flat, 0 * above, above, 0 * above]).round(6)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a model, slabs.xyz of 3 and whole.txt of 7 columns, and a picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_clouds.py").write_text(MODELS)
    monkeypatch.delitem(sys.modules, "own_clouds", raising=False)
    np.savetxt("slabs.xyz", slabs()[:, :3], fmt="%.6f")
    np.savetxt("whole.txt", np.column_stack([slabs(), np.full(40, 47)]), fmt="%.6f")
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save("bands.png")
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("[!.]*")} - {"status.json"}


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def test_known_labels_and_all_files(workplace: Path, call: Call) -> None:
    """The slabs lie eight sigmas from the border: every label is that without noise."""
    done = call("certify", "slabs.xyz", *MODEL, *QUIET, "-o", "out")
    assert done.code == 0, done.err
    assert done.err == ""
    assert "40 points" in done.out
    assert "cloud" in done.out
    out = workplace / "out"
    assert files(out) == {
        "slabs.cert.npz",
        "slabs.cloud.png",
        "slabs.legend.png",
        "results.jsonl",
    }
    certificate = Certificate.load(out / "slabs.cert.npz")
    verify(certificate)
    np.testing.assert_array_equal(certificate.labels, np.arange(40) % 2)
    source = certificate.votes.source
    assert source is not None
    assert (source.input_shape, source.value_range) == ((3, 40), None)
    assert "3 x 40 of any value" in certificate.statement()
    (record,) = records(out)
    assert record["labels"] == {"class 0": 20, "class 1": 20, "class 2": 0}
    expected = {
        "name": "slabs",
        "size": [40],
        "category": None,
        "file_points": 40,
        "file_columns": 3,
        "normalised": False,
        "statement": certificate.statement(),
    }
    assert {name: record[name] for name in expected} == expected
    assert call("verify", out / "slabs.cert.npz").code == 0


def near(picture: Path, colour: tuple[int, ...]) -> int:
    """Pixels of about this colour."""
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    return int((np.abs(pixels - colour).max(axis=-1) <= 40).sum())


def test_the_picture_has_the_colours_of_certified_labels_and_white_for_the_rest(
    workplace: Path, call: Call
) -> None:
    table = slabs()
    table[::4, 1] = 0.0  # on the border: one half each
    np.savetxt("half.csv", table[:, :3], fmt="%.6f", delimiter=",")
    assert call("certify", "half.csv", *MODEL, *QUIET, "-o", "out").code == 0
    labels = Certificate.load(workplace / "out" / "half.cert.npz").labels
    np.testing.assert_array_equal(np.flatnonzero(labels == -1), np.arange(0, 40, 4))
    shown = workplace / "out" / "half.cloud.png"
    assert near(shown, PART_COLOURS[0]) > 500
    assert near(shown, PART_COLOURS[1]) > 500
    assert near(shown, PART_COLOURS[2]) == 0
    white = (np.asarray(Image.open(shown)) == 255).all(axis=-1).sum()
    assert white > 500
    # Negative control: where nothing abstains nothing is white.
    call("certify", "slabs.xyz", *MODEL, *QUIET, "-o", "out")
    whole = np.asarray(Image.open(workplace / "out" / "slabs.cloud.png"))
    assert not (whole == 255).all(axis=-1).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (("--noise", "rotation"), ("angle (rad)", "degrees")),
        (("--noise", "coordinates"), ("radius", "the 3 channels")),
    ],
)
def test_radius_map(
    workplace: Path, call: Call, noise: tuple[str, ...], words: tuple[str, ...]
) -> None:
    options = (*MODEL, *QUIET, "--radius-map", *noise, "-n", 200)
    done = call("certify", "slabs.xyz", *options, "-o", "out")
    assert done.code == 0, done.err
    for word in words:
        assert word in done.out
    certificate = Certificate.load(workplace / "out" / "slabs.cert.npz")
    verify(certificate)
    assert isinstance(certificate.radius, np.ndarray)
    assert certificate.certified.all()
    # All at the largest radius there is: the last colour of viridis.
    assert near(workplace / "out" / "slabs.radius.png", (253, 231, 37)) > 3000
    again = (*MODEL, *QUIET, "-o", "out", "--overwrite")
    assert call("certify", "slabs.xyz", *again).code == 0
    assert "slabs.radius.png" not in files(workplace / "out")


def test_columns_beyond_the_model_are_said_and_not_used(workplace: Path, call: Call) -> None:
    plain = call("certify", "slabs.xyz", *MODEL, *QUIET, "-o", "plain")
    done = call("certify", "whole.txt", *MODEL, *QUIET, "--json", "-o", "out")
    assert plain.err == ""
    assert done.err == (
        "note: whole.txt: of its 7 columns, x y z nx ny nz label, only x y z are used, as many as "
        "the model has channels\n"
    )
    assert [json.loads(line) for line in done.out.splitlines()] == records(workplace / "out")
    (record,) = records(workplace / "out")
    assert record["file_columns"] == 7
    assert record["columns"] == ["x", "y", "z", "nx", "ny", "nz", "label"]
    one, other = (
        Certificate.load(workplace / path).votes.source
        for path in ("plain/slabs.cert.npz", "out/whole.cert.npz")
    )
    assert one is not None
    assert other is not None
    assert one.input == other.input


def test_four_columns_are_read_as_stated(workplace: Path, call: Call) -> None:
    np.savetxt("four.txt", slabs()[:, [0, 1, 2, 5]], fmt="%.6f")
    bad = call("certify", "four.txt", *MODEL, *QUIET, "-o", "out")
    assert bad.is_one_line_error("got 4 without", "--columns x,y,z,-"), bad.err
    done = call("certify", "four.txt", *MODEL, *QUIET, "-o", "out", "--columns", "x,y,z,label")
    assert done.code == 0, done.err
    assert records(workplace / "out")[0]["columns"] == ["x", "y", "z", "label"]
    bad = call("certify", "four.txt", *MODEL, *QUIET, "-o", "out2", "--columns", "x,y")
    assert bad.is_one_line_error("--columns as the names of all columns"), bad.err


def test_normals_go_to_a_model_of_six_channels(workplace: Path, call: Call) -> None:
    model = ("--model", "python:own_clouds:with_normals")
    options = (*model, *QUIET, "--noise", "coordinates")
    done = call("certify", "whole.txt", *options, "--channels", 6, "-o", "out")
    assert done.code == 0, done.err
    assert "only x y z nx ny nz are used" in done.err
    labels = Certificate.load(workplace / "out" / "whole.cert.npz").labels
    np.testing.assert_array_equal(labels, np.arange(40) % 2)
    bad = call("certify", "slabs.xyz", *options, "--channels", 6, "-o", "bad")
    assert bad.is_one_line_error("slabs.xyz", "columns x y z nx ny nz", "got x y z;"), bad.err
    bad = call("certify", "whole.txt", *options, "-o", "bad")
    assert bad.is_one_line_error("(1, 3, 40)", "--channels"), bad.err


def test_normalise_and_the_note_without_it(workplace: Path, call: Call) -> None:
    np.savetxt("far.xyz", slabs()[:, :3] * 20 + [0, 300, 0], fmt="%.6f")
    done = call("certify", "far.xyz", *MODEL, *QUIET, "-o", "out")
    assert done.code == 0
    assert done.err.startswith("note: far.xyz: its points reach ")
    assert "--normalise" in done.err
    assert records(workplace / "out")[0]["labels"] == {"class 0": 0, "class 1": 40, "class 2": 0}
    done = call("certify", "far.xyz", *MODEL, *QUIET, "--normalise", "-o", "normalised")
    assert (done.code, done.err) == (0, "")
    (record,) = records(workplace / "normalised")
    assert record["labels"] == {"class 0": 20, "class 1": 20, "class 2": 0}
    assert record["normalised"] is True
    assert record["file_centre"] == pytest.approx([0, 300, 0], abs=1e-4)
    assert record["file_reach"] == pytest.approx(20 * np.linalg.norm(slabs()[:, :3], axis=1).max())


def test_many_files_have_one_note_each_kind(workplace: Path, call: Call) -> None:
    names = [f"{i}.txt" for i in range(3)]
    for name in names:
        (workplace / name).write_bytes((workplace / "whole.txt").read_bytes())
    done = call("certify", *names, *MODEL, *QUIET, "-o", "out")
    assert done.err.splitlines() == [
        "note: 0.txt: of its 7 columns, x y z nx ny nz label, only x y z are used, as many as the "
        "model has channels "
        "(and 2 more)"
    ]
    assert [record["name"] for record in records(workplace / "out")] == ["0", "1", "2"]


def test_points(workplace: Path, call: Call) -> None:
    done = call("certify", "slabs.xyz", *MODEL, *QUIET, "--points", 100, "-o", "out")
    assert done.code == 0, done.err
    (record,) = records(workplace / "out")
    assert (record["size"], record["file_points"]) == ([100], 40)
    bad = call("certify", "slabs.xyz", *MODEL, "--points", 0, "-o", "bad")
    assert bad.is_one_line_error("points", "0"), bad.err


def test_a_category_chooses_parts_names_and_colours(workplace: Path, call: Call) -> None:
    model = ("--model", "python:own_clouds:tables")
    done = call("certify", "slabs.xyz", *model, *QUIET, "--category", "Table", "-o", "out")
    assert done.code == 0, done.err
    certificate = Certificate.load(workplace / "out" / "slabs.cert.npz")
    np.testing.assert_array_equal(certificate.labels, 47 + np.arange(40) % 2)
    (record,) = records(workplace / "out")
    assert record["category"] == "Table"
    assert record["labels"]["class 47"] == 20
    # Three parts and abstention fit on two lines; fifty classes would not.
    assert Image.open(workplace / "out" / "slabs.legend.png").height < 80
    for given, got in (((), "got none"), (("--category", "Tabel"), "got 'Tabel'")):
        bad = call("certify", "slabs.xyz", *model, *given, "-o", "bad")
        assert bad.is_one_line_error("--category among Mug, Table", got), bad.err
    assert not (workplace / "bad").exists()


def test_a_model_of_shapenets_parts_has_its_names(workplace: Path, call: Call) -> None:
    (workplace / "named_models.py").write_text(
        "from own_clouds import Tables\n"
        "from certiseg.datasets.shapenet import shapenet_card\n"
        "def build():\n"
        "    model = Tables()\n"
        "    model.parts = shapenet_card(3).parts\n"
        "    return model\n"
    )
    model = ("--model", "python:named_models:build", "--category", "Table")
    done = call("certify", "slabs.xyz", *model, *QUIET, "-o", "out")
    assert done.code == 0, done.err
    held = {name: count for name, count in records(workplace / "out")[0]["labels"].items() if count}
    assert held == {"table: top": 20, "table: leg": 20}
    shown = workplace / "out" / "slabs.cloud.png"
    for label in (47, 48):
        assert near(shown, shapenet_card(3).palette[label]) > 500


def test_earlier_results_are_kept_unless_told(workplace: Path, call: Call) -> None:
    call("certify", "slabs.xyz", *MODEL, *QUIET, "-o", "out")
    before = (workplace / "out" / "slabs.cert.npz").read_bytes()
    again = ("certify", "slabs.xyz", *MODEL, "--sigma", 0.05, "-o", "out")
    assert call(*again).is_one_line_error("slabs.cert.npz", "--overwrite")
    assert (workplace / "out" / "slabs.cert.npz").read_bytes() == before
    assert call(*again, "--overwrite").code == 0
    assert [record["sigma"] for record in records(workplace / "out")] == [0.05]


BAD_FILES = {
    "nan.txt": ("0 0 nan\n" * 40, ("nan.txt, line 1", "finite")),
    "wide.csv": ("0,0,0,0\n" * 40, ("wide.csv", "3, 6 or 7 columns", "got 4", "--columns")),
    "few.pts": ("0 0 0\n1 1 1\n", ("few.pts", "at least 32 points, got 2")),
    "empty.xyz": ("", ("empty.xyz", "empty file")),
    "fake.npy": ("0 0 0\n", ("fake.npy", "npy file of numbers")),
    "chair.stl": ("solid\n", ("chair.stl", "one kind of file")),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_stops_the_whole_run(workplace: Path, call: Call, name: str) -> None:
    """Even as the last of several: nothing is drawn or written before all were read."""
    content, words = BAD_FILES[name]
    (workplace / name).write_text(content)
    done = call("certify", "slabs.xyz", name, *MODEL, *QUIET, "-o", "out")
    assert done.is_one_line_error("expected", *words), done.err
    assert not (workplace / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("slabs.xyz", *MODEL, "--category", "Table"), ("no --category", "by_height")),
        (("slabs.xyz", *MODEL, "--grid", 4), ("grid", "40 points")),
        (("slabs.xyz", *MODEL, "--channels", 1), ("3 channels", "got one for 1")),
        (("slabs.xyz", *MODEL, "-n", 20), ("at least", "40 components")),
        (("slabs.xyz", *MODEL, "--noise", "rotation", "--sigma", 3), ("sigma", "3")),
        (("slabs.xyz", "-m", "python:own_clouds:one_label"), ("(40)", "points")),
        (("slabs.xyz", "-m", "certiseg:camvid"), ("images", "slabs.xyz")),
        (("slabs.xyz", "bands.png", *MODEL), ("one kind of file", "bands.png")),
        (("bands.png", "-m", "python:own_clouds:tables"), ("point clouds", "bands.png")),
        (("bands.png", "-m", "certiseg:camvid", "--category", "x"), ("--category", "images")),
        (("bands.png", "-m", "certiseg:camvid", "--points", 9), ("--points", "images")),
        (("bands.png", "-m", "certiseg:camvid", "--normalise"), ("--normalise", "images")),
        (
            ("bands.png", "-m", "certiseg:camvid", "--noise", "rotation"),
            ("point cloud", "rotated"),
        ),
    ],
)
def test_bad_input(
    workplace: Path, call: Call, arguments: tuple[object, ...], words: tuple[str, ...]
) -> None:
    done = call("certify", *arguments, "-o", "out")
    assert done.is_one_line_error("expected", *words), done.err
    assert not (workplace / "out").exists()
