"""`certiseg train-clouds` on a few solids: files, card, determinism, bad options."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import certiseg.runs.clouds as clouds
from certiseg.cli.main import run
from certiseg.datasets.solids import solids
from certiseg.models.resolve import resolve_model

Call = Callable[..., tuple[int, str]]
FEW = ["--data", "solids", "--points", "260", "--epochs", "1", "--batch-size", "3"]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit code and standard error; every split is of five clouds."""
    monkeypatch.setattr("certiseg.runs.malloc.keep_freed_memory", lambda: False)

    def few(split: str, **rest: object) -> object:
        return solids(split, count=5, **rest)

    monkeypatch.setattr(clouds, "solids", few)

    def call(*options: object) -> tuple[int, str]:
        code = run(["train-clouds", *FEW, *map(str, options)])
        return code, capsys.readouterr().err

    return call


def test_trains_and_loads(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "model"
    options = ["--noise", "rotation", "--sigma", "0.25", "--axis", "y", "--channels", "6"]
    assert call(*options, "-o", out) == (0, "")
    assert sorted(p.name for p in out.glob("[!.]*")) == [
        "CARD.md",
        "card.json",
        "model.safetensors",
        "status.json",
    ]
    card = json.loads((out / "card.json").read_text())
    run_of = card["training"]
    assert (run_of["noise"], run_of["sigma"], run_of["axis"]) == ("rotation", 0.25, "y")
    assert run_of["command"].startswith("certiseg train-clouds --data solids --noise rotation")
    assert "--axis y" in run_of["command"]
    assert card["data"]["points"] == 260
    for split in (card["figures"], card["figures"]["test"]):
        assert 0 <= split["clean"]["accuracy"] <= 1
        assert split["one_draw"]["noise_seed"] == 0
    loaded = resolve_model(str(out))
    assert (loaded.kind, loaded.channels, loaded.num_classes) == ("clouds", 6, 16)
    assert loaded.of("Mug").model_name == "model, category Mug"
    cloud = solids("val", points=300)[1]
    with torch.inference_mode():
        labels = loaded.of(cloud.category)(torch.from_numpy(cloud.x)[None]).argmax(1)
    assert set(labels.unique().tolist()) <= set(loaded.parts[cloud.category])


def test_same_seed_same_bytes_and_no_overwriting(call: Call, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert call("-o", tmp_path / name, "--seed", seed)[0] == 0
    a, b, c = ((tmp_path / n / "model.safetensors").read_bytes() for n in "abc")
    assert a == b != c
    assert json.loads((tmp_path / "a/card.json").read_text())["figures"]["one_draw"] is None
    code, error = call("-o", tmp_path / "a", "--seed", 6)
    assert code == 2
    assert "no earlier results" in error
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == a
    assert call("-o", tmp_path / "a", "--seed", 6, "--overwrite")[0] == 0
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == c


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--sigma", "0.25"], "with noise none"),
        (["--noise", "coordinates"], "sigma > 0 with noise"),
        (["--noise", "coordinates", "--sigma", "0.1", "--axis", "x"], "rotations alone"),
        (["--limit", "0"], "limit"),
        (["--data", "shapenet"], "expected --root"),
        (["--channels", "4"], "3 channels (x, y, z) or 6"),
        (["--points", "200"], "at least 256 points"),
        (["--root", "somewhere"], "no --root"),
        (["--epochs", "0"], "at least 1 epoch"),
        (["--device", "abacus"], "usable torch device"),
        (["--noise", "salt"], "coordinates"),
    ],
)
def test_bad_options(call: Call, tmp_path: Path, change: list[str], word: str) -> None:
    out = tmp_path / "m"
    code, error = call("-o", out, *change)
    assert code == 2
    assert word in error
    assert len(error.splitlines()) == 1
    assert not (out / "model.safetensors").exists()
