"""The command line that the timing scripts share: turns, seed, sizes, where results go."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from certiseg.bench.result import Result
from certiseg.bench.run import run
from certiseg.bench.subject import Options
from certiseg.runs.malloc import keep_freed_memory
from certiseg.screen import Screen


def main(name: str, measure: Callable[[Options], Result]) -> None:
    """Measure as the command line says, show the table, and write NAME.json and NAME.csv."""
    question = (sys.modules["__main__"].__doc__ or name).splitlines()[0]
    parser = argparse.ArgumentParser(description=question)
    parser.add_argument("-o", "--out", type=Path, help="folder for the results")
    parser.add_argument("-n", "--num-samples", type=int, help="draws")
    parser.add_argument("--turns", type=int, default=5, help="how often each side is timed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs")
    parser.add_argument("--overwrite", action="store_true")
    given = parser.parse_args()
    keep_freed_memory()  # as the command line of certiseg does; all sides profit
    options = Options(
        turns=given.turns,
        seed=given.seed,
        num_samples=given.num_samples,
        device=given.device,
        quick=given.quick,
        progress=True,
        command=shlex.join(["python", *sys.argv]),
    )
    for result in run((), options, given.out, overwrite=given.overwrite, known={name: measure}):
        Screen().print(result.rich())
