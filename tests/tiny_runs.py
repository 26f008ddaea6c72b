"""Runs of a tiny model that other processes can load: its file, its samples, its settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from certiseg.datasets.card import Card, Sample
from certiseg.models.loaded import LoadedModel
from certiseg.runs.model import open_model

MODELS = '''
import os, signal, time
from pathlib import Path

import torch

from certiseg.errors import InputError


def threshold():
    def model(x):
        return torch.cat([0.5 - x, x - 0.5], 1)
    return model


class Alert:
    """The threshold, which does something before it passes band 1, but for the process of the
    tests itself."""

    num_classes = 2

    def __init__(self, act):
        self.act = act

    def __call__(self, x):
        if x.shape[-1] == 13 and os.environ["TINY_PARENT"] != str(os.getpid()):
            self.act()
        return torch.cat([0.5 - x, x - 0.5], 1)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_once():
    try:
        Path("died").touch(exist_ok=False)
    except FileExistsError:
        return
    _die()


def _refuse():
    raise InputError("expected a better day, got this one; try tomorrow")


def _break():
    raise RuntimeError("the roof is on fire")


def _sleep():
    Path("at_work").write_text(str(os.getppid()))
    time.sleep(0.5)


def dies():
    return Alert(_die)


def dies_once():
    return Alert(_die_once)


def refuses():
    return Alert(_refuse)


def breaks():
    return Alert(_break)


def slow():
    return Alert(_sleep)


def other_weights_each_time():
    return torch.nn.Conv2d(1, 2, 1)
'''


def write_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it the current folder, with the file of the models."""
    (folder / "tiny_run_models.py").write_text(MODELS)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    # One of that name from another test.
    monkeypatch.delitem(sys.modules, "tiny_run_models", raising=False)
    monkeypatch.setenv("TINY_PARENT", str(os.getpid()))


def opened(name: str = "threshold") -> LoadedModel:
    """The model of this name; the current folder holds its file."""
    return open_model(f"python:tiny_run_models:{name}", num_classes=2, channels=1)


class Bands:
    """So many pictures of two bands, of different sizes."""

    card = Card("bands", ("dark", "bright"), ((0, 0, 0), (255, 255, 255)), 1, "made up", "none")

    def __init__(self, total: int, shift: int = 0) -> None:
        self.total, self.shift = total, shift

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, index: int) -> Sample:
        labels = (np.arange(12 + index) >= 3 + index % 6 + self.shift)[None]
        labels = labels.repeat(8, axis=0).astype(np.uint8)
        x = 0.3 + 0.4 * labels[None].astype(np.float32)
        labels[0, 0] = 255
        return Sample(f"band {index}", x, labels)
