"""Two runs into one folder at the same moment: one is refused, and what is there is the other's."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certiseg.errors import InputError
from certiseg.folders import LIST
from certiseg.runs import certify, evaluate
from certiseg.runs.output import read_lines
from certiseg.runs.settings import Settings
from same_runs import content
from tiny_runs import Bands, opened, write_models

SIGMAS = (0.05, 0.25)
SETTINGS = Settings(num_samples=60, seed=3)


def evaluates(sigma: float, out: Path) -> None:
    evaluate.evaluate(Bands(4), opened(), replace(SETTINGS, sigma=sigma), out, overwrite=True)


def certifies(sigma: float, out: Path) -> None:
    """A picture of its own, named after sigma."""
    path = Path(f"{sigma}.png")
    Image.fromarray(np.full((6, 7), 255, dtype=np.uint8)).save(path)
    list(certify.certify_images([path], opened(), replace(SETTINGS, sigma=sigma), out))


def _meeting(barrier: Any, locked: Callable[..., Any]) -> Callable[..., Any]:
    """Takes the folder when the other does, and goes on when the other has it or is refused."""

    @contextmanager
    def together(*given: Any) -> Iterator[Any]:
        barrier.wait(100)
        try:
            held = locked(*given)
            inside = held.__enter__()
        finally:
            barrier.wait(100)
        try:
            yield inside
        finally:
            held.__exit__(None, None, None)

    return together


def _work(barrier: Any, said: Any, run: Callable[..., None], sigma: float) -> None:
    for module in (evaluate, certify):
        module.locked = _meeting(barrier, module.locked)  # type: ignore[attr-defined]
    try:
        run(sigma, Path("out"))
        said.put((sigma, None))
    except InputError as error:
        said.put((sigma, str(error)))


@pytest.mark.parametrize("run", [evaluates, certifies])
def test_one_of_two_at_once_is_refused(tmp_path: Path, monkeypatch, run) -> None:
    """Both are about to write before either does; without the lock both would, whatever the time
    they take."""
    write_models(tmp_path, monkeypatch)
    context = multiprocessing.get_context("spawn")
    barrier, said = context.Barrier(2), context.Queue()
    both = {s: context.Process(target=_work, args=(barrier, said, run, s)) for s in SIGMAS}
    for process in both.values():
        process.start()
    told = dict(said.get(timeout=200) for _ in both)
    for process in both.values():
        process.join(60)
    ((winner, _),) = [item for item in told.items() if item[1] is None]
    ((loser, words),) = [item for item in told.items() if item[1] is not None]
    assert f"process {both[winner].pid} on " in words
    assert words.count("\n") == 0
    # Afterwards the other one may: nothing of certify is lost, a run of evaluate is replaced.
    run(winner, Path("alone"))
    timed = ("results.jsonl", ".cert.npz")
    assert _content("out", timed) == _content("alone", timed)
    run(loser, Path("out"))
    if run is certifies:
        assert [r["sigma"] for r in read_lines(Path("out/results.jsonl"))] == [winner, loser]
    else:
        run(loser, Path("alone"))
        assert content(Path("out")) == content(Path("alone"))


def _content(folder: str, timed: tuple[str, ...]) -> dict[str, Any]:
    return {k: v for k, v in content(Path(folder)).items() if not k.endswith(timed) or k == LIST}
