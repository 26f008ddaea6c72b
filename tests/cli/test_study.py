"""`certiseg study`: what is printed, and bad calls in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import certiseg as cs

Call = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for index in range(2):
        counts = np.array([[60, 0]] * 20 + [[40 - index, 20 + index]] * 5)
        votes = cs.VoteCounts(counts, 60)
        cs.certify(votes, noise=cs.Gaussian(0.25)).save(tmp_path / f"im{index}.cert.npz")
    return tmp_path


@pytest.mark.usefixtures("short_study")
def test_synthetic(tmp_path: Path, call: Call) -> None:
    done = call("study", "synthetic", "-o", tmp_path / "out", "--quick", "--repetitions", 2)
    assert (done.code, done.err) == (0, "")
    assert "N = 1000, gamma = 0.05" in " ".join(done.out.split())
    assert "N = 100, gamma = 0.02" in done.out
    for method in ("JointClass", "IndivClass", "Bonferroni", "pooled Holm", "early stopping"):
        assert method in done.out
    assert (tmp_path / "out" / "gamma.png").exists()


@pytest.mark.usefixtures("short_study")
@pytest.mark.slow
def test_synthetic_json(tmp_path: Path, call: Call) -> None:
    done = call(
        "study", "synthetic", "-o", tmp_path / "out", "--quick", "--repetitions", 2, "--json"
    )
    rows = json.loads(done.out)
    assert done.err == ""
    assert {row["scenario"] for row in rows} == {"gamma", "components"}
    assert all(row["mean_draws"] <= row["draws"] for row in rows)


def test_correction(run: Path, call: Call) -> None:
    done = call("study", "correction", run, "-o", run / "out")
    assert (done.code, done.err) == (0, "")
    assert "2 images, 60 draws" in done.out
    assert "pooled Holm" in done.out
    assert "fixed before sampling" in " ".join(done.out.split())


def test_correction_json(run: Path, call: Call) -> None:
    done = call("study", "correction", run / "im0.cert.npz", "-o", run / "out", "--json")
    assert done.err == ""
    rows = json.loads(done.out)
    assert rows[0]["method"] == "pooled Bonferroni"
    assert rows[0]["share"] == 0.8


def test_a_damaged_certificate(run: Path, call: Call) -> None:
    damaged = run / "im1.cert.npz"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    done = call("study", "correction", run, "-o", run / "out")
    assert done.is_one_line_error("im1.cert.npz")
    assert not (run / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "Missing command"),
        (("other",), "No such command"),
        (("synthetic",), "--out"),
        (("synthetic", "-o", "out", "--repetitions", "1"), "at least 2 repetitions"),
        (("synthetic", "-o", "out", "--seed", "-1"), "seed >= 0"),
        (("correction", "-o", "out"), "runs"),
        (("correction", "nowhere", "-o", "out"), "nowhere"),
        (("correction", ".", "-o", "out"), "expected certificates"),
    ],
)
def test_bad_calls(
    tmp_path: Path, monkeypatch, call: Call, arguments: tuple[str, ...], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("study", *arguments).is_one_line_error(word)
    assert list(tmp_path.iterdir()) == []
