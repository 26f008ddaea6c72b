"""Two runs into one folder at the same moment: one is refused, and what is there is the other's."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certiseg.errors import InputError
from certiseg.files.folders import LIST, LOCK, Outputs
from certiseg.runs import certify, evaluate, experiment
from certiseg.runs.output import read_lines
from certiseg.runs.settings import Settings
from same_runs import content
from tiny_runs import Bands, opened, write_models

SIGMAS = (0.05, 0.25)
SETTINGS = Settings(num_samples=60, seed=3)
OUT = Path("out")


def evaluates(sigma: float, out: Path = OUT) -> None:
    evaluate.evaluate(Bands(4), opened(), replace(SETTINGS, sigma=sigma), out, overwrite=True)


def certifies(sigma: float) -> None:
    """A picture of its own, named after sigma."""
    path = Path(f"{sigma}.png")
    Image.fromarray(np.full((6, 7), 255, dtype=np.uint8)).save(path)
    list(certify.certify_images([path], opened(), replace(SETTINGS, sigma=sigma), OUT))


def meeting(barrier: Any, locked: Callable[..., Any]) -> Callable[..., Any]:
    """Takes the folder when the other does, and goes on when the other has it or is refused."""

    @contextmanager
    def together(*given: Any) -> Iterator[Any]:
        barrier.wait(100)
        held = locked(*given)
        try:
            inside = held.__enter__()
        finally:
            barrier.wait(100)
        try:
            yield inside
        finally:
            held.__exit__(None, None, None)

    return together


def told(run: Callable[..., None], sigma: float, said: Any) -> None:
    try:
        run(sigma)
        said.put((sigma, None))
    except InputError as error:
        said.put((sigma, str(error)))


def other(barrier: Any, said: Any) -> None:
    """The second process of evaluate."""
    experiment.locked = meeting(barrier, experiment.locked)  # type: ignore[attr-defined]
    told(evaluates, SIGMAS[1], said)


def killed(number: int) -> None:
    """Evaluates, and is killed where a file is about to get its name."""
    replace_file, done = os.replace, 0

    def replacing(*given: Any) -> None:
        nonlocal done
        done += 1
        if done == number:
            os.kill(os.getpid(), signal.SIGKILL)
        replace_file(*given)

    os.replace = replacing  # type: ignore[assignment]
    evaluates(SIGMAS[0])


def outcome(said: Any) -> tuple[float, float, str]:
    """Who had the folder, who was refused, and in which words."""
    (won, nothing), (lost, words) = sorted(
        (said.get() for _ in SIGMAS), key=lambda item: bool(item[1])
    )
    assert nothing is None
    assert words.count("\n") == 0
    return won, lost, words


@pytest.mark.slow
def test_of_two_evaluations_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In two processes that are both about to write before either does: without the lock both
    would, and pool what the other wrote."""
    write_models(tmp_path, monkeypatch)
    locked = experiment.locked
    context = multiprocessing.get_context("spawn")
    barrier, said = context.Barrier(2), context.Queue()
    process = context.Process(target=other, args=(barrier, said))
    process.start()
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "locked", meeting(barrier, locked))
        told(evaluates, SIGMAS[0], said)
    process.join(60)
    won, lost, words = outcome(said)
    holder = os.getpid() if won == SIGMAS[0] else process.pid
    assert f"process {holder} on " in words
    evaluates(won, Path("alone"))
    assert content(OUT) == content(Path("alone"))
    # Afterwards the other one may.
    evaluates(lost)
    evaluates(lost, Path("alone"))
    assert content(OUT) == content(Path("alone"))


def test_certify_loses_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two at once one is refused, and both records are there once it was repeated."""
    write_models(tmp_path, monkeypatch)
    barrier, said = threading.Barrier(2), SimpleQueue[Any]()
    with monkeypatch.context() as patch:
        patch.setattr(certify, "locked", meeting(barrier, certify.locked))
        both = [threading.Thread(target=told, args=(certifies, s, said)) for s in SIGMAS]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(60)
    won, lost, words = outcome(said)
    assert f"process {os.getpid()} on " in words
    assert [record["sigma"] for record in read_lines(OUT / "results.jsonl")] == [won]
    certifies(lost)
    assert [record["sigma"] for record in read_lines(OUT / "results.jsonl")] == [won, lost]


def test_without_the_lock_a_record_is_lost(tmp_path: Path, monkeypatch) -> None:
    """Negative control: both read the earlier results before either writes."""
    write_models(tmp_path, monkeypatch)
    barrier, said = threading.Barrier(2), SimpleQueue[Any]()
    OUT.mkdir()

    def reading(path: Path) -> list[dict[str, Any]]:
        records = read_lines(path)
        barrier.wait(100)
        return records

    monkeypatch.setattr(certify, "locked", lambda out: nullcontext(Outputs(out)))
    monkeypatch.setattr(certify, "read_lines", reading)
    both = [threading.Thread(target=told, args=(certifies, s, said)) for s in SIGMAS]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    assert [said.get()[1] for _ in SIGMAS] == [None, None]
    assert len(read_lines(OUT / "results.jsonl")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 7])
def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """kill -9 before the manifest, and amid the samples: lock and half-written file are left."""
    write_models(tmp_path, monkeypatch)
    process = multiprocessing.get_context("spawn").Process(target=killed, args=(number,))
    process.start()
    process.join(200)
    assert process.exitcode == -signal.SIGKILL
    left = [path for path in OUT.rglob(".certiseg*") if path.name != LIST]
    assert {path.name.partition("-")[0] for path in left} == {LOCK, ".certiseg"}
    settings = replace(SETTINGS, sigma=SIGMAS[0])
    evaluate.evaluate(Bands(4), opened(), settings, OUT, resume=True)
    evaluates(SIGMAS[0], Path("whole"))
    assert content(OUT) == content(Path("whole"))
