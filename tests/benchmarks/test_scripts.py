"""Every timing script runs at tiny sizes and writes what it found; nothing is timed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import end_to_end
import growth
import many_classes
import pixel_tests
from certiseg.bench.memory import Peak
from certiseg.bench.result import Result
from certiseg.bench.run import run
from certiseg.bench.subject import NOISE, Options
from certiseg.sampling.sampler import Smoothed
from networks import CoarseNet

QUICK = Options(quick=True, turns=2, command="python benchmarks/script.py")


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("growth", growth.growth),
        ("published", end_to_end.published_way),
        ("statistics", pixel_tests.statistics),
    ],
)
@pytest.mark.slow
def test_a_script_measures_and_writes(
    name: str, measure: Callable[[Options], Result], tmp_path: Path
) -> None:
    (result,) = run((), QUICK, tmp_path, known={name: measure})
    record = json.loads((tmp_path / f"{name}.json").read_text())
    rows = list(csv.DictReader((tmp_path / f"{name}.csv").open()))
    assert record["benchmark"] == name
    assert len(rows) == len(record["rows"]) == len(result.rows) > 0
    assert all(set(row) == set(record["rows"][0]) for row in record["rows"])
    if name == "growth":
        assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 2.0])
def test_slope_of_a_power(slope: float) -> None:
    x = [1.0, 3.0, 10.0, 70.0]
    found = growth.log_slope(x, [7 * v**slope for v in x])
    assert math.isclose(found, slope, abs_tol=1e-12)


def test_votes_of_many_classes_that_take_too_much_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for held, met in ((2**30, True), (3 * 2**30, False)):
        monkeypatch.setattr(
            many_classes, "peak_of", lambda task, held=held: Peak(2**20, held, 10, 10)
        )
        (goal,) = many_classes.many_classes(Options()).goals
        assert goal.met is met


def test_logits_of_the_coarse_net_are_upsampled() -> None:
    assert CoarseNet(5)(torch.zeros(1, 3, 16, 24))["logits"].shape == (1, 5, 4, 6)
    smooth = Smoothed(CoarseNet(150).eval(), NOISE)
    assert smooth.vote(torch.zeros(3, 16, 24), 2, seed=0).counts.shape == (16, 24, 150)
