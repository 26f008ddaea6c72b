"""The demonstration end to end on one slice: what it writes, and what it says is missing."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify
from certiseg.cli.main import run
from certiseg.datasets import mni152
from certiseg.runs import attack_demo


@pytest.mark.skipif(importlib.util.find_spec("nilearn") is None, reason="needs certiseg[demo]")
def test_demo_on_one_slice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--images", "1", "-n", "80", "--seed", "4", "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    (record,) = (json.loads(line) for line in (tmp_path / "results.jsonl").open())
    name = record["name"]
    assert {path.name for path in tmp_path.glob("[!.]*")} == {
        *("run.json", "samples", "views", "certificates", "report.html"),
        *("table.md", "table.csv", "results.json", "results.jsonl", f"{name}.png"),
    }
    (file,) = (tmp_path / "certificates").iterdir()
    certificate = Certificate.load(file)
    verify(certificate)
    truth = mni152.mni152("demo")[6].labels
    assert name == "mni152-z086"
    certified = certificate.certified
    # Far from any chance: a third each is what guessing gives, 1 - abstention what is possible.
    assert certified.mean() > 0.6
    assert (certificate.labels == truth)[certified].mean() > 0.95
    assert record["abstention"] == certificate.abstention
    for words in (
        "0.1686",
        "abstention",
        name,
        "one averaged brain",
        "certiseg verify",
        "report.html",
    ):
        assert words in printed
    figure = np.asarray(Image.open(tmp_path / f"{name}.png"))
    assert figure.ndim == 3
    assert figure.shape[1] > 3 * figure.shape[0] // 2


def test_demo_without_nilearn_names_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mni152._volumes.cache_clear()
    monkeypatch.setattr(mni152.importlib.util, "find_spec", lambda _: None)
    assert run(["demo", "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "pip install 'certiseg[demo]'" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="needs certiseg[demo]")
def test_what_is_certified_withstands_the_attack_that_an_undefended_network_does_not(
    tmp_path: Path,
) -> None:
    out = str(tmp_path)
    # Beside another demonstration, as `make demo` leaves one.
    assert run(["demo", "--clouds", "--images", "1", "-n", "60", "-o", out]) == 0
    assert run(["demo", "--attack", "-n", "830", "--seed", "4", "-o", out]) == 0
    record = json.loads((tmp_path / "attacks.jsonl").read_text())
    assert record["norm"] <= 0.5 < record["radius"]
    assert record["changed"] > 0.4
    assert record["certified"] > 0.4
    assert record["certified_lost"] == 0
    assert run(["verify", str(tmp_path / "china.cert.npz")]) == 0


def test_the_demonstration_of_an_attack_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["demo", "--attack", "--clouds", "-o", str(tmp_path / "out")]) == 2
    assert "leave them out" in capsys.readouterr().err
    monkeypatch.setattr(attack_demo.importlib.util, "find_spec", lambda _: None)
    assert run(["demo", "--attack", "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "pip install 'certiseg[demo]'" in error
