"""What does exactness cost? Rounded sums against float sums of the same quick numbers (theory T12),
with NumPy; and the same bits from the compiled loop.

    python benchmarks/noise.py

One core for either side, in turn in one process; CPU time, lowest of the turns, since other work on
the machine only adds. Writes benchmarks/results/noise.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from certiseg.bench.result import timing_environment
from certiseg.noise import Gaussian
from certiseg.sampling.keys import Address
from certiseg.sampling.noise_samplers import GaussianSampler
from certiseg.sampling.normals import TILE, chords, host_cells, normals_into

SHAPE, SIGMA, TURNS = (3, 360, 480), 0.25, 200
PASS = 20.0
"""Milliseconds of two cores: a pass of the small network of certiseg:camvid."""
OUT = Path(__file__).parent / "results" / "noise.json"


def main() -> None:
    torch.set_num_threads(1)
    x = torch.randint(0, 256, SHAPE, generator=torch.Generator().manual_seed(0)).float() / 255
    compiled = GaussianSampler(Gaussian(SIGMA), x)
    with patch("certiseg.sampling.noise_samplers.compiled", return_value=None):
        plain = GaussianSampler(Gaussian(SIGMA), x)
    given, out = x.numpy().reshape(-1), np.empty(SHAPE, np.float32)
    table = chords(SIGMA)

    def float_sums(draw: int) -> None:
        flat, generator = out.reshape(-1), Address.of(0, "noise", draw).generator()
        for start in range(0, len(flat), TILE):
            piece = flat[start : start + TILE]
            normals_into(piece, host_cells(generator, len(piece)), table)
            piece += given[start : start + TILE]

    def exact(draw: int) -> None:
        plain.fill(out, Address.of(0, "noise", draw))

    def by_numba(draw: int) -> None:
        compiled.fill(out, Address.of(0, "noise", draw))

    sides: dict[str, Callable[[int], None]] = {
        "float sums": float_sums,
        "exact": exact,
        "exact, compiled": by_numba,
    }
    lowest = dict.fromkeys(sides, float("inf"))
    for turn in range(TURNS):
        for name, side in list(sides.items())[:: 1 if turn % 2 else -1]:
            began = time.thread_time()
            side(turn)
            lowest[name] = min(lowest[name], 1e3 * (time.thread_time() - began))
    more = lowest["exact"] - lowest["float sums"]
    record = {
        "core_milliseconds_a_draw": {name: round(value, 3) for name, value in lowest.items()},
        "more_on_two_cores_over_a_pass_of_20_ms": round(more / 2 / PASS, 4),
        "shape": SHAPE,
        "sigma": SIGMA,
        "turns": TURNS,
        "made_with": timing_environment("python benchmarks/noise.py", torch.device("cpu")),
    }
    OUT.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record["core_milliseconds_a_draw"]), f"{more / 2 / PASS:.1%} of a pass")


if __name__ == "__main__":
    main()
