"""`plan`: its record and files, and the time of a pass."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.noise import Gaussian
from certiseg.runs import device
from certiseg.runs import plan as room
from certiseg.runs.plan import SHOWN, plan, seconds_per_pass
from certiseg.studies.plan import Request

STREET = Request(size=(1024, 2048), num_classes=19, noise=Gaussian(0.25), passes=110)


class Counting:
    """A model that counts its passes and remembers what it saw."""

    not_fingerprinted = ("seen",)

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self.seen.append(batch)
        return torch.cat([batch[:, :1], 0.3 + 0 * batch[:, :1]], dim=1)


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = plan(STREET)
    assert list(tmp_path.iterdir()) == []
    record = made.record()
    assert record["request"]["radius"] == Gaussian(0.25).radius(0.75)
    assert record["seconds"] is None
    assert record["curve"]["passes"] == list(SHOWN)
    assert json.loads(json.dumps(record)) == json.loads(json.dumps(record, allow_nan=False))


def test_files(tmp_path: Path) -> None:
    made = plan(STREET, out=tmp_path / "out", command="certiseg plan")
    names = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert names == {"plan.csv", "plan.png", "plan.svg", "plan.json"}
    with (tmp_path / "out" / "plan.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row.name for row in made.rows]
    assert rows[1]["cutoff"] == "107"
    record = json.loads((tmp_path / "out" / "plan.json").read_text())
    # Dense for the figure, from the smallest n_min on.
    assert record["curve"]["passes"][0] == min(row.n_min for row in made.rows)
    assert len(record["curve"]["passes"]) > len(SHOWN)
    with pytest.raises(InputError, match="no earlier results"):
        plan(STREET, out=tmp_path / "out")


def test_time_is_the_median_after_a_pass_that_warms_up(monkeypatch) -> None:
    model = Counting()
    clock = iter([0.0, 5.0, 10.0, 10.5, 20.0, 21.0])
    monkeypatch.setattr(room.time, "perf_counter", lambda: next(clock))
    small = replace(STREET, size=(6, 8), num_classes=2)
    assert seconds_per_pass(small, LoadedModel("counting", model, 2, channels=1)) == 1.0
    passes = [batch for batch in model.seen if batch.shape == (1, 1, 6, 8)]
    assert len(passes) == 4
    assert all(bool((batch == 0.5).all()) for batch in passes)


def test_a_time_budget_buys_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of a second for each of three timings of 6 draws: 60 draws within 10 seconds."""
    small = replace(STREET, size=(6, 8), num_classes=2)
    loaded = LoadedModel("counting", Counting(), 2, channels=1)
    clock = iter([0.0, 1.0, 5.0, 6.0, 8.0, 9.0])
    monkeypatch.setattr(room.time, "perf_counter", lambda: next(clock))
    (offer,) = room.offers(small, loaded, 10.0)
    assert (offer.precision, offer.seconds) == ("float32", 1 / 6)
    expected = next(row for row in room.prospects(replace(small, passes=60)) if row.asked)
    assert offer.prospect == expected


def test_the_precision_that_certifies_more_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 in half the time, where the processor has it."""
    small = replace(STREET, size=(6, 8), num_classes=2)
    loaded = LoadedModel("net", torch.nn.Conv2d(1, 2, 1).eval(), 2, channels=1)
    monkeypatch.setattr(device, "low_precision", lambda: ("avx512_bf16",))
    clock = iter([0.0, 1.0] * 3 + [0.0, 0.5] * 3)
    monkeypatch.setattr(room.time, "perf_counter", lambda: next(clock))
    found = room.offers(small, loaded, 10.0)
    assert [(o.precision, o.prospect.draws) for o in found] == [("bfloat16", 120), ("float32", 60)]


def test_a_time_budget_needs_a_model() -> None:
    with pytest.raises(InputError, match="--model with --seconds"):
        plan(STREET, within=5.0)
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="--seconds above 0"):
            plan(STREET, within=seconds)


def test_seconds_are_those_of_all_passes() -> None:
    small = replace(STREET, size=(6, 8), num_classes=2)
    made = plan(small, LoadedModel("counting", Counting(), 2, channels=1))
    assert made.seconds is not None
    assert made.record()["seconds"] == pytest.approx(110 * made.seconds)


def test_a_model_on_a_grid_is_timed_on_its_grid() -> None:
    """It gives cells of 4 x 4 pixels, and fits no picture without --grid."""

    def coarse(batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(batch, 4).repeat(1, 2, 1, 1)

    loaded = LoadedModel("coarse", coarse, 2, channels=1)
    small = replace(STREET, size=(8, 12), num_classes=2)
    assert seconds_per_pass(replace(small, grid=4), loaded) > 0
    with pytest.raises(InputError, match="expected"):
        seconds_per_pass(small, loaded)


def test_a_volume_is_timed_on_one_channel() -> None:
    counting = Counting()
    loaded = LoadedModel("counting", counting, 2, kind="volumes")
    made = plan(replace(STREET, size=(3, 8, 8), grid=1), loaded)
    assert made.seconds is not None
    assert {tuple(batch.shape) for batch in counting.seen} == {(1, 1, 3, 8, 8)}


def test_a_cloud_cannot_be_timed() -> None:
    loaded = LoadedModel("counting", Counting(), 2)
    with pytest.raises(InputError, match="expected an image or a volume to time a model on"):
        plan(replace(STREET, size=(2048,)), loaded)
