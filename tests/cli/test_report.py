"""`certiseg report`, and the report at the end of `certiseg evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certiseg.report.page import interactive
from made_runs import made_run

Call = Callable[..., Any]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made_run(tmp_path / "run")
    return tmp_path


@pytest.mark.slow
def test_a_report_and_its_figures(place: Path, call: Call) -> None:
    done = call("report", "run", "-o", "page.html", "--figures", "figures", "--images", 1)
    assert done.code == 0, done.err
    assert done.out.splitlines() == ["report: page.html", "figures: figures"]
    assert done.err == ""
    assert (place / "figures" / "table.tex").exists()
    done = call("report", "run", "run", "--palette", "safe")
    assert (done.code, done.out) == (0, "report: report.html\n")


def test_what_is_missing_is_told_and_no_failure(place: Path, call: Call) -> None:
    made_run(place / "half", done=1)
    done = call("report", "half")
    assert done.code == 0
    assert done.err.startswith("note: This run is not finished. 1 of 3 samples are there")


def test_a_refuted_certificate_is_a_failure(place: Path, call: Call) -> None:
    path = place / "run" / "certificates" / "0000-one.cert.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays["labels"] = np.zeros_like(arrays["labels"])
    np.savez_compressed(path, **arrays)
    done = call("report", "run")
    assert done.code == 1
    assert "0000-one.cert.npz" in done.err
    assert (place / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), ("nowhere", "run.json", "certiseg evaluate")),
        (("run", "--images", -1), ("-1",)),
        (("run", "--palette", "loud"), ("loud",)),
        ((), ("RUN",)),
    ],
)
def test_bad_input(place: Path, call: Call, arguments: tuple[Any, ...], words: tuple[str, ...]):
    done = call("report", *arguments)
    assert done.is_one_line_error(*words), done.err
    assert not (place / "report.html").exists()


EVALUATE = (
    *("evaluate", "--images", "images", "--labels", "labels", "-o", "out"),
    *("--model", "python:tiny_models:by_brightness", "--num-classes", 3),
)


@pytest.fixture
def pictures(workplace: Path) -> Path:
    for folder, name in (("images", "bands.png"), ("labels", "truth.png")):
        (workplace / folder).mkdir()
        Image.open(workplace / name).save(workplace / folder / "one.png")
    return workplace


def test_evaluate_ends_with_a_report(pictures: Path, call: Call) -> None:
    done = call(*EVALUATE)
    assert "report, for any browser: out/report.html" in done.out
    assert "one" in (pictures / "out" / "report.html").read_text()
    done = call(*EVALUATE, "--overwrite", "--no-report")
    assert "report, for any browser" not in done.out
    assert not (pictures / "out" / "report.html").exists()


def test_evaluate_without_the_libraries_says_how_to_get_them(
    pictures: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactive.importlib.util, "find_spec", lambda name: None)
    done = call(*EVALUATE)
    assert done.code == 0
    assert "pip install 'certiseg[report]', then certiseg report out" in " ".join(done.out.split())
