"""`certiseg train`: pictures where nothing is named, a denoiser by name, help for both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.cli.main import run

SMALL = ["--widths", "4,6", "--blocks", "0,1", "--epochs", "1", "--batch-size", "2"]


@pytest.fixture(autouse=True)
def _ordinary_malloc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certiseg.runs.malloc.keep_freed_memory", lambda: False)


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for i in range(3):
        ids = np.kron(rng.integers(0, 3, (3, 3)), np.ones((8, 8))).astype(np.uint8)
        Image.fromarray(ids).save(tmp_path / "labels" / f"{i}.png")
        Image.fromarray(np.stack([ids * 90] * 3, 2)).save(tmp_path / "images" / f"{i}.png")
    options = ["--data", "folder", "--classes", "3"]
    for name in ("images", "labels"):
        options += [f"--{name}", str(tmp_path / name), f"--val-{name}", str(tmp_path / name)]
    return options


def test_pictures_are_what_is_trained_where_nothing_is_named(
    data: list[str], tmp_path: Path
) -> None:
    for words, name in ((["train"], "a"), (["train", "pictures"], "b")):
        assert run([*words, *data, "--sigma", "0.1", *SMALL, "-o", str(tmp_path / name)]) == 0
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert a == b


@pytest.mark.parametrize("given", [["train"], ["train", "--help"], ["train", "-h"]])
def test_help_names_both(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(given) == 0
    told = capsys.readouterr().out
    assert "pictures" in told
    assert "denoiser" in told


def test_a_training_is_told_of(
    data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certiseg.cli.told.EVERY", 1e9)
    out, log = tmp_path / "model", tmp_path / "log.jsonl"
    given = ["train", *data, "--sigma", "0.1", *SMALL, "-o", str(out), "--log-json", str(log)]
    assert run(given) == 0
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in said] == ["start", "progress", "end"]
    assert [line["done"] for line in said] == [0, 2, 2]
    assert {(line["what"], line["total"]) for line in said} == {("steps", 2)}
    assert said[1]["epoch"] == 1
    assert said[1]["loss"] > 0
    assert "mIoU" in said[1]["validation"]
    found = json.loads((out / "status.json").read_text())
    assert (found["state"], found["exit_code"]) == ("finished", 0)


def test_precision_is_in_the_command_of_the_card(data: list[str], tmp_path: Path) -> None:
    out = tmp_path / "model"
    given = ["train", *data, "--sigma", "0.1", *SMALL, "--precision", "bfloat16", "-o", str(out)]
    assert run(given) == 0
    assert "--precision bfloat16" in (out / "CARD.md").read_text()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--precision", "float16"], "float16 on a CUDA device"),
        (["--precision", "half"], "half"),
        (["--memory", "-1"], "--memory 0 or more"),
        (["--resume"], "expected an interrupted training with --resume"),
    ],
)
def test_bad_options(
    change: list[str],
    word: str,
    data: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "model"
    assert run(["train", *data, "--sigma", "0.1", *SMALL, *change, "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert word in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


def test_what_is_no_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "voxels"]) == 2
    assert "No such command 'voxels'" in capsys.readouterr().err


def _never(*given: object) -> None:
    raise AssertionError("data was read")


def test_weights_to_start_from_that_are_not_there_leave_no_folder(
    data: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("certiseg.training.images.CachedSamples", _never)
    monkeypatch.setattr("certiseg.training.denoiser.CachedImages", _never)
    out, nothing = tmp_path / "out", tmp_path / "nothing"
    words = ["train", *data, "--sigma", "0.1", *SMALL, "-o", str(out)]
    assert run([*words, "--init", str(nothing)]) == 2
    assert "got nothing of that name; check the path" in capsys.readouterr().err
    assert not out.exists()
    pictures = ["--images", str(tmp_path / "images"), "--val-images", str(tmp_path / "images")]
    words = ["train", "denoiser", "--data", "folder", *pictures, "--sigma", "0.1"]
    assert run([*words, "--init", str(nothing), "-o", str(out)]) == 2
    assert "got nothing of that name; check the path" in capsys.readouterr().err
    assert not out.exists()
