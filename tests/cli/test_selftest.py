"""`certiseg selftest`: a line a check, exit code 1 if anything is off."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from certiseg.certifiers import segcertify
from certiseg.cli.main import run
from certiseg.runs import selftest as module
from certiseg.sampling.noise_samplers import GaussianSampler
from certiseg.studies import calibration
from certiseg.studies.calibration import METHODS, Calibration, calibrated

FEW = ("selftest", "--images", "20", "--seed", "1")
OWN = """
import torch

def build():
    return torch.nn.Conv2d(3, 4, 3, padding=1).eval()

def mixed():
    net = build()
    return lambda x: net(x) - net(x).mean(dim=0, keepdim=True)
"""


def _called(*arguments: str) -> int:
    return run(list(arguments))


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def test_everything_holds(own, capsys):
    assert _called(*FEW, "--model", "python:own_nets:build", "--size", "24x32") == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    # Tails, the methods, two of noise, three of the model.
    assert len(lines) == len(METHODS) + 6
    assert any("alpha 0.05" in line for line in lines)


def test_a_model_that_mixes_draws_is_off(own, capsys):
    model = ("--model", "python:own_nets:mixed", "--num-classes", "4", "--size", "24x32")
    assert _called(*FEW, *model, "--json") == 1
    said = capsys.readouterr()
    checks = {check["name"]: check for check in json.loads(said.out)}
    assert not checks["each draw alone"]["passed"]
    assert "mixes the batch" in checks["each draw alone"]["seen"]
    assert "each draw alone off" in said.err


def test_noise_that_is_off_is_found(monkeypatch, capsys):
    """Negative control: float32 decides alone."""
    made = GaussianSampler.__init__

    def bold(self, noise, x):
        made(self, noise, x)
        self._sure = np.float32(0.5)
        self._flat = self._flat + np.float32(2e-3 * noise.grid)

    monkeypatch.setattr(GaussianSampler, "__init__", bold)
    assert _called(*FEW) == 1
    assert "OFF  noise, to 50 digits" in capsys.readouterr().out


def test_tests_that_err_too_often_are_found(monkeypatch):
    """Negative control: one hypothesis fewer in the tables makes every image err."""
    monkeypatch.setattr(segcertify, "flat_cutoff", lambda hits, trials, **given: trials // 2)
    monkeypatch.setattr(calibration, "METHODS", {"Holm": METHODS["Holm"]})
    rows = list(calibrated(40, 0.05, 0))
    assert not any(row.passed for row in rows)


def test_what_is_no_surprise_passes():
    assert Calibration("m", False, 1000, 70, 0.05).passed
    assert not Calibration("m", False, 1000, 100, 0.05).passed
    assert replace(Calibration("m", False, 1000, 0, 0.05), alpha=1e-9).passed


@pytest.mark.parametrize("wrong", [("--images", "0"), ("--alpha", "2"), ("--size", "x")])
def test_bad_calls(wrong):
    assert _called("selftest", *wrong) == 2


def test_one_name_for_the_noise():
    assert module.NOISE.grid == 2.0**-10
