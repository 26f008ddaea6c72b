"""The commands that train, on a few tiny inputs: files, card, determinism, bad options."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from certiseg.cli.main import run
from certiseg.datasets.solids import solids
from certiseg.models.denoised import load_denoiser
from certiseg.models.resolve import load_model

Call = Callable[..., tuple[int, str]]
NET = ["--widths", "4,6", "--blocks", "0,1", "--epochs", "1", "--batch-size", "2"]
TASKS = {
    "pictures": ["train"],
    "denoiser": ["train", "denoiser"],
    "clouds": ["train-clouds", "--data", "solids", "--points", "260", "--epochs", "1"],
}
NOISE = {
    "pictures": ["--sigma", "0.25"],
    "denoiser": ["--sigma", "0.25"],
    "clouds": ["--noise", "rotation", "--sigma", "0.25", "--axis", "y", "--channels", "6"],
}
FILES = ["CARD.md", "card.json", "model.safetensors", "status.json"]
every_task = pytest.mark.parametrize("task", TASKS)


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """(task, options) -> exit code and standard error. Four pictures whose class is their colour,
    three clouds of each split."""
    # The tuning of malloc is for a process of its own, not for the one that runs all tests.
    monkeypatch.setattr("certiseg.runs.malloc.keep_freed_memory", lambda: False)
    few: Any = lambda split, **rest: solids(split, count=3, **rest)  # noqa: E731
    monkeypatch.setattr("certiseg.datasets.solids.solids", few)
    rng = np.random.default_rng(1)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for i in range(4):
        ids = np.kron(rng.integers(0, 3, (4, 5)), np.ones((8, 8))).astype(np.uint8)
        colours = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250]], dtype=np.uint8)[ids]
        ids[:, :3] = 9
        Image.fromarray(colours).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray(ids).save(tmp_path / "labels" / f"{i}.png")
    images = [f"--{side}images={tmp_path / 'images'}" for side in ("", "val-")]
    labels = [f"--{side}labels={tmp_path / 'labels'}" for side in ("", "val-")]
    folders = ["--data", "folder", *images]
    data = {
        "pictures": [*folders, *labels, "--classes", "3", "--ignore-index", "9", *NET],
        "denoiser": [*folders, *NET],
        "clouds": ["--batch-size", "3"],
    }

    def call(task: str, *options: object) -> tuple[int, str]:
        code = run([*TASKS[task], *data[task], *map(str, options)])
        return code, capsys.readouterr().err

    return call


def card_of(out: Path) -> Any:
    return json.loads((out / "card.json").read_text())


def weights_of(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


@every_task
def test_files_and_card(task: str, call: Call, tmp_path: Path) -> None:
    out = tmp_path / "model"
    crop = [] if task == "clouds" else ["--crop", "24x32"]
    assert call(task, *NOISE[task], *crop, "-o", out) == (0, "")
    assert sorted(p.name for p in out.glob("[!.]*")) == FILES
    card = card_of(out)
    training = card["training"]
    assert (training["sigma"], training["seed"]) == (0.25, 0)
    command = training["command"]
    for words in (*TASKS[task][:1], "--sigma 0.25", *crop[1:], "-o model"):
        assert words in command
    page = (out / "CARD.md").read_text()
    assert command in page
    for text in ((out / "card.json").read_text(), page):
        assert str(tmp_path) not in text
    if task == "pictures":
        assert command.startswith("certiseg train --data folder --images PATH/TO/images")
        assert card["classes"] == ["class 0", "class 1", "class 2"]
        assert card["figures"]["one_draw"]["noise_seed"] == 0
        loaded = load_model(str(out))
        assert loaded.num_classes == 3
        with torch.inference_mode():
            assert loaded.model(torch.rand(1, 3, 33, 41)).shape == (1, 3, 33, 41)
    elif task == "denoiser":
        assert command.startswith("certiseg train denoiser --data folder --images PATH/TO/images")
        assert training["for"] is None
        assert "without their labels" in card["data"]["train"]
        (noisy,), (denoised,) = card["figures"]["noisy"], card["figures"]["denoised"]
        # Of noise alone the PSNR is known: 20 log10(1 / sigma), and 4 x 3840 values say it to
        # 0.2 dB.
        assert noisy["psnr"] == pytest.approx(-20 * math.log10(0.25), abs=0.2)
        assert denoised["agreement"] is None
        denoiser = load_denoiser(str(out))
        with torch.inference_mode():
            assert denoiser(torch.rand(1, 3, 33, 41)).shape == (1, 3, 33, 41)
    else:
        assert "--noise rotation --sigma 0.25 --axis y" in command
        assert (training["noise"], training["axis"]) == ("rotation", "y")
        assert card["data"]["points"] == 260
        for split in (card["figures"], card["figures"]["test"]):
            assert 0 <= split["clean"]["accuracy"] <= 1
            assert split["one_draw"]["noise_seed"] == 0
        loaded = load_model(str(out))
        assert (loaded.kind, loaded.channels, loaded.num_classes) == ("clouds", 6, 16)
        assert loaded.of("Mug").model_name == "model, category Mug"
        cloud = solids("val", points=300)[1]
        with torch.inference_mode():
            labels = loaded.of(cloud.category)(torch.from_numpy(cloud.x)[None]).argmax(1)
        assert set(labels.unique().tolist()) <= set(loaded.parts[cloud.category])


@pytest.mark.parametrize(
    "task", ["pictures", "denoiser", pytest.param("clouds", marks=pytest.mark.slow)]
)
def test_same_seed_same_bytes_and_no_overwriting(task: str, call: Call, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert call(task, *NOISE[task], "-o", tmp_path / name, "--seed", seed)[0] == 0
    a, b, c = (weights_of(tmp_path / name) for name in "abc")
    assert a == b != c
    again = [*NOISE[task], "-o", tmp_path / "a", "--seed", 6]
    code, error = call(task, *again)
    assert code == 2
    assert "no earlier results" in error
    assert weights_of(tmp_path / "a") == a
    assert call(task, *again, "--overwrite")[0] == 0
    assert weights_of(tmp_path / "a") == c


@every_task
@pytest.mark.slow
def test_the_command_of_a_card_repeats_the_training(task: str, call: Call, tmp_path: Path) -> None:
    more = {"pictures": ["--consistency", "1"], "denoiser": ["--precision", "bfloat16"]}
    crop = [] if task == "clouds" else ["--crop", "24x32", "--sigma-from", "0.1"]
    options = [*NOISE[task], *more.get(task, ["--limit", "2"]), *crop, "--seed", "7"]
    assert call(task, *options, "-o", tmp_path / "a")[0] == 0
    certiseg, *words = shlex.split(card_of(tmp_path / "a")["training"]["command"])
    assert (certiseg, words[-2:]) == ("certiseg", ["-o", "a"])
    words = [word.replace("PATH/TO", str(tmp_path)) for word in words[:-1]]
    assert run([*words, str(tmp_path / "b")]) == 0
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")


BAD = {
    ("pictures", "denoiser"): [
        (["--epochs", "0"], "at least 1 epoch"),
        (["--crop", "24"], "HEIGHTxWIDTH"),
        (["--crop", "8x8"], "at least 16 x 16"),
        (["--widths", "4,x"], "whole numbers"),
        (["--widths", "4"], "as many blocks as widths"),
        (["--lr", "0"], "learning rate"),
        (["--device", "abacus"], "usable torch device"),
        (["--channels", "2"], "channels 1 or 3"),
        (["--data", "camvid"], "expected --root"),
        (["--precision", "float16"], "float16 on a CUDA device"),
        (["--precision", "half"], "half"),
        (["--memory", "-1"], "--memory 0 or more"),
        (["--resume"], "expected an interrupted training with --resume"),
    ],
    ("pictures",): [
        (["--sigma", "-1"], "sigma >= 0"),
        (["--sigma", "nan"], "sigma >= 0"),
        (["--classes", "1"], "2 to 254 classes"),
        (["--classes", "2"], "label ids"),
        (["--epochs", "30", "--lr", "1e30"], "finite"),
    ],
    ("denoiser",): [
        (["--sigma", "0"], "sigma > 0"),
        (["--sigma", "0.2", "--sigma-from", "0.3"], "upper end"),
        (["--crop", "64x64"], "at least 64 x 64 pixels, the crop"),
        (["--stability", "-1"], "stability >= 0"),
        (["--channels", "1"], "grey"),
        (["--images", "nowhere"], "expected a folder"),
        (["--for", "certiseg:mni152"], "for the 3 channels"),
        (["--for", "certiseg:solids"], "model of images"),
        (["--for", "nothing"], "expected a model as"),
    ],
    ("clouds",): [
        (["--noise", "none"], "with noise none"),
        (["--sigma", "0"], "sigma > 0 with noise"),
        (["--noise", "coordinates"], "rotations alone"),
        (["--limit", "0"], "limit"),
        (["--data", "shapenet"], "expected --root"),
        (["--data", "camvid"], "solids or shapenet"),
        (["--channels", "4"], "3 channels (x, y, z) or 6"),
        (["--points", "200"], "at least 256 points"),
        (["--root", "somewhere"], "no --root"),
        (["--epochs", "0"], "at least 1 epoch"),
        (["--device", "abacus"], "usable torch device"),
        (["--noise", "salt"], "coordinates"),
    ],
}


@pytest.mark.parametrize(
    ("task", "change", "word"),
    [(task, *case) for tasks, cases in BAD.items() for task in tasks for case in cases],
)
def test_bad_options(task: str, change: list[str], word: str, call: Call, tmp_path: Path) -> None:
    out = tmp_path / "m"
    code, error = call(task, *NOISE[task], *change, "-o", out)
    assert code == 2
    assert word in error
    assert len(error.splitlines()) == 1
    # Once steps are made there is a status; before that, not even the folder.
    assert [path.name for path in out.glob("[!.]*")] in ([], ["status.json"])
    assert out.exists() == any(late in word for late in ("finite", "the crop", "256 points"))


def test_without_noise_the_card_has_no_noisy_figures(call: Call, tmp_path: Path) -> None:
    for task, sigma in (("pictures", ["--sigma", "0"]), ("clouds", [])):
        assert call(task, *sigma, "-o", tmp_path / task)[0] == 0
        assert card_of(tmp_path / task)["figures"]["one_draw"] is None


@pytest.mark.slow
def test_learns_colours(call: Call, tmp_path: Path) -> None:
    # Chance is 1/3; the control at one epoch stays below what 40 epochs reach.
    options = ["--widths", "8,8", "--sigma", "0.05", "--epochs", "40", "--lr", "0.01"]
    assert call("pictures", *options, "-o", tmp_path / "m")[0] == 0
    assert card_of(tmp_path / "m")["figures"]["one_draw"]["accuracy"] > 0.85


@pytest.mark.slow
def test_learns_to_denoise(call: Call, tmp_path: Path) -> None:
    options = ["--widths", "8,12", "--sigma", 0.5, "--sigma-from", 0.25, "--epochs", 60]
    assert call("denoiser", *options, "--lr", 0.01, "-o", tmp_path / "m")[0] == 0
    figures = card_of(tmp_path / "m")["figures"]
    assert [level["sigma"] for level in figures["denoised"]] == [0.25, 0.5]
    for before, after in zip(figures["noisy"], figures["denoised"], strict=True):
        assert after["psnr"] > before["psnr"] + 3


def test_labels_of_a_network_stay(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "denoiser"
    options = ["--sigma", 0.3, "--for", "certiseg:camvid", "--stability", 1]
    assert call("denoiser", *options, "-o", out) == (0, "")
    card = card_of(out)
    assert card["training"]["for"]["name"] == "certiseg:camvid"
    assert len(card["training"]["for"]["fingerprint"]) == 64
    assert 0 <= card["figures"]["noisy"][0]["agreement"] <= 1
    assert "cross-entropy for certiseg:camvid" in (out / "CARD.md").read_text()
    # The objective is another one.
    assert call("denoiser", "--sigma", 0.3, "-o", tmp_path / "plain")[0] == 0
    assert weights_of(out) != weights_of(tmp_path / "plain")


def test_starts_from_an_earlier_one(call: Call, tmp_path: Path) -> None:
    earlier, out = tmp_path / "earlier", tmp_path / "out"
    assert call("denoiser", "--sigma", 0.25, "-o", earlier)[0] == 0
    # Steps too small to count: what is written is what was loaded.
    start = ["--sigma", 0.25, "--init", earlier, "--lr", 1e-9]
    assert call("denoiser", *start, "-o", out) == (0, "")
    (_, theirs), (_, ours) = (
        zip(*sorted(load_denoiser(str(f)).state_dict().items()), strict=True)  # type: ignore[union-attr]
        for f in (earlier, out)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)
    training = card_of(out)["training"]
    assert "--init PATH/TO/earlier" in training["command"]
    assert training["started_from"]["command"].endswith("-o earlier")
    assert "It started from the weights of" in (out / "CARD.md").read_text()
    code, error = call("denoiser", *start[:2], "--init", "certiseg:camvid", "-o", tmp_path / "no")
    assert code == 2
    assert "expected a model of the same architecture" in error
    no = ["--init", "imagenet", "-o", tmp_path / "no"]
    assert call("denoiser", "--sigma", 0.25, *no)[0] == 2
    assert not (tmp_path / "no").exists()


def test_weights_that_are_not_there_are_found_missing_before_data_is_read(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*given: object) -> None:
        raise AssertionError("data was read")

    monkeypatch.setattr("certiseg.training.images.CachedSamples", never)
    monkeypatch.setattr("certiseg.training.denoiser.CachedImages", never)
    for task in ("pictures", "denoiser"):
        code, error = call(task, *NOISE[task], "--init", tmp_path / "no", "-o", tmp_path / "out")
        assert code == 2
        assert "got nothing of that name; check the path" in error
        assert not (tmp_path / "out").exists()


def test_missing_folder_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--data", "folder", "--sigma", "0.1", "-o", str(tmp_path / "m")]) == 2
    assert "--images, --labels, --val-images, --val-labels" in capsys.readouterr().err


def test_images_are_trained_where_no_task_is_named(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("pictures", "--sigma", "0.1", "-o", tmp_path / "a")[0] == 0
    monkeypatch.setitem(TASKS, "pictures", ["train", "images"])
    assert call("pictures", "--sigma", "0.1", "-o", tmp_path / "b")[0] == 0
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")


@pytest.mark.parametrize("given", [["train"], ["train", "--help"], ["train", "-h"]])
def test_help_names_both(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(given) == 0
    told = capsys.readouterr().out
    assert "images" in told
    assert "denoiser" in told


def test_what_is_no_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "voxels"]) == 2
    assert "No such command 'voxels'" in capsys.readouterr().err


def test_a_training_is_told_of(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certiseg.cli.run_log.EVERY", 1e9)
    out, log = tmp_path / "model", tmp_path / "log.jsonl"
    assert call("pictures", "--sigma", "0.1", "-o", out, "--log-json", log)[0] == 0
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in said] == ["start", "progress", "end"]
    assert [line["done"] for line in said] == [0, 2, 2]
    assert {(line["what"], line["total"]) for line in said} == {("steps", 2)}
    assert said[1]["epoch"] == 1
    assert said[1]["loss"] > 0
    assert "mIoU" in said[1]["validation"]
    found = json.loads((out / "status.json").read_text())
    assert (found["state"], found["exit_code"]) == ("finished", 0)


def test_precision_is_in_the_command_of_the_card(call: Call, tmp_path: Path) -> None:
    given = ["--sigma", "0.1", "--precision", "bfloat16", "-o", tmp_path / "model"]
    assert call("pictures", *given)[0] == 0
    assert "--precision bfloat16" in (tmp_path / "model" / "CARD.md").read_text()
