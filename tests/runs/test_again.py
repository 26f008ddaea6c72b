"""Whoever replaces claims by those of other draws is told what the best of m runs is worth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.cli.main import run
from certiseg.runs.again import BEST_OF, recorded_seeds, replaced

MODEL = "import torch\n\n\ndef build():\n    return lambda x: torch.cat([0.5 - x, x - 0.5], 1)\n"


@pytest.mark.parametrize(
    ("earlier", "seed", "told"),
    [([], None, False), ([5], 5, False), ([5], 6, True), ([5], None, True), ([5, 6], 5, True)],
)
def test_only_a_replay_goes_without_a_word(earlier, seed, told):
    assert replaced(earlier, seed) == (BEST_OF if told else None)


def test_seeds_of_an_earlier_run(tmp_path: Path):
    path = tmp_path / "run.json"
    assert recorded_seeds(path) == []
    for content, seeds in (
        ('{"seed": 5}', [5]),
        ("damaged", [None]),
    ):
        path.write_text(content)
        assert recorded_seeds(path) == seeds


@pytest.mark.parametrize("command", ["certify", "evaluate"])
def test_the_commands_say_so(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "threshold.py").write_text(MODEL)
    grey = np.zeros((6, 8), np.uint8)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        Image.fromarray(grey).save(tmp_path / folder / "one.png")
    given = {
        "certify": ["certify", "images/one.png"],
        "evaluate": ["evaluate", "--images", "images", "--labels", "labels", "--no-report"],
    }[command]
    options = ["--model", "python:threshold:build", "--num-classes", "2", "--channels", "1"]
    told = []
    for more in (["--seed", "3"], ["--seed", "3"], ["--seed", "4"], []):
        again = ["-o", "out", "-n", "60", "--overwrite", "--json", *more]
        assert run([*given, *options, *again]) == 0
        said = capsys.readouterr()
        told.append(f"note: {BEST_OF}" in said.err)
        assert json.loads(said.out.splitlines()[-1] if command == "certify" else said.out)
    # The first time there is nothing, the second is a replay.
    assert told == [False, False, True, True]


@pytest.mark.parametrize("command", ["certify", "evaluate"])
def test_the_help_says_so(command, capsys):
    run([command, "--help"])
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "the best of m runs costs m alpha" in words
    assert "The best of m seeds costs m alpha" in words
