"""What does a draw of HRNetV2-W48 cost at the paper's sizes, and how much of it is not the network?

Seconds of the processor (all threads) and of the clock: of a bare pass of the network on the
picture it sees (mean and std inside, logits left at a quarter), of a pass of the base model (scale,
network, logits back at the picture's size), and of a draw of ``Smoothed.vote``; apart from it the
model's fingerprint, which a vote takes once, whatever its draws. Random weights, 19 classes; in
turn in one process for each size, whose peak memory is told.

    OMP_NUM_THREADS=1 python benchmarks/hrnet.py --out benchmarks/results/hrnet.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import certiseg as cs
from certiseg.models import Preprocess, Scales
from certiseg.models.hrnet import HRNetV2
from certiseg.models.hrnet.published import MEAN, STD
from certiseg.runs.environment import environment
from certiseg.runs.malloc import keep_freed_memory
from certiseg.sampling.fingerprint import model_fingerprint

PLACES = (((256, 512), 1.0), ((1024, 2048), 0.25), ((1024, 2048), 0.5))
NOISE = cs.Gaussian(0.25)


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor and of the clock."""
    start = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - start[0], time.perf_counter() - start[1]


def measured(size: tuple[int, int], scale: float, draws: int, repeats: int) -> dict[str, object]:
    keep_freed_memory()  # as the command line does
    torch.manual_seed(0)
    network = HRNetV2(19).eval().to(memory_format=torch.channels_last)
    model: torch.nn.Module = Preprocess(network, MEAN, STD)
    if scale != 1.0:
        model = Scales(model, (scale,)).eval()
    smooth = cs.Smoothed(model.eval(), NOISE)
    x = torch.rand((3, *size))
    seen = torch.rand((1, 3, round(size[0] * scale), round(size[1] * scale)))

    def passes(call: Callable[[torch.Tensor], object], given: torch.Tensor) -> None:
        with torch.inference_mode():
            for _ in range(draws):
                call(given)

    calls = {
        "network": lambda: passes(network, seen),
        "base model": lambda: passes(model, x[None]),
        "fingerprint": lambda: [model_fingerprint(model) for _ in range(draws)],
        "vote": lambda: smooth.vote(x, draws, batch_size=1, seed=0),
    }
    for call in calls.values():
        call()
    times = {name: np.array([timed(call) for _ in range(repeats)]) for name, call in calls.items()}
    each = {name: np.median(value, axis=0) / draws for name, value in times.items()}
    each["vote"] = each["vote"] - each["fingerprint"] / draws
    return {
        "picture": list(size),
        "scale": scale,
        "draws": draws,
        "processor (s)": {name: round(float(value[0]), 3) for name, value in each.items()},
        "clock (s)": {name: round(float(value[1]), 3) for name, value in each.items()},
        "vote over network": round(float(each["vote"][0] / each["network"][0]), 3),
        "vote over base model": round(float(each["vote"][0] / each["base model"][0]), 3),
        "peak memory (MB)": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {
        "question": __doc__.splitlines()[0],
        "torch threads": torch.get_num_threads(),
        "made_with": environment("python benchmarks/hrnet.py", None),
    }
    places = result["places"] = []
    for size, scale in PLACES:
        # A process each: peak memory is that of a whole process.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            places.append(pool.apply(measured, (size, scale, options.draws, options.repeats)))
        print(json.dumps(places[-1]), flush=True)
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
