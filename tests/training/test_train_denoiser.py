"""`certiseg train denoiser` on a few tiny pictures: files, card, determinism, bad options."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from certiseg.cli.main import run
from certiseg.models.denoised import load_denoiser
from certiseg.training.denoise import _batches, measure, smallest
from certiseg.training.denoise_settings import DenoiseSettings
from certiseg.training.memory import Kept
from certiseg.training.randomness import Randomness

Call = Callable[..., tuple[int, str]]
SMALL = ["--widths", "8,12", "--blocks", "0,1", "--epochs", "1", "--batch-size", "2"]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Exit code and standard error; four pictures of large blocks, and no labels anywhere."""
    monkeypatch.setattr("certiseg.runs.malloc.keep_freed_memory", lambda: False)
    rng = np.random.default_rng(1)
    (tmp_path / "images").mkdir()
    for i in range(4):
        colours = np.kron(rng.integers(0, 255, (3, 4, 3)), np.ones((12, 12, 1))).astype(np.uint8)
        Image.fromarray(colours).save(tmp_path / "images" / f"{i}.png")
    folder = ["--images", tmp_path / "images", "--val-images", tmp_path / "images"]

    def call(*options: object) -> tuple[int, str]:
        given = ["--data", "folder", *folder, *SMALL, *options]
        code = run(["train", "denoiser", *map(str, given)])
        return code, capsys.readouterr().err

    return call


def test_trains_and_loads(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "denoiser"
    assert call("--sigma", 0.25, "--crop", "24x32", "-o", out) == (0, "")
    assert sorted(p.name for p in out.glob("[!.]*")) == [
        "CARD.md",
        "card.json",
        "model.safetensors",
        "status.json",
    ]
    card = json.loads((out / "card.json").read_text())
    assert card["training"]["sigma"] == 0.25
    assert card["training"]["for"] is None
    assert "without their labels" in card["data"]["train"]
    (noisy,), (denoised,) = card["figures"]["noisy"], card["figures"]["denoised"]
    # Of noise alone the PSNR is known: 20 log10(1 / sigma), and 4 x 5184 values say it to 0.2 dB.
    assert noisy["psnr"] == pytest.approx(-20 * math.log10(0.25), abs=0.2)
    assert denoised["agreement"] is None
    command = card["training"]["command"]
    assert command.startswith("certiseg train denoiser --data folder --images PATH/TO/images")
    for page in ((out / "card.json").read_text(), (out / "CARD.md").read_text()):
        assert str(tmp_path) not in page
    assert command in (out / "CARD.md").read_text()
    denoiser = load_denoiser(str(out))
    with torch.inference_mode():
        assert denoiser(torch.rand(1, 3, 33, 41)).shape == (1, 3, 33, 41)


def test_learns_to_denoise(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "denoiser"
    options = ["--sigma", 0.5, "--sigma-from", 0.25, "--epochs", 60, "--lr", 0.01]
    assert call(*options, "-o", out)[0] == 0
    figures = json.loads((out / "card.json").read_text())["figures"]
    assert [level["sigma"] for level in figures["denoised"]] == [0.25, 0.5]
    for before, after in zip(figures["noisy"], figures["denoised"], strict=True):
        assert after["psnr"] > before["psnr"] + 3


def test_labels_of_a_network_stay(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "denoiser"
    options = ["--sigma", 0.3, "--for", "certiseg:camvid", "--stability", 1]
    assert call(*options, "-o", out) == (0, "")
    card = json.loads((out / "card.json").read_text())
    assert card["training"]["for"]["name"] == "certiseg:camvid"
    assert len(card["training"]["for"]["fingerprint"]) == 64
    assert 0 <= card["figures"]["noisy"][0]["agreement"] <= 1
    assert "cross-entropy for certiseg:camvid" in (out / "CARD.md").read_text()
    # The objective is another one.
    assert call("--sigma", 0.3, "-o", tmp_path / "plain")[0] == 0
    weights = [(folder / "model.safetensors").read_bytes() for folder in (out, tmp_path / "plain")]
    assert weights[0] != weights[1]


def test_starts_from_an_earlier_one(call: Call, tmp_path: Path) -> None:
    earlier, out = tmp_path / "earlier", tmp_path / "out"
    assert call("--sigma", 0.25, "-o", earlier)[0] == 0
    # Steps too small to count: what is written is what was loaded.
    assert call("--sigma", 0.25, "--init", earlier, "--lr", 1e-9, "-o", out) == (0, "")
    (_, theirs), (_, ours) = (
        zip(*sorted(load_denoiser(str(f)).state_dict().items()), strict=True)  # type: ignore[union-attr]
        for f in (earlier, out)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)
    training = json.loads((out / "card.json").read_text())["training"]
    assert "--init PATH/TO/earlier" in training["command"]
    assert training["started_from"]["command"].endswith("-o earlier")
    assert "It started from the weights of" in (out / "CARD.md").read_text()
    code, error = call("--sigma", 0.25, "--init", "certiseg:camvid", "-o", tmp_path / "no")
    assert code == 2
    assert "expected a model of the same architecture" in error
    assert call("--sigma", 0.25, "--init", "imagenet", "-o", tmp_path / "no")[0] == 2
    assert not (tmp_path / "no").exists()


def test_same_seed_same_bytes_and_no_overwriting(call: Call, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert call("--sigma", 0.2, "-o", tmp_path / name, "--seed", seed)[0] == 0
    a, b, c = ((tmp_path / n / "model.safetensors").read_bytes() for n in "abc")
    assert a == b != c
    code, error = call("--sigma", 0.2, "-o", tmp_path / "a", "--seed", 6)
    assert code == 2
    assert "no earlier results" in error
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == a


def test_batches_hold_every_picture_once_uncut_in_value() -> None:
    pictures = [torch.full((3, 20 + i, 30), 10 * i, dtype=torch.uint8) for i in range(5)]
    settings = DenoiseSettings(sigma=0.5, sigma_from=0.1, epochs=1, batch_size=2)
    held = Kept(pictures)
    batches = list(_batches(held, smallest(held), settings, Randomness(0)))
    assert [len(x) for x, _, _ in batches] == [2, 2, 1]
    assert {tuple(x.shape[1:]) for x, _, _ in batches} == {(3, 20, 30)}
    found = torch.cat([x.flatten(1).amax(1) for x, _, _ in batches]) * 255
    assert sorted(found.round().int().tolist()) == [0, 10, 20, 30, 40]
    sigmas = torch.cat([sigma.flatten() for _, _, sigma in batches])
    for _, drawn, sigma in batches:
        # 1800 values a picture: their spread is sigma to 1 in 60, 6 standard errors are 10 %.
        torch.testing.assert_close(drawn.flatten(1).std(1), sigma.flatten(), rtol=0.1, atol=0)
    assert 0.1 <= float(sigmas.min()) < float(sigmas.max()) <= 0.5


class _Bright(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        above = x.mean(1, keepdim=True) - 0.5
        return torch.cat([-above, above], 1)


def test_figures_are_fixed_and_agree_with_the_law() -> None:
    pictures = [torch.full((3, 64, 64), 204, dtype=torch.uint8)] * 2
    held = Kept(pictures)
    found = measure(nn.Identity(), held, (0.1, 0.5), 0, _Bright(), "cpu")
    assert found == measure(nn.Identity(), held, (0.1, 0.5), 0, _Bright(), "cpu")
    assert found != measure(nn.Identity(), held, (0.1, 0.5), 1, _Bright(), "cpu")
    for level in found.levels:
        assert level.psnr == pytest.approx(-20 * math.log10(level.sigma), abs=0.2)
        # Mean of three channels: N(0.8, sigma^2 / 3); 8192 pixels, 6 standard errors.
        share = 0.5 * math.erfc(-0.3 * math.sqrt(3) / level.sigma / math.sqrt(2))
        assert level.agreement == pytest.approx(share, abs=6 * math.sqrt(0.25 / 8192))
    assert found.score == pytest.approx(sum(level.agreement or 0 for level in found.levels) / 2)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--sigma", "0"], "sigma > 0"),
        (["--sigma", "0.2", "--sigma-from", "0.3"], "upper end"),
        (["--epochs", "0"], "at least 1 epoch"),
        (["--crop", "8x8"], "at least 16 x 16"),
        (["--crop", "64x64"], "at least 64 x 64 pixels, the crop"),
        (["--widths", "4"], "as many blocks as widths"),
        (["--lr", "0"], "learning rate"),
        (["--stability", "-1"], "stability >= 0"),
        (["--device", "abacus"], "usable torch device"),
        (["--channels", "2"], "channels 1 or 3"),
        (["--channels", "1"], "grey"),
        (["--images", "nowhere"], "expected a folder"),
        (["--for", "certiseg:mni152"], "for the 3 channels"),
        (["--for", "certiseg:solids"], "model of pictures"),
        (["--for", "nothing"], "expected a model as"),
        (["--data", "camvid"], "--root"),
    ],
)
def test_bad_options(call: Call, tmp_path: Path, change: list[str], word: str) -> None:
    out = tmp_path / "m"
    code, error = call("--sigma", "0.1", *change, "-o", out)
    assert code == 2
    assert word in error
    assert len(error.splitlines()) == 1
    assert not (out / "model.safetensors").exists()
