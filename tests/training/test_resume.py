"""An interrupted training goes on to the same bits, and refuses what it cannot go on from."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import certiseg.training.state as state
from certiseg.datasets.card import Sample
from certiseg.datasets.folder import folder_card
from certiseg.datasets.solids import solids
from certiseg.errors import InputError
from certiseg.files.folders import LOCK
from certiseg.models.serialization import CARD_FILE, WEIGHTS_FILE
from certiseg.runs.train import PAGE_FILE, run_training
from certiseg.training.clouds import CloudTask
from certiseg.training.denoiser import DenoiserTask
from certiseg.training.images import ImageTask
from certiseg.training.randomness import Randomness
from certiseg.training.settings import CloudSettings, DenoiseSettings, TrainSettings
from same_runs import timeless

LAST_FILES = (WEIGHTS_FILE, CARD_FILE, PAGE_FILE)
Train = Callable[..., Any]


class Stop(Exception):
    """The plug is pulled."""


class Blocks:
    """Five pictures of large blocks whose class is their brightness."""

    card = folder_card("blocks", "3", channels=1)

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        labels = np.kron(rng.integers(0, 3, (3, 3)), np.ones((8, 8))).astype(np.uint8)
        return Sample(str(index), (labels[None] * 100 / 255).astype(np.float32), labels)


def _pictures(out: Path, make_report: Any, **options: Any) -> object:
    changes = {"epochs": 4, "widths": (4, 6), "blocks": (0, 1), "batch_size": 2, "consistency": 1.0}
    changes |= options.pop("changes", {})
    settings = TrainSettings(sigma=0.2, sigma_from=0.1, **changes)
    return run_training(ImageTask(Blocks(), Blocks(), settings), out, "", make_report, **options)


def _denoiser(out: Path, make_report: Any, **options: Any) -> object:
    settings = DenoiseSettings(
        sigma=0.5, sigma_from=0.2, epochs=4, widths=(4, 6), blocks=(0, 1), batch_size=2
    )
    task = DenoiserTask(Blocks(), Blocks(), settings)
    return run_training(task, out, "", make_report, **options)


def _clouds(out: Path, make_report: Any, **options: Any) -> object:
    splits = {name: solids(name, points=260, count=4) for name in ("train", "val", "test")}
    settings = CloudSettings("rotation", 0.2, epochs=3, batch_size=2)
    return run_training(CloudTask(splits, settings), out, "", make_report, **options)


def _quiet(steps: int) -> Any:
    return lambda *_: None


def _stopping(epochs: float) -> Callable[[int], Any]:
    def make(steps: int) -> Any:
        def report(done: int, epoch: float, loss: float, figures: object) -> None:
            if epoch > epochs:
                raise Stop

        return report

    return make


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "SECONDS", 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("train", [_pictures, _denoiser, _clouds])
def test_goes_on_to_the_same_bits(train: Train, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, _quiet)
    with pytest.raises(Stop):
        train(parts, _stopping(2))
    assert [path.name for path in parts.glob("[!.]*")] == [state.STATE_FILE]
    # As in another process: nothing of the first is left in PyTorch's own generator.
    torch.manual_seed(99)
    seen: list[int] = []
    train(parts, lambda steps: lambda done, *_: seen.append(done), resume=True)
    assert seen[0] > 1, "the training began anew"
    found = [(folder / "model.safetensors").read_bytes() for folder in (whole, parts)]
    assert found[0] == found[1]
    cards = [json.loads((folder / "card.json").read_text()) for folder in (whole, parts)]
    assert cards[0]["training"]["chosen_epoch"] == cards[1]["training"]["chosen_epoch"]
    assert sorted(path.name for path in parts.glob("[!.]*")) == sorted(
        path.name for path in whole.glob("[!.]*")
    )


def test_batches_made_on_a_thread_change_no_bit(tmp_path: Path) -> None:
    """As on a GPU: another name of the CPU is enough for the thread."""
    on_thread = {"device": "cpu:0"}
    _pictures(tmp_path / "whole", _quiet)
    with pytest.raises(Stop):
        _pictures(tmp_path / "parts", _stopping(2), changes=on_thread)
    _pictures(tmp_path / "parts", _quiet, resume=True, changes=on_thread)
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert a == b


@pytest.mark.parametrize("lost", ["views", "noise"])
@pytest.mark.slow
def test_a_lost_generator_is_noticed(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: what is not restored changes the weights."""
    _pictures(tmp_path / "whole", _quiet)
    with pytest.raises(Stop):
        _pictures(tmp_path / "parts", _stopping(2))
    restore = Randomness.restore
    fresh = Randomness(0).state()
    monkeypatch.setattr(
        Randomness, "restore", lambda self, found: restore(self, {**found, lost: fresh[lost]})
    )
    _pictures(tmp_path / "parts", _quiet, resume=True)
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert a != b


def test_all_generators_are_stored() -> None:
    chance = Randomness(3)
    for _ in range(2):
        found = chance.state()
        first = (chance.order.random(), torch.rand(1, generator=chance.noise), torch.rand(1))
        chance.restore(found)
        assert first == (
            chance.order.random(),
            torch.rand(1, generator=chance.noise),
            torch.rand(1),
        )


def test_what_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    out = tmp_path / "model"
    with pytest.raises(InputError, match="expected an interrupted training with --resume"):
        _pictures(out, _quiet, resume=True)
    assert not out.exists()
    with pytest.raises(Stop):
        _pictures(out, _stopping(2))
    with pytest.raises(InputError, match="pass --resume to continue it, or --overwrite"):
        _pictures(out, _quiet)
    with pytest.raises(InputError, match=r"expected lr 0\.003, as the interrupted .*, got 0\.01"):
        _pictures(out, _quiet, resume=True, changes={"lr": 0.01})
    with pytest.raises(InputError, match="expected epochs 4"):
        _pictures(out, _quiet, resume=True, changes={"epochs": 9})
    _pictures(out, _quiet, overwrite=True)
    assert not (out / state.STATE_FILE).exists()
    with pytest.raises(InputError, match="no earlier results"):
        _pictures(out, _quiet, resume=True)


@pytest.mark.parametrize("train", [_pictures, _denoiser])
def test_a_kill_between_the_last_files(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder as a kill would leave it after each of them, on which --resume alone goes on."""
    whole, replace, left = tmp_path / "model", os.replace, []

    def replacing(source: Any, target: Any) -> None:
        replace(source, target)
        if Path(target).name in LAST_FILES:
            left.append(tmp_path / f"after {Path(target).name}" / "model")
            shutil.copytree(whole, left[-1], ignore=shutil.ignore_patterns(LOCK))

    monkeypatch.setattr(os, "replace", replacing)
    train(whole, _quiet)
    monkeypatch.undo()
    assert [folder.parent.name[6:] for folder in left] == list(LAST_FILES)
    for folder in left:
        with pytest.raises(InputError, match=r"pass --(resume|overwrite)"):
            train(folder, _quiet)
        train(folder, _quiet, resume=True)
        assert not (folder / state.STATE_FILE).exists()
        assert (folder / WEIGHTS_FILE).read_bytes() == (whole / WEIGHTS_FILE).read_bytes()
        cards = [timeless(json.loads((of / CARD_FILE).read_text())) for of in (whole, folder)]
        assert cards[0] == cards[1]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that stopped in its third epoch."""
    out = tmp_path_factory.mktemp("begun") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "SECONDS", 0.0)
        with pytest.raises(Stop):
            _pictures(out, _stopping(2))
    return out


def _refused(begun: Path, out: Path, content: bytes) -> str:
    shutil.copytree(begun, out, dirs_exist_ok=True)
    (out / state.STATE_FILE).write_bytes(content)
    with pytest.raises(InputError, match="expected the state of this training, got") as error:
        _pictures(out, _quiet, resume=True)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_damaged_state(begun: Path, tmp_path: Path) -> None:
    """Any byte, anywhere: most are of weights, and nothing else would notice."""
    content = (begun / state.STATE_FILE).read_bytes()
    places = np.random.default_rng(0).integers(0, len(content), 20)
    for place in (0, 40, len(content) - 1, *places):
        flipped = bytes([content[place] ^ 1])
        _refused(begun, tmp_path, content[:place] + flipped + content[place + 1 :])
        _refused(begun, tmp_path, content[:place])
    _refused(begun, tmp_path, content + b"\0")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("model", lambda it: it.popitem(), "other entries of its state.model"),
        (
            "model",
            lambda it: it.update(dict.fromkeys(it, torch.zeros(3))),
            "instead of torch.float32",
        ),
        ("average", lambda it: it.update(n_averaged=torch.tensor(1.0)), "average.n_averaged"),
        ("average", lambda it: it.update(n_averaged=7), "int as its state.average.n_averaged"),
        ("optimiser", lambda it: it.popitem(), "other entries of its state.optimiser"),
        ("optimiser", lambda it: it[0].pop("step"), "other entries of its state.optimiser.0"),
        ("optimiser", lambda it: it.update({0: it[3]}), r"its state.optimiser.0.exp_avg"),
        ("best", lambda it: it["weights"].popitem(), "its state.best.weights"),
        ("best", lambda it: it.update(epoch="2"), "str as its state.best.epoch"),
        ("randomness", lambda it: it.clear(), "6 steps"),
        ("randomness", lambda it: it[0].update(order="{}"), ""),
        ("randomness", lambda it: it[0].update(noise=it[0]["noise"][:9]), "randomness.0.noise"),
        ("randomness", lambda it: it[0]["noise"].fill_(255), ""),
    ],
)
def test_a_state_of_another_form(
    name: str, change: Callable[[Any], Any], words: str, begun: Path, tmp_path: Path
) -> None:
    """With a digest that fits, as another model's would."""
    content = (begun / state.STATE_FILE).read_bytes()
    stored = torch.load(io.BytesIO(content[32:]), weights_only=True)
    change(stored["state"][name])
    assert re.search(words, _refused(begun, tmp_path / "out", _signed(stored)))


@pytest.mark.parametrize("done", [0, 7, 15, 6.0, "6", None])
def test_steps_that_no_epoch_ends_with(done: object, begun: Path, tmp_path: Path) -> None:
    content = (begun / state.STATE_FILE).read_bytes()
    stored = torch.load(io.BytesIO(content[32:]), weights_only=True)
    stored["state"]["done"] = done
    _refused(begun, tmp_path / "out", _signed(stored))


def _signed(stored: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(stored, buffer)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


def test_a_state_runs_no_code(tmp_path: Path) -> None:
    class Foreign:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "run",))

    content = _signed({"facts": "{}", "seconds": 0.0, "state": Foreign()})
    (tmp_path / state.STATE_FILE).write_bytes(content)
    with pytest.raises(InputError, match="damaged or foreign file"):
        _pictures(tmp_path, _quiet, resume=True)
    assert not (tmp_path / "run").exists()


def test_a_state_is_not_written_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "SECONDS", 1000.0)
    with pytest.raises(Stop):
        _pictures(tmp_path / "model", _stopping(2))
    assert not (tmp_path / "model" / state.STATE_FILE).exists()
