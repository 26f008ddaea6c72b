"""What does smoothing a cloud cost beyond the forward passes of PointNet++ themselves?

Time of ``Smoothed.vote(x, n)`` of a 2048-point cloud over that of n bare forward passes of the same
model at the same batch size (the passes get ready-made noisy batches and their logits are thrown
away), in turn in one process, for the small preset and for the published architecture (msg), both
randomly initialised. Wall-clock time, and CPU time of all threads (the figure to read on a machine
that others use too). Beside it the bare pass at other batch sizes, in CPU time: what the largest
batch on a CPU should be.

    OMP_NUM_THREADS=1 python benchmarks/clouds.py --out benchmarks/results/clouds.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import certiseg as cs
from certiseg.datasets.solids import solids
from certiseg.models.pointnet import PartSegmenter, PointNet2, msg, small
from certiseg.runs.environment import environment
from certiseg.runs.malloc import keep_freed_memory
from certiseg.sampling.sampler import Smoothed

NOISE = cs.Gaussian(0.1)
DRAWS = {"small": 1000, "msg": 100}
SIZES = (1, 2, 4, 8, 16)


def models(card, category: str) -> dict[str, nn.Module]:
    """Preset -> the model of one category."""
    torch.manual_seed(0)
    made = {}
    for name, preset in (("small", small), ("msg", msg)):
        network = PointNet2(preset(card.channels, len(card.parts), card.num_classes))
        made[name] = PartSegmenter(network, list(card.parts), card.parts).eval().of(category)
    return made


def timed(work: Callable[[], object]) -> NDArray[np.float64]:
    """Seconds on the wall and of CPU."""
    start = np.array([time.perf_counter(), time.process_time()])
    work()
    return np.array([time.perf_counter(), time.process_time()]) - start


def bare(model: nn.Module, batch: Tensor, draws: int) -> NDArray[np.float64]:
    def passes() -> None:
        with torch.inference_mode():
            for _ in range(draws // len(batch)):
                model(batch)

    return timed(passes)


def voted(smooth: Smoothed, x: Tensor, draws: int, batch_size: int) -> NDArray[np.float64]:
    return timed(lambda: smooth.vote(x, draws, batch_size=batch_size, seed=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    keep_freed_memory()  # as the command line does; both sides profit
    sample = solids("test", points=2048, normals=False)[0]
    x = torch.from_numpy(sample.x)
    size = options.batch_size
    batch = x + NOISE.sigma * torch.randn((max(*SIZES, size), *x.shape))
    result: dict[str, object] = {
        "question": __doc__.splitlines()[0],
        "input": list(x.shape),
        "noise": NOISE.describe(),
        "batch_size": size,
        "torch threads": torch.get_num_threads(),
        "made_with": environment("OMP_NUM_THREADS=1 python benchmarks/clouds.py", None),
    }
    for name, model in models(solids("test", normals=False).card, str(sample.category)).items():
        draws = DRAWS[name]
        smooth = Smoothed(model, NOISE, value_range=None)
        bare(model, batch[:size], size)
        voted(smooth, x, size, size)
        turns = np.array(
            [
                (voted(smooth, x, draws, size), bare(model, batch[:size], draws))
                for _ in range(options.repeats)
            ]
        )
        ratios = np.sort(turns[:, 0] / turns[:, 1], axis=0)
        result[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "draws": draws,
            **{
                clock: {
                    "bare pass (ms)": round(1e3 * float(np.median(turns[:, 1, i])) / draws, 2),
                    "vote (ms a draw)": round(1e3 * float(np.median(turns[:, 0, i])) / draws, 2),
                    "ratio": round(float(np.median(ratios[:, i])), 3),
                    "ratio, lowest and highest": [round(float(ratios[j, i]), 3) for j in (0, -1)],
                }
                for i, clock in enumerate(("wall", "cpu"))
            },
            "bare pass by batch size (CPU ms a cloud, best of 3)": {
                str(b): round(
                    1e3 * min(bare(model, batch[:b], SIZES[-1])[1] for _ in range(3)) / SIZES[-1], 1
                )
                for b in SIZES
            },
        }
        print(name, result[name], flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
