"""Worker processes: the same run, whoever does it; lost ones are replaced; errors come through."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from certiseg.errors import InputError
from certiseg.runfolder.folder import Keep
from certiseg.runs.evaluate import evaluate
from certiseg.runs.executors.process_pool import ProcessExecutor, cores
from certiseg.runs.reproduction.cell import Extras
from certiseg.runs.reproduction.grid import Grid, Point
from certiseg.runs.reproduction.tables import reproduce
from certiseg.runs.settings import Settings, Stopping
from same_runs import content
from tiny_runs import Bands, opened, write_models

SETTINGS = Settings(num_samples=60, seed=3)
KEEP = Keep(2, certificates=True)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_models(tmp_path, monkeypatch)


def run(out: str, model: str = "threshold", settings: Settings = SETTINGS, **options: Any) -> None:
    samples = Bands(options.pop("total", 3))
    evaluate(samples, opened(model), settings, Path(out), keep=KEEP, **options)


def children() -> set[str]:
    """ProcessExecutor begun here that still run."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return {line.split()[0] for line in found.stdout.splitlines() if "spawn_main" in line}


@pytest.mark.slow
def test_two_processes_do_what_one_does():
    """Two samples whole, the third shared out; a second run with a method that cannot be."""
    run("here")
    run("two", executor=ProcessExecutor(2))
    assert content(Path("two")) == content(Path("here"))
    assert children() == set()
    early = replace(SETTINGS, stopping=Stopping(min_gain=0.01, looks=3))
    run("here early", settings=early)
    run("one early", settings=early, executor=ProcessExecutor(1))
    assert content(Path("one early")) == content(Path("here early"))


@pytest.mark.slow
def test_a_table_in_a_process_is_that_made_here():
    grid = Grid(((1.0,), (0.5,)), (0.1,), (Point(0.75, 60),), (0.01,))
    for out, executor in (("here", None), ("there", ProcessExecutor(1))):
        extras = Extras(keep_votes=True)
        models = {0.1: opened()}
        reproduce(grid, Bands(2), models, Path(out), extras=extras, seed=3, executor=executor)
    here, there = content(Path("here")), content(Path("there"))
    names = [name for name in here if name.endswith((".npz", ".csv"))]
    assert len(names) == 5
    assert [there[name] for name in names] == [here[name] for name in names]
    assert children() == set()


@pytest.mark.slow
def test_a_killed_worker_is_replaced():
    run("here", "dies_once")
    run("lost", "dies_once", executor=ProcessExecutor(1))
    assert Path("died").exists()
    assert content(Path("lost")) == content(Path("here"))


@pytest.mark.slow
def test_a_task_that_kills_every_worker_ends_the_run_which_can_go_on():
    with pytest.raises(InputError, match=r"band 1 to be done .* 3 workers .*signal 9.*--resume"):
        run("out", "dies", executor=ProcessExecutor(1))
    assert [path.name for path in Path("out/samples").iterdir()] == ["0000-band_0.json"]
    assert children() == set()
    run("out", "dies", resume=True)
    run("here", "dies")
    assert content(Path("out")) == content(Path("here"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ("refuses", InputError, "expected a better day, got this one; try tomorrow"),
        ("breaks", InputError, r"RuntimeError: the roof is on fire \(tiny_run_models.py:\d+\)"),
        ("other_weights_each_time", InputError, "same model each time"),
    ],
)
def test_errors_of_a_worker_are_those_of_the_run(model, kind, words):
    with pytest.raises(kind, match=words) as caught:
        run("out", model, executor=ProcessExecutor(1))
    assert type(caught.value) is kind
    assert children() == set()


def test_cores_are_shared_out():
    assert ProcessExecutor(1).threads == cores()
    assert ProcessExecutor(10**6).threads == 1
    assert ProcessExecutor(2, threads=3).threads == 3
    for size, threads, option in ((0, None, "--workers"), (2, 0, "--threads")):
        with pytest.raises(InputError, match=f"{option} of at least 1, got 0; leave it out"):
            ProcessExecutor(size, threads)


COMMAND = """
import signal, sys
from pathlib import Path
from certiseg.cli.main import run
sys.path.insert(0, sys.argv[1])
import certiseg.runs.samples
from tiny_runs import Bands
certiseg.runs.samples.open_samples = lambda loaded, **options: Bands(4)
if __name__ == "__main__":
    # Begun in the background, or under nohup, it would ignore them; workers read this file too,
    # and are to.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    sys.exit(run(sys.argv[2:]))
"""


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("send", "number", "code", "words"),
    [
        # Of a terminal: to all its processes. Of a supervisor: to the one that it began.
        (os.killpg, signal.SIGINT, 130, "interrupted"),
        (os.killpg, signal.SIGHUP, 129, "ended by SIGHUP"),
        (os.kill, signal.SIGTERM, 143, "ended by SIGTERM"),
    ],
)
def test_a_signal_ends_the_workers_and_leaves_a_run_that_goes_on(send, number, code, words):
    Path("command.py").write_text(COMMAND)
    arguments = ["evaluate", "-m", "python:tiny_run_models:slow", "--num-classes", "2"]
    arguments += ["--channels", "1", "-o", "out", "-n", "600", "--seed", "3", "--workers", "1"]
    began = subprocess.Popen(
        [sys.executable, "command.py", str(Path(__file__).parents[2]), *arguments, "--no-report"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list(Path("out").glob("samples/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    send(began.pid, number)
    _, stderr = began.communicate(timeout=200)
    assert began.returncode == code, stderr
    assert stderr.splitlines() == [f"error: {words}; files already written are whole"]
    # Nothing of its process group is left, once Python's own helper has noticed.
    while alive(began.pid) and time.monotonic() < deadline + 20:
        time.sleep(0.1)
    assert not alive(began.pid)
    assert 1 <= len(list(Path("out/samples").iterdir())) < 4
    assert not Path("out/results.json").exists()
    status = json.loads(Path("out/status.json").read_text())
    assert (status["state"], status["exit_code"]) == ("interrupted", code)
