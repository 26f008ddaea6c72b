"""Evaluations of volumes: figures by plain loops, the record, the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from certiseg.certificates.certificate import Certificate
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.report.write import write_report
from certiseg.runfolder.folder import Keep
from certiseg.runfolder.run import read_run
from certiseg.runs.attacked import Attacks
from certiseg.runs.evaluate import evaluate
from certiseg.runs.samples import open_samples
from certiseg.runs.settings import Settings

nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")

SETTINGS = Settings(sigma=0.1, num_samples=60, seed=5)


def by_brightness(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([0.5 - x, x - 0.5, torch.full_like(x, -9.0)], 1)


MODEL = LoadedModel("python:test", by_brightness, 3, kind="volumes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    # A depth of 3, which is no batch of RGB images.
    for stem, size in (("one", (3, 6, 7)), ("two", (5, 6, 4))):
        scan = rng.integers(0, 201, size).astype(np.int16)
        truth = np.where(rng.random(size) < 0.1, 255, scan > 90).astype(np.uint8)
        for kind, values in (("images", scan), ("labels", truth)):
            nibabel.save(
                nibabel.Nifti1Image(values, np.diag([1.0, 1, 2, 1])),
                tmp_path / kind / f"{stem}.nii.gz",
            )
    return tmp_path


def run(folder: Path, out: Path, settings: Settings = SETTINGS, **options: object) -> list[object]:
    samples = open_samples(
        MODEL, images=folder / "images", labels=folder / "labels", window=(0, 200)
    )
    return evaluate(samples, MODEL, settings, out, keep=Keep(2), **options).rows  # type: ignore[arg-type, return-value]


def test_figures_are_those_of_plain_loops(folder: Path) -> None:
    out = folder / "out"
    run(folder, out)
    found = json.loads((out / "results.json").read_text())
    least, most = np.zeros(3), np.zeros(3)
    for stem in ("one", "two"):
        truth = np.asarray(nibabel.load(folder / "labels" / f"{stem}.nii.gz").dataobj).ravel()
        (path,) = out.glob(f"**/*{stem}*.cert.npz")
        for true, held in zip(truth, Certificate.load(path).labels.ravel(), strict=True):
            for label in range(3) if true != 255 else ():
                both, either = int(true == held == label), int(true == label)
                # What abstains leaves the prediction of its true class and joins all others.
                predicted = int(held == label or (held == -1 and true != label))
                least[label] += 2 * both
                most[label] += either + predicted
    assert found["certified_dice"][:2] == pytest.approx((least[:2] / most[:2]).tolist(), abs=1e-15)
    assert found["certified_dice"][2] is None
    table = list(csv.DictReader((out / "table.csv").open()))
    assert float(table[-1]["certified_mean_dice"]) == pytest.approx(
        np.mean(found["certified_dice"][:2])
    )
    for row in table:
        assert 0 < float(row["miou"]) <= float(row["mean_dice"]) <= 1
    assert 0 < float(table[-1]["certified_mean_dice"]) < float(table[-1]["mean_dice"])
    assert "certified Dice" in (out / "table.md").read_text()
    assert json.loads((out / "run.json").read_text())["kind"] == "volumes"


@pytest.mark.slow
def test_the_report_recomputes_every_volume(folder: Path) -> None:
    out = folder / "out"
    run(folder, out, Settings(sigma=0.1, num_samples=120, radius_map=True, seed=5))
    written = write_report([out], folder / "page.html", figures=folder / "figures", palette="own")
    assert (written.notes, written.refuted) == ([], [])
    page = (folder / "page.html").read_text()
    assert "s 2 volumes. Colours say" in page
    assert "slices across the last axis" in page
    assert list((folder / "figures").glob("*one*"))
    assert not read_run(out).missing


def test_a_run_resumes_with_the_same_figures(folder: Path) -> None:
    whole = run(folder, folder / "a")
    run(folder, folder / "b")
    (victim,) = (folder / "b").glob("**/*two*.json")
    victim.unlink()
    (folder / "b" / "results.json").unlink()
    again = run(folder, folder / "b", resume=True)
    assert [row.certified_mean_dice for row in again] == [row.certified_mean_dice for row in whole]  # type: ignore[attr-defined]


def test_other_windows_and_channels_are_one_line(folder: Path) -> None:
    both = {"images": folder / "images", "labels": folder / "labels"}
    with pytest.raises(InputError, match=r"in \[0, 1\], got .*--window LOW HIGH"):
        open_samples(MODEL, **both)[0]
    two = LoadedModel("python:test", by_brightness, 3, channels=2, kind="volumes")
    with pytest.raises(InputError, match="2 channels, as the model has, got 1"):
        open_samples(two, **both, window=(0, 200))[0]
    pictures = LoadedModel("python:test", by_brightness, 3, kind="images")
    with pytest.raises(InputError, match="got none"):
        open_samples(pictures, **both, window=(0, 200))


def test_volumes_are_attacked_as_volumes(folder: Path) -> None:
    """One has a depth of 3, which is no batch of RGB images."""

    def of_volumes(x: torch.Tensor) -> torch.Tensor:
        assert x.ndim == 5
        assert x.shape[1] == 1
        return by_brightness(x)

    strict = LoadedModel("python:test", of_volumes, 3, kind="volumes")
    samples = open_samples(
        strict, images=folder / "images", labels=folder / "labels", window=(0, 200)
    )
    attacks = Attacks((0.5, 4.0), steps=5, draws=1)
    found = evaluate(samples, strict, SETTINGS, folder / "out", attacks=attacks)
    assert found.attacked is not None
    for by_norm in found.attacked.counts.values():
        clean, *_, last = by_norm.values()
        assert clean.labelled == last.labelled > 100
        assert last.accuracy < clean.accuracy
