"""`certiseg train` on four tiny synthetic pictures: files, card, determinism, bad options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from certiseg.cli.train import train
from certiseg.errors import InputError
from certiseg.models.resolve import load_model

app = typer.Typer()
app.command()(train)

SMALL = ["--widths", "4,6,8", "--blocks", "0,1,1", "--epochs", "1", "--batch-size", "2"]


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    """Four pictures whose class is their colour; the options that name them."""
    rng = np.random.default_rng(1)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for i in range(4):
        ids = np.kron(rng.integers(0, 3, (4, 5)), np.ones((8, 8))).astype(np.uint8)
        colours = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250]], dtype=np.uint8)[ids]
        ids[:, :3] = 9
        Image.fromarray(colours).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray(ids).save(tmp_path / "labels" / f"{i}.png")
    images, labels = str(tmp_path / "images"), str(tmp_path / "labels")
    options = ["--images", images, "--labels", labels]
    options += ["--val-images", images, "--val-labels", labels]
    return ["--data", "folder", *options, "--classes", "3", "--ignore", "9"]


def _run(options: list[str]) -> None:
    result = CliRunner().invoke(app, options)
    if result.exception is not None:
        raise result.exception


@pytest.fixture(autouse=True)
def _ordinary_malloc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tuning is for a process of its own, not for the one that runs all tests."""
    monkeypatch.setattr("certiseg.runs.malloc.keep_freed_memory", lambda: False)


def test_trains_and_loads(pair: list[str], tmp_path: Path) -> None:
    out = tmp_path / "model"
    _run([*pair, "--sigma", "0.1", *SMALL, "--crop", "24x32", "-o", str(out)])
    assert sorted(p.name for p in out.glob("[!.]*")) == [
        "CARD.md",
        "card.json",
        "model.safetensors",
        "status.json",
    ]
    card = json.loads((out / "card.json").read_text())
    assert card["training"]["sigma"] == 0.1
    assert card["training"]["seed"] == 0
    assert card["classes"] == ["class 0", "class 1", "class 2"]
    assert card["figures"]["one_draw"]["noise_seed"] == 0
    command = card["training"]["command"]
    assert command.startswith("certiseg train --data folder --images PATH/TO/images")
    for page in ((out / "card.json").read_text(), (out / "CARD.md").read_text()):
        assert str(tmp_path) not in page
    assert command in (out / "CARD.md").read_text()
    loaded = load_model(str(out))
    assert loaded.num_classes == 3
    with torch.inference_mode():
        assert loaded.model(torch.rand(1, 3, 33, 41)).shape == (1, 3, 33, 41)


def test_same_seed_same_bytes(pair: list[str], tmp_path: Path) -> None:
    weights = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        _run([*pair, "--sigma", "0.2", *SMALL, "--seed", seed, "-o", str(tmp_path / name)])
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_without_noise_the_card_has_no_noisy_figures(pair: list[str], tmp_path: Path) -> None:
    _run([*pair, "--sigma", "0", *SMALL, "-o", str(tmp_path / "m")])
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    assert card["figures"]["one_draw"] is None


def test_learns_colours(pair: list[str], tmp_path: Path) -> None:
    # Chance is 1/3; the control at one epoch stays below what 40 epochs reach.
    options = ["--widths", "8,8", "--blocks", "0,1", "--batch-size", "2", "--sigma", "0.05"]
    _run([*pair, *options, "--epochs", "40", "--lr", "0.01", "-o", str(tmp_path / "m")])
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    assert card["figures"]["one_draw"]["accuracy"] > 0.85


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--sigma", "-1"], "sigma >= 0"),
        (["--sigma", "nan"], "sigma >= 0"),
        (["--epochs", "0"], "at least 1 epoch"),
        (["--crop", "24"], "HxW"),
        (["--crop", "8x8"], "at least 16 x 16"),
        (["--widths", "4,x"], "whole numbers"),
        (["--widths", "4"], "as many blocks as widths"),
        (["--lr", "0"], "learning rate"),
        (["--device", "abacus"], "usable torch device"),
        (["--classes", "1"], "2 to 255 classes"),
        (["--classes", "2"], "label ids"),
        (["--channels", "2"], "channels 1 or 3"),
        (["--data", "camvid"], "expected --root"),
    ],
)
def test_bad_options(pair: list[str], tmp_path: Path, change: list[str], word: str) -> None:
    out = tmp_path / "m"
    with pytest.raises(InputError, match=word) as error:
        _run([*pair, "--sigma", "0.1", *SMALL, *change, "-o", str(out)])
    assert "\n" not in str(error.value)
    assert not (out / "model.safetensors").exists()


def test_missing_folder_options(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--images, --labels, --val-images, --val-labels"):
        _run(["--data", "folder", "--sigma", "0.1", "-o", str(tmp_path / "m")])


def test_diverging_training_stops(pair: list[str], tmp_path: Path) -> None:
    options = ["--epochs", "30", "--lr", "1e30", "--widths", "4,6", "--blocks", "0,1"]
    with pytest.raises(InputError, match=r"finite loss|half precision"):
        _run([*pair, "--sigma", "0.1", *options, "-o", str(tmp_path / "m")])
    assert not (tmp_path / "m" / "model.safetensors").exists()


def test_an_earlier_model_is_not_overwritten(pair: list[str], tmp_path: Path) -> None:
    options = [*pair, "--sigma", "0.1", *SMALL, "-o", str(tmp_path / "model")]
    _run(options)
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="no earlier results"):
        _run([*options, "--seed", "5"])
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before
    _run([*options, "--seed", "5", "--overwrite"])
    assert (tmp_path / "model" / "model.safetensors").read_bytes() != before


def test_bad_labels_leave_no_folder(pair: list[str], tmp_path: Path) -> None:
    wrong = [*pair[: pair.index("--classes") + 1], "2", "--ignore", "9"]
    with pytest.raises(InputError, match="label ids"):
        _run([*wrong, "--sigma", "0.1", *SMALL, "-o", str(tmp_path / "model")])
    assert not (tmp_path / "model").exists()
