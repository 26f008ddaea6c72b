"""certify_images: randomness, interruption, nothing done before everything is checked, and clouds
that are those of the data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.shapenet import shapenet
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.models.pointnet.network import PointNet2
from certiseg.models.pointnet.parts import PartSegmenter
from certiseg.runs.certify import certify_images
from certiseg.runs.inputs import CloudOptions
from certiseg.runs.settings import Settings
from certiseg.sampling.fingerprint import input_fingerprint
from tiny_pointnet import TINY

SETTINGS = Settings(num_samples=60)


class Counting:
    """Labels by brightness; counts the inputs it saw and can fail after some of them."""

    not_fingerprinted = ("seen",)

    def __init__(self, fail_after: int | None = None) -> None:
        self.seen, self.fail_after = 0, fail_after

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        if self.fail_after is not None and self.seen > self.fail_after:
            raise KeyboardInterrupt
        return (x.mean(1) > 0.5).long()


def loaded(model: Any) -> LoadedModel:
    return LoadedModel("python:test", model, num_classes=2, channels=1)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in ("first", "second")]
    for value, path in zip((0, 255), paths, strict=True):
        Image.fromarray(np.full((6, 7), value, dtype=np.uint8)).save(path)
    return paths


def test_checks_come_before_the_first_draw(pictures: list[Path], tmp_path: Path) -> None:
    """The call itself refuses, without a result being asked for; the model passes once at most."""
    model = Counting()
    pictures[1].write_bytes(b"")
    with pytest.raises(InputError, match=r"second\.png"):
        certify_images(pictures, loaded(model), SETTINGS, tmp_path / "out")
    assert model.seen == 1
    with pytest.raises(InputError, match="at least"):
        certify_images(pictures[:1], loaded(model), Settings(num_samples=9), tmp_path / "out")
    assert model.seen == 1
    assert not (tmp_path / "out").exists()


def test_one_trial_pass_for_each_size(pictures: list[Path], tmp_path: Path) -> None:
    model = Counting()
    list(certify_images(pictures, loaded(model), SETTINGS, tmp_path / "out"))
    # The probe's last pass is a batch of six; its first one is another copy's.
    assert model.seen == 1 + 2 * (60 + 6)


def test_an_interrupted_run_leaves_whole_files(pictures: list[Path], tmp_path: Path) -> None:
    model = Counting(fail_after=1 + 64 + 30)
    with pytest.raises(KeyboardInterrupt):
        list(certify_images(pictures, loaded(model), SETTINGS, tmp_path / "out"))
    names = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert names == {
        "first.cert.npz",
        "first.overlay.png",
        "first.legend.png",
        "results.jsonl",
    }
    (line,) = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["name"] == "first"


def test_seeds_are_fresh_unless_given_and_noise_differs_by_input(
    pictures: list[Path], tmp_path: Path
) -> None:
    fresh = list(certify_images(pictures, loaded(Counting()), SETTINGS, tmp_path / "fresh"))
    assert fresh[0]["seed"] != fresh[1]["seed"]
    assert {record["seed_origin"] for record in fresh} == {"entropy"}
    given = Settings(num_samples=60, seed=7)
    records = list(certify_images(pictures, loaded(Counting()), given, tmp_path / "given"))
    assert [record["seed"] for record in records] == [7, 7]
    keys = {
        Certificate.load(tmp_path / "given" / f"{name}.cert.npz").votes.source.key  # type: ignore[union-attr]
        for name in ("first", "second")
    }
    assert len(keys) == 2


def test_a_dark_and_a_bright_picture_are_certified_in_full(
    pictures: list[Path], tmp_path: Path
) -> None:
    """Brightness 0 and 1 lie two sigmas from the threshold: probability .977 against tau .75."""
    settings = Settings(num_samples=300, seed=1)
    first, second = certify_images(pictures, loaded(Counting()), settings, tmp_path / "out")
    assert first["labels"] == {"class 0": 42, "class 1": 0}
    assert second["labels"] == {"class 0": 0, "class 1": 42}


def one_table(root: Path) -> Path:
    """A ShapeNet folder of one table; returns its file."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=(60, 6)) + 3, np.full(60, 47)])
    path = root / "04379243" / "aa.txt"
    path.parent.mkdir()
    np.savetxt(path, rows, fmt="%.6f")
    lists = root / "train_test_split"
    lists.mkdir()
    listed = json.dumps(["shape_data/04379243/aa"])
    (lists / "shuffled_test_file_list.json").write_text(listed)
    return path


@pytest.mark.slow
def test_a_cloud_file_gives_the_points_of_the_data_set(tmp_path: Path) -> None:
    """Normalised and resampled under its category it is the very input of an evaluation."""
    torch.manual_seed(0)
    path = one_table(tmp_path)
    parts = {"Mug": (0, 1), "Table": (2, 3), "Chair": (4,)}
    model = PartSegmenter(PointNet2(TINY).eval(), tuple(parts), parts).eval()
    found = LoadedModel("python:test", model, 5, channels=3, kind="clouds", parts=parts)
    sample = shapenet(tmp_path, points=48, normals=False)[0]
    keys = {}
    for out, options in (
        ("same", CloudOptions("Table", normalise=True, points=48)),
        ("raw", CloudOptions("Table", points=48)),
        ("other", CloudOptions("Mug", normalise=True, points=48)),
    ):
        settings = Settings(law="rotation", num_samples=60, seed=1)
        (record,) = certify_images([path], found, settings, tmp_path / out, clouds=options)
        assert record["category"] == options.category
        source = Certificate.load(tmp_path / out / "aa.cert.npz").votes.source
        assert source is not None
        assert source.model_name.endswith(f"category {options.category}")
        keys[out] = source.input
    assert keys["same"] == input_fingerprint(torch.from_numpy(sample.x))
    assert len(set(keys.values())) == 3
