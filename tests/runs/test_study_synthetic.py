"""`study synthetic`: a tiny run leaves whole files that agree with each other."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import certiseg
from certiseg.errors import InputError
from certiseg.runs import study
from certiseg.runs.study import study_synthetic

FILES = {f"{name}.{kind}" for name in ("gamma", "components") for kind in ("csv", "png", "svg")}


def test_a_tiny_run(tmp_path: Path) -> None:
    out = tmp_path / "new" / "study"
    sweeps = study_synthetic(out, repetitions=2, quick=True, command="certiseg study synthetic")
    assert {path.name for path in out.glob("[!.]*")} == FILES | {"study.json"}
    for sweep in sweeps:
        with (out / f"{sweep.scenario.name}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(sweep.rows)
        points = {(row["gamma"], row["components"]) for row in rows}
        assert len(points) == len(sweep.scenario.toys)
        methods = {row["method"] for row in rows}
        assert len(rows) == len(points) * len(methods)
        for row, measured in zip(rows, sweep.rows, strict=True):
            assert float(row["share"]) == measured.share
            assert float(row["mean_draws"]) <= int(row["draws"]) == sweep.scenario.draws
            assert 0.0 <= float(row["error"]) <= 1.0
    record = json.loads((out / "study.json").read_text())
    assert (record["repetitions"], record["seed"]) == (2, 0)
    assert [s["name"] for s in record["sweeps"]] == ["gamma", "components"]
    assert record["made_with"]["certiseg"] == certiseg.__version__
    assert record["made_with"]["command"] == "certiseg study synthetic"


@pytest.mark.usefixtures("short_study")
@pytest.mark.slow
def test_earlier_results_stay(tmp_path: Path) -> None:
    (tmp_path / "components.svg").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"no other file in the way, got .*components\.svg"):
            study_synthetic(tmp_path, repetitions=2, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["components.svg"]
    (tmp_path / "components.svg").unlink()
    study_synthetic(tmp_path, repetitions=2, quick=True)
    with pytest.raises(InputError, match=r"no earlier results, got .*gamma\.csv and 6 more"):
        study_synthetic(tmp_path, repetitions=2, quick=True)
    study_synthetic(tmp_path, repetitions=2, quick=True, overwrite=True)


@pytest.mark.parametrize("bad", [{"repetitions": 1}, {"repetitions": 5, "seed": -3}])
def test_bad_options_write_nothing(tmp_path: Path, bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected at least 2 repetitions"):
        study_synthetic(tmp_path / "out", **bad)
    assert not (tmp_path / "out").exists()


def test_without_matplotlib_nothing_is_computed(tmp_path: Path, monkeypatch) -> None:
    def missing() -> None:
        raise InputError("no Matplotlib")

    monkeypatch.setattr(study, "need_matplotlib", missing)
    monkeypatch.setattr(study, "simulate", lambda *_: pytest.fail("computed"))
    with pytest.raises(InputError, match="no Matplotlib"):
        study_synthetic(tmp_path / "out", repetitions=2)
    assert not (tmp_path / "out").exists()
