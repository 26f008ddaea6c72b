"""Labelled clouds of the user: read as described, evaluated, resumed, trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from certiseg.datasets.card import note_of
from certiseg.datasets.cloud_file import read_cloud
from certiseg.datasets.cloud_scaling import resampled
from certiseg.datasets.own_clouds import own_clouds
from certiseg.datasets.registry import open_clouds
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runs.evaluate import evaluate
from certiseg.runs.samples import open_samples
from certiseg.runs.settings import Settings
from certiseg.training.clouds import read_clouds

ABOUT = "name: yard\nclasses: [low, high]\nnormalise: true\ncolumns: [x, y, z, '-', label]\n"


def table(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = rng.uniform(-5, 5, (60, 3)).round(4)
    return np.column_stack([places, rng.random(60).round(3), places[:, 2] > 0])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "clouds.yaml").write_text(ABOUT)
    for number, split in enumerate(("train", "val", "test")):
        (tmp_path / split).mkdir()
        for place in range(3):
            seed = 3 * number + place
            np.savetxt(tmp_path / split / f"{place}.txt", table(seed), fmt="%.4f")
    return tmp_path


def test_points_and_labels_stay_together(root: Path) -> None:
    clouds = own_clouds(root, "val", points=40, normals=False)
    assert (len(clouds), clouds.card.kind, clouds.card.classes) == (3, "clouds", ("low", "high"))
    sample = clouds[1]
    assert (sample.name, sample.category, sample.x.shape) == ("1", "yard", (3, 40))
    whole = table(4)
    places = whole[:, :3] - whole[:, :3].mean(axis=0)
    chosen = resampled(60, 40, "yard-1")
    reach = np.linalg.norm(places, axis=1).max()
    np.testing.assert_allclose(sample.x.T, (places / reach)[chosen], atol=1e-6)
    assert np.array_equal(sample.labels, whole[chosen, 4])
    # What certify makes of the same file with --category yard.
    columns = ("x", "y", "z", "-", "label")
    path = root / "val" / "1.txt"
    same = read_cloud(path, normalise=True, points=40, name="yard-1", columns=columns)
    assert np.array_equal(same.x, sample.x)


@pytest.mark.parametrize(
    ("about", "word"),
    [
        ("name: yard\nclasses: [low, high]\n", "the field normalise, got none"),
        (ABOUT.replace("[low, high]", "[low, low]"), "2 to 254 different names"),
        (ABOUT.replace("true", "maybe"), "normalise as"),
        (ABOUT + "colour: red\n", "fields among .*got 'colour'"),
        (ABOUT.replace("columns", "#"), "3, 6 or 7 columns .*got 5 without"),
        (ABOUT.replace("label]", "s]"), "a column label, got x y z - s"),
        (ABOUT.replace("label]", "]"), "a name for each of its 5 columns"),
        (ABOUT.replace("[x, y, z, '-', label]", "5"), "columns as"),
        ("[]", "a mapping of fields"),
        ("name: [", "a description of the clouds"),
    ],
)
def test_descriptions_that_do_not_fit_are_one_line(root: Path, about: str, word: str) -> None:
    (root / "clouds.yaml").write_text(about)
    with pytest.raises(InputError, match=word) as caught:
        own_clouds(root, "test", normals=False)[0]
    assert "\n" not in str(caught.value)


def test_faults_of_files(root: Path) -> None:
    bad = table(0)
    bad[7, 4] = 2
    np.savetxt(root / "test" / "1.txt", bad, fmt="%.4f")
    clouds = own_clouds(root, "test", normals=False)
    with pytest.raises(InputError, match=r"1.txt, line 8: expected a label in 0..1, got 2"):
        clouds[1]
    rest = own_clouds(root, "test", normals=False, skip_bad=True)
    assert len(rest) == 2
    assert note_of(rest) == "2 of 3 clouds, others damaged"
    assert "line 8" in rest.skipped[0]
    with pytest.raises(InputError, match="nx ny nz"):
        own_clouds(root, "test")[0]
    with pytest.raises(InputError, match="expected a folder"):
        own_clouds(root, "other")
    (root / "test" / "0.csv").write_text("x,y,z\n")
    with pytest.raises(InputError, match=r"one file a stem, got 0.csv and 0.txt"):
        own_clouds(root, "test")


def by_height(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([-x[:, 2:3], x[:, 2:3]], 1)


def test_they_are_evaluated_and_resumed(root: Path) -> None:
    model = LoadedModel("python:test", by_height, 2, kind="clouds")
    samples = open_samples(model, data="clouds", root=root, points=50)
    settings = Settings(sigma=0.05, num_samples=60, law="coordinates", seed=2)
    found = evaluate(samples, model, settings, root / "out")
    # Cut at z = 0 of the file and at its mean here: nearly the same.
    assert found.rows[0].accuracy > 0.9
    last = found.rows[-1]
    assert last.instance_miou is not None
    assert last.certified_miou is not None
    assert 0 < last.certified_miou < last.miou < 1
    results = json.loads((root / "out" / "results.json").read_text())
    assert results["num_images"] == 3
    (victim,) = (root / "out").glob("**/*-2.json")
    victim.unlink()
    (root / "out" / "results.json").unlink()
    again = evaluate(samples, model, settings, root / "out", resume=True)
    assert again.rows[-1].certified_miou == last.certified_miou


def test_they_can_be_trained_on(root: Path) -> None:
    """What train-clouds holds of them, in all splits."""
    for split in ("train", "val", "test"):
        held = read_clouds(open_clouds("clouds", channels=3, root=root, split=split, points=40))
        assert held.x.shape == (3, 3, 40)
        assert held.category.tolist() == [0, 0, 0]
    with pytest.raises(InputError, match=r"--root with --data clouds, got none; name the folder"):
        open_clouds("clouds", channels=3)
