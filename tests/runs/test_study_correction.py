"""`study correction`: stored certificates in, a comparison out, or one line and nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import certiseg as cs
from certiseg.errors import InputError
from certiseg.runs.study import certificate_files, study_correction

FILES = {"correction.csv", "correction.png", "correction.svg", "study.json"}


def certificate(seed: int, size: int = 400, n: int = 80, sigma: float = 0.25) -> cs.Certificate:
    rng = np.random.default_rng(seed)
    top = np.where(rng.random(size) < 0.8, 0.985, rng.uniform(0.4, 0.95, size))
    p = np.stack([top, 1 - top], axis=-1)
    return cs.certify(
        cs.VoteCounts(rng.multinomial(n, p), n),
        noise=cs.Gaussian(sigma),
        selection_votes=cs.VoteCounts(rng.multinomial(10, p), 10),
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder as `certify` leaves it: images of two sizes, and other files."""
    folder = tmp_path / "run"
    folder.mkdir()
    for seed, size in ((1, 400), (2, 900), (3, 400)):
        certificate(seed, size).save(folder / f"image{seed}.cert.npz")
    (folder / "results.jsonl").write_text("{}\n")
    return folder


def test_files_and_figures(run: Path, tmp_path: Path) -> None:
    compared, _ = study_correction([run], tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == FILES
    with (tmp_path / "out" / "correction.csv").open() as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    holm = [cs.Certificate.load(file).certified.mean() for file in sorted(run.glob("*.npz"))]
    assert float(rows["Holm"]["share"]) == pytest.approx(np.mean(holm))
    assert float(rows["Holm"]["lowest"]) == min(holm)
    assert float(rows["Holm"]["highest"]) == max(holm)
    assert {row["images"] for row in rows.values()} == {"3"}
    assert {row["draws"] for row in rows.values()} == {"90"}
    assert len(rows) == len(compared) == 13
    record = json.loads((tmp_path / "out" / "study.json").read_text())
    assert len(record["certificates"]) == 3
    assert record["task"]["noise"] == {"kind": "gaussian", "sigma": 0.25}
    assert "fixed before sampling" in record["note"]


def test_folders_of_evaluate_single_files_and_repetition(run: Path, tmp_path: Path) -> None:
    inner = tmp_path / "evaluation" / "certificates"
    inner.mkdir(parents=True)
    certificate(5).save(inner / "a.cert.npz")
    files = certificate_files([tmp_path / "evaluation", run / "image2.cert.npz", run])
    assert [file.name for file in files] == [
        "a.cert.npz",
        "image2.cert.npz",
        "image1.cert.npz",
        "image3.cert.npz",
    ]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"sigma": 0.5}, "expected .*sigma = 0.25"),
        ({"n": 90}, "got .* and 10 \\+ 90 draws"),
    ],
)
def test_different_experiments_are_not_compared(
    run: Path, tmp_path: Path, odd: dict[str, float], words: str
) -> None:
    certificate(9, **odd).save(run / "zz.cert.npz")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words) as caught:
        study_correction([run], tmp_path / "out")
    assert "zz.cert.npz" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_stops_everything(run: Path, tmp_path: Path) -> None:
    whole = (run / "image2.cert.npz").read_bytes()
    for damaged in (whole[:-50], b"", b"not a certificate"):
        (run / "image2.cert.npz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"image2\.cert\.npz"):
            study_correction([run], tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_an_altered_file_is_bad_input(run: Path, tmp_path: Path) -> None:
    with np.load(run / "image1.cert.npz") as file:
        members = {name: file[name] for name in file.files}
    members["counts"] = members["counts"][:, ::-1].copy()
    np.savez(run / "image1.cert.npz", **members)
    with pytest.raises(InputError, match=r"image1\.cert\.npz .*leave it out or make it again"):
        study_correction([run], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected certificates"):
        study_correction([tmp_path], tmp_path / "out")
    with pytest.raises(InputError, match="at least one run"):
        study_correction([], tmp_path / "out")


def test_earlier_results_stay(run: Path, tmp_path: Path) -> None:
    study_correction([run], tmp_path / "out")
    with pytest.raises(InputError, match="no earlier results"):
        study_correction([run], tmp_path / "out")
    study_correction([run], tmp_path / "out", overwrite=True)
