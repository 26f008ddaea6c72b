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
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import certiseg as cs
from certiseg.bench.overhead import timed
from certiseg.bench.timing import Spread, bare, ready_batch, seconds
from certiseg.datasets.solids import solids
from certiseg.models.pointnet import PartSegmenter, PointNet2, msg, small
from certiseg.runs.environment import environment
from certiseg.runs.malloc import keep_freed_memory

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


def figures(voted: Sequence[float], passed: Sequence[float], draws: int) -> dict[str, object]:
    """Of the seconds of all turns, by one clock."""
    ratio = Spread.ratio(voted, passed)
    return {
        "bare pass (ms)": round(1e3 * Spread.of(passed).median / draws, 2),
        "vote (ms a draw)": round(1e3 * Spread.of(voted).median / draws, 2),
        "ratio": round(ratio.median, 3),
        "ratio, lowest and highest": [round(ratio.lowest, 3), round(ratio.highest, 3)],
    }


def best(model: nn.Module, batch: Tensor) -> float:
    """CPU seconds of as many clouds as the largest batch holds."""
    return min(seconds(partial(bare, model, batch, SIZES[-1]))[1] for _ in range(3))


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
    batch = ready_batch(x, NOISE.sigma, max(*SIZES, size))
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
        smooth = cs.Smoothed(model, NOISE, value_range=None)
        vote = partial(smooth.vote, x, batch_size=size, seed=0)
        vote(size)
        voted, passed = timed(partial(vote, draws), model, batch[:size], draws, options.repeats)
        result[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "draws": draws,
            "wall": figures(voted.wall, passed.wall, draws),
            "cpu": figures(voted.cpu, passed.cpu, draws),
            "bare pass by batch size (CPU ms a cloud, best of 3)": {
                str(b): round(1e3 * best(model, batch[:b]) / SIZES[-1], 1) for b in SIZES
            },
        }
        print(name, result[name], flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
