"""How many small images a second does an evaluation certify, and what are they spent on?

    python benchmarks/throughput.py --images 3000 -n 100 --workers 0 2 --out throughput.json

Synthetic scenes of 64 x 64 with three classes through a small U-Net with random weights. One whole
call of ``evaluate`` for each number of workers (0: this process), each batch size and each turn:
images a second, processor seconds an image (of all processes; other work on the machine hardly
changes them), their ratio to those of the passes alone (the same number of images through the
network in the same batches, without noise, votes and files), and the peak memory of a process.
--profile prints where the time of a run in this process goes.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from certiseg.datasets.card import Card, Sample
from certiseg.models.loaded import LoadedModel
from certiseg.runfolder.folder import Keep
from certiseg.runs.environment import environment
from certiseg.runs.evaluate import evaluate
from certiseg.runs.executors.executor import SerialExecutor
from certiseg.runs.executors.process_pool import ProcessExecutor, cores
from certiseg.runs.malloc import keep_freed_memory
from certiseg.runs.model import open_model
from certiseg.runs.settings import Settings
from certiseg.sampling.batching import even_batch

_ALL = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
SIDE, CLASSES = 64, ("ground", "disk", "square")


class Scenes:
    """Synthetic images of a disk and a square on a grey ground."""

    card = Card("scenes", CLASSES, ((0, 0, 0), (200, 80, 0), (0, 80, 200)), 3, "made here", "CC0")

    def __init__(self, total: int) -> None:
        self._total = total

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        rows, columns = np.ogrid[:SIDE, :SIDE]
        labels = np.zeros((SIDE, SIDE), dtype=np.uint8)
        y, x, size = [*rng.integers(12, 52, 2).tolist(), int(rng.integers(6, 14))]
        labels[(rows - y) ** 2 + (columns - x) ** 2 < size**2] = 1
        y, x, size = [*rng.integers(4, 44, 2).tolist(), int(rng.integers(8, 20))]
        labels[y : y + size, x : x + size] = 2
        levels = np.array([[0.4, 0.8, 0.3], [0.4, 0.3, 0.5], [0.5, 0.2, 0.8]], dtype=np.float32)
        noise = rng.normal(0, 0.05, (3, SIDE, SIDE)).astype(np.float32)
        return Sample(f"scene-{index:05}", np.clip(levels[:, labels] + noise, 0, 1), labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("-n", "--num-samples", type=int, default=100)
    parser.add_argument("--workers", type=int, nargs="+", default=[0], help="0: this process.")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[0], help="0: as many as fit.")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    keep_freed_memory()  # as the command line of certiseg does
    loaded = open_model("python:networks:small_unet", num_classes=len(CLASSES))
    made: dict[str, list[dict[str, float]]] = {}
    for _ in range(given.turns):
        for workers in given.workers:
            for batch in given.batch_size:
                name = f"{workers} workers" if workers else "this process"
                name += f", batches of {batch}" if batch else ""
                found = evaluated(loaded, given, workers, batch, profile=given.profile)
                made.setdefault(name, []).append(found)
                print(name, found, flush=True)
    result = {
        "question": __doc__.splitlines()[0],
        "images": given.images,
        "size": [SIDE, SIDE],
        "num_samples": given.num_samples,
        "cores": cores(),
        "turns": made,
        "made_with": environment("python benchmarks/throughput.py", None),
    }
    text = json.dumps(result, indent=1)
    if given.out is not None:
        given.out.write_text(text + "\n")


def evaluated(
    loaded: LoadedModel, given: argparse.Namespace, workers: int, batch: int, *, profile: bool
) -> dict[str, float]:
    """One run over all images; and the passes alone, before and after it."""
    settings = Settings(num_samples=given.num_samples, seed=1, batch_size=batch or None)
    executor = ProcessExecutor(workers) if workers else SerialExecutor()
    profiler = cProfile.Profile() if profile and not workers else None
    before = bare(loaded, given.num_samples, batch)
    with tempfile.TemporaryDirectory() as out:
        started, used = time.perf_counter(), processor_seconds()
        if profiler is not None:
            profiler.enable()
        keep = Keep(0, certificates=False)
        evaluate(Scenes(given.images), loaded, settings, Path(out), keep=keep, executor=executor)
        if profiler is not None:
            profiler.disable()
        seconds = time.perf_counter() - started
        used = (processor_seconds() - used) / given.images
    if profiler is not None:
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(40)
    passes = (before + bare(loaded, given.num_samples, batch)) / 2
    return {
        "images/s": round(given.images / seconds, 2),
        "processor seconds an image": round(used, 4),
        "times the passes alone": round(used / passes, 3),
        "peak MiB": round(max(resource.getrusage(who).ru_maxrss for who in _ALL) / 1024, 1),
    }


def processor_seconds() -> float:
    """Of this process and of workers that have ended."""
    found = map(resource.getrusage, _ALL)
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def bare(loaded: LoadedModel, draws: int, batch: int) -> float:
    """Processor seconds of an image's passes alone, in even batches; the median of 20."""
    size = even_batch(draws, batch or 32)
    x = torch.rand(size, 3, SIDE, SIDE)
    seconds = []
    with torch.inference_mode():
        for _ in range(20):
            started = time.process_time()
            for _ in range(-(-draws // size)):
                loaded.model(x)
            seconds.append(time.process_time() - started)
    return float(np.median(seconds))


if __name__ == "__main__":
    main()
