"""Every benchmark runs, writes what it found, refuses what it cannot measure; nothing is timed."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from pathlib import Path

import pytest
import torch

from certiseg.bench import memory as memory_module
from certiseg.bench.memory import Peak, Task, peak_of
from certiseg.bench.overhead import picked_batch
from certiseg.bench.profile import MODEL, phase_of, watched
from certiseg.bench.result import Result
from certiseg.bench.run import BENCHMARKS, run
from certiseg.bench.subject import NOISE, Options, subject
from certiseg.errors import InputError
from certiseg.sampling.sampler import Smoothed

QUICK = Options(quick=True, turns=2, command="certiseg bench")
MACHINE = {
    "system", "processor", "cpus", "threads", "device", "vector instructions", "low precision",
    "OMP_NUM_THREADS", "numpy BLAS", "memory (GiB)", "load",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name != "memory"])
def test_every_benchmark_runs_and_writes(name: str, tmp_path: Path) -> None:
    (result,) = run([name], QUICK, tmp_path)
    record = json.loads((tmp_path / f"{name}.json").read_text())
    rows = list(csv.DictReader((tmp_path / f"{name}.csv").open()))
    assert record["benchmark"] == name
    assert record["question"].endswith("?") or name == "profile"
    assert len(rows) == len(record["rows"]) == len(result.rows) > 0
    assert all(set(row) == set(record["rows"][0]) for row in record["rows"])
    made = record["made_with"]
    assert {"certiseg", "python", "torch", "numpy", "scipy", "command", "finished"} <= set(made)
    assert set(made["machine"]) >= MACHINE
    assert record["goals"] == []
    assert any("--quick" in note for note in record["notes"])


def test_what_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected benchmarks among overhead, .* got 'speed'"):
        next(run(["overhead", "speed"], QUICK, tmp_path))
    (tmp_path / "overhead.csv").write_text("")
    with pytest.raises(InputError, match="no other file in the way"):
        next(run(["overhead"], QUICK, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["overhead.csv"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"turns": 0}, "--turns 1 or more"),
        ({"num_samples": 0}, "-n 1 or more"),
        ({"seed": -1}, "--seed 0 or more"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Options(**options)  # type: ignore[arg-type]


def test_models_of_clouds_have_a_benchmark_of_their_own() -> None:
    with pytest.raises(InputError, match=r"benchmarks/clouds\.py"):
        subject("certiseg:solids", QUICK)


def test_a_model_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_net.py").write_text(
        "import torch\n\n\ndef build():\n    return torch.nn.Conv2d(1, 4, 3, padding=1)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    options = Options(
        quick=True, turns=1, models=("python:own_net:build",), channels=1, size=(8, 9)
    )
    (result,) = run(["overhead"], options)
    assert result.rows[0]["input"] == "1 x 8 x 9"


def test_the_batch_is_the_one_that_vote_picks() -> None:
    sizes: list[int] = []

    def model(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        return batch

    model.not_fingerprinted = ("sizes",)
    smooth = Smoothed(model, NOISE, 3)
    assert picked_batch(smooth, torch.zeros(3, 8, 8), 20) == max(sizes) > 1


def memory_result(monkeypatch: pytest.MonkeyPatch, held: dict[int, int]) -> Result:
    """The benchmark over made-up peaks: bytes beyond the passes by number of draws."""

    def made_up(task: Task) -> Peak:
        base = 300 * 2**20
        return Peak(base, base + (held[task.draws] if task.votes else 0), 2**20, 2**20)

    monkeypatch.setattr(memory_module, "peak_of", made_up)
    return memory_module.memory(Options())


def test_memory_that_is_flat_meets_its_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    result = memory_result(monkeypatch, dict.fromkeys((10, 100, 1000), 2 * 2**20))
    assert [goal.met for goal in result.goals] == [True, True]


def test_memory_that_grows_with_n_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: 64 MiB more at n = 1000."""
    result = memory_result(monkeypatch, {10: 2**20, 100: 2**20, 1000: 65 * 2**20})
    assert [goal.met for goal in result.goals] == [False, False]


@pytest.mark.slow
def test_a_process_tells_its_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a real process: a model that keeps 100 MiB is seen to hold them."""
    (tmp_path / "hoards.py").write_text(
        "import torch\n\n\ndef build():\n    kept = []\n\n    def model(batch):\n"
        "        kept.append(torch.ones(25 * 2**20))\n        return batch\n\n"
        "    model.not_fingerprinted = ('kept',)\n    return model\n"
    )
    monkeypatch.chdir(tmp_path)
    task = Task("python:hoards:build", (8, 8), 2, 1, num_classes=3, channels=3)
    peak = peak_of(task)
    # Two draws, and the two passes of the probe.
    assert 200 * 2**20 <= peak.at_end - peak.before < 600 * 2**20
    assert peak.counts == 8 * 8 * 3
    assert peak.batch == 4 * 3 * 8 * 8


@pytest.mark.slow
def test_a_process_that_fails_is_one_line() -> None:
    with pytest.raises(InputError, match=r"expected a measured process, got .*nowhere"):
        peak_of(Task("certiseg:nowhere", (8, 8), 2))


class Slow(torch.nn.Module):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02)
        return batch


def phases(watch: object) -> Counter[str]:
    """Looks by phase at 12 draws of a model that sleeps 20 ms a batch."""
    smooth = Smoothed(Slow().eval(), NOISE, 3)
    places, _ = watched(
        lambda: smooth.vote(torch.zeros(3, 8, 8), 12, batch_size=1, seed=0, watch=watch),  # type: ignore[arg-type]
        smooth.model,
    )
    found: Counter[str] = Counter()
    for (phase, _), count in places.items():
        found[phase] += count
    return found


def test_time_in_the_model_is_the_models() -> None:
    """Sleeping is no work, so a busy machine cannot take it away."""
    found = phases(None)
    assert found[MODEL] > 0.5 * sum(found.values())


def test_time_elsewhere_is_not_the_models() -> None:
    """Negative control: four times as long asleep in the caller's own function."""
    found = phases(lambda labels: time.sleep(0.08))
    assert found[MODEL] < 0.5 * sum(found.values())


def test_a_stack_without_the_package_is_other() -> None:
    assert phase_of(None, Slow()) == ("other", "other")
