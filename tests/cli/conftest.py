"""Pictures, a tiny model and a way to call the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.cli.main import run

MODELS = '''
import torch
from torch import nn


def smooth_brightness(x):
    return nn.functional.avg_pool2d(x.mean(1, keepdim=True), 5, 1, 2, count_include_pad=False)


def by_brightness():
    """Three classes: dark, middle, bright."""
    def model(x):
        y = smooth_brightness(x)
        return torch.cat([0.25 - y, 0 * y, y - 0.75], 1)
    return model


def labels_only():
    return lambda x: (smooth_brightness(x) > 0.5).long()[:, 0]


def half_size():
    return lambda x: by_brightness()(x)[..., ::2, ::2]


def one_label():
    return lambda x: by_brightness()(x).mean((2, 3))


def grey_only():
    return nn.Conv2d(1, 3, 1)


def untidy():
    return "no model"
'''


@dataclass(frozen=True)
class Outcome:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str

    def is_one_line_error(self, *words: str) -> bool:
        """Exit code 2, nothing on standard output, one line that holds all the words."""
        lines = self.err.splitlines()
        return (
            self.code == 2
            and self.out == ""
            and len(lines) == 1
            and lines[0].startswith("error: ")
            and all(word in lines[0] for word in words)
        )


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def call(*arguments: object) -> Outcome:
        code = run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


def pattern(height: int = 20, width: int = 30) -> np.ndarray:
    """Class ids in three vertical bands."""
    return (np.arange(width) * 3 // width)[None].repeat(height, axis=0).astype(np.uint8)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with models.py, bands.png and truth.png."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "tiny_models.py").write_text(MODELS)
    # Those of another test are not taken for these.
    monkeypatch.delitem(sys.modules, "tiny_models", raising=False)
    labels = pattern()
    grey = (labels * 127).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "bands.png")
    Image.fromarray(labels).save(tmp_path / "truth.png")
    return tmp_path
