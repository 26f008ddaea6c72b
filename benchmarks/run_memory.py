"""Does the memory of a run grow with the number of its images?

Peak memory of `evaluate` over made-up pictures of 128 x 128 with 11 classes, n = 60, each number of
pictures in a process of its own; none is kept for a report. Votes and input of one picture take
0.4 MB, its figures in memory about 2 kB.

    python benchmarks/run_memory.py --images 20 200 --out benchmarks/results/run_memory.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from certiseg.bench.memory import resident_peak
from certiseg.datasets.camvid import CARD
from certiseg.datasets.card import Sample
from certiseg.models.loaded import LoadedModel
from certiseg.runfolder.folder import Keep
from certiseg.runs.environment import environment
from certiseg.runs.evaluate import evaluate
from certiseg.runs.settings import Settings

SIDE, DRAWS = 128, 60


class Blocks:
    """Pictures of blocks, and truth that says how bright they are."""

    card = CARD

    def __init__(self, total: int) -> None:
        self._total = total

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, index: int) -> Sample:
        coarse = np.random.default_rng(index).random((3, SIDE // 8, SIDE // 8), dtype=np.float32)
        x = coarse.repeat(8, axis=1).repeat(8, axis=2)
        return Sample(f"blocks-{index}", x, (x.mean(0) * 10.99).astype(np.uint8))


def by_brightness(x: Tensor) -> Tensor:
    """Labels (B, H, W)."""
    return (x.mean(1).clamp(0, 1) * 10.99).to(torch.int64)


def peak(images: int) -> float:
    """MB of this process after a run."""
    loaded = LoadedModel("by brightness", by_brightness, CARD.num_classes, channels=3)
    settings = Settings(num_samples=DRAWS, seed=1, batch_size=4)
    with tempfile.TemporaryDirectory() as out:
        evaluate(Blocks(images), loaded, settings, Path(out), keep=Keep(0))
    return resident_peak() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(peak(options.one))
        return
    peaks = {}
    for images in options.images:
        one = [sys.executable, __file__, "--one", str(images)]
        done = subprocess.run(one, capture_output=True, text=True, check=True)
        peaks[str(images)] = round(float(done.stdout), 1)
        print(images, "images:", peaks[str(images)], "MB", flush=True)
    first, last = options.images[0], options.images[-1]
    grown = 1024 * (peaks[str(last)] - peaks[str(first)]) / (last - first)
    result = {
        "question": __doc__.splitlines()[0],
        "peak (MB) by images": peaks,
        "growth an image (kB)": round(grown, 2),
        "made_with": environment("python benchmarks/run_memory.py", None),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
