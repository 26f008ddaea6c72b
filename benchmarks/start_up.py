"""How long does `certiseg certify` take from its start to its first draw?

    python benchmarks/start_up.py --out start-up.json

One synthetic image of 360 x 480 and ``certiseg:camvid``, in a process of its own each time, with
Numba (extra ``fast``) and without, in turn. Seconds since the process was created: when torch is
imported, when the command starts, when the first noise is asked for, and when it is there. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from certiseg.bench.timing import Spread
from certiseg.runs.environment import environment

STEPS = ("torch", "command", "first draw asked for", "first draw")
_RUN = """
import json, os, sys, time

def since():
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")

import torch
marks = [since()]
from certiseg.cli.main import run
from certiseg.sampling.draw import NoiseStream
plain = NoiseStream.get

def get(*args):
    marks.append(since())
    plain(*args)
    marks.append(since())
    sys.stderr.write(json.dumps(marks))
    sys.stderr.flush()
    os._exit(0)

NoiseStream.get = get
marks.append(since())
run(sys.argv[1:])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found: dict[str, list[list[float]]] = {"without Numba": [], "with Numba": []}
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "scene.png"
        rng = np.random.default_rng(0)
        Image.fromarray(rng.integers(0, 256, (360, 480, 3), dtype=np.uint8)).save(image)
        for turn in range(given.turns + 1):
            for name, times in found.items():
                marks = started(image, Path(folder) / f"out-{turn}", name == "with Numba")
                if turn:  # the first turn reads the files from the disk
                    times.append(marks)
    spread = {
        name: {
            step: Spread.of(column)
            for step, column in zip(STEPS, map(list, zip(*times, strict=True)), strict=True)
        }
        for name, times in found.items()
    }
    for name, steps in spread.items():
        for step, s in steps.items():
            print(f"{name}, {step}: {s.median:.2f} s ({s.lowest:.2f} to {s.highest:.2f})")
    record = {
        "question": __doc__.splitlines()[0],
        "seconds": {
            name: {step: asdict(s) for step, s in steps.items()} for name, steps in spread.items()
        },
        "turns": given.turns,
        "made_with": environment("python benchmarks/start_up.py", None),
    }
    given.out.write_text(json.dumps(record, indent=1) + "\n")


def started(image: Path, out: Path, compiled: bool) -> list[float]:
    """Seconds of STEPS in one run."""
    command = ["certify", str(image), "--model", "certiseg:camvid", "--sigma", "0.25"]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *command, "-n", "100", "-o", str(out)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "0" if compiled else "1"},
    )
    marks: list[float] = json.loads(done.stderr[done.stderr.rindex("[") :])
    return marks


if __name__ == "__main__":
    main()
