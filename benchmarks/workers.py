"""How many more images a second do K worker processes certify than one process alone?

Made-up pictures of 360 x 480 through the U-Net for CamVid that ships, n = 100; one run each, in
turn, the cores shared out among the workers. The clock runs from the first draws of a run to its
last image; beside it the whole call, with checks and with loading PyTorch and the model in each
worker. Says how many certificates differ between the runs: none, where the model's arithmetic does
not depend on the number of threads.

    python benchmarks/workers.py --images 16 --workers 1 2 --out benchmarks/results/workers.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from certiseg.datasets.camvid import CARD
from certiseg.datasets.card import Sample
from certiseg.runfolder.folder import Keep
from certiseg.runs.environment import environment
from certiseg.runs.evaluate import evaluate
from certiseg.runs.executors.executor import (
    Executor,
    Job,
    Progress,
    Results,
    SerialExecutor,
    Task,
)
from certiseg.runs.executors.process_pool import ProcessExecutor, cores
from certiseg.runs.malloc import keep_freed_memory
from certiseg.runs.model import open_model
from certiseg.runs.settings import Settings

HEIGHT, WIDTH = 360, 480


class Blocks:
    """Pictures of grey blocks, and truth that nobody would find in them."""

    card = CARD

    def __init__(self, total: int) -> None:
        self._total = total

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        coarse = rng.random((3, HEIGHT // 20, WIDTH // 20), dtype=np.float32)
        x = coarse.repeat(20, axis=1).repeat(20, axis=2)
        labels = rng.integers(0, CARD.num_classes, (HEIGHT, WIDTH)).astype(np.uint8)
        return Sample(f"blocks-{index}", x, labels)


class Timed:
    """An executor, and the seconds from its first draws to its last part."""

    def __init__(self, executor: Executor) -> None:
        self._executor, self.size = executor, executor.size
        self.began, self.ended = 0.0, 0.0

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Results:
        def told(draws: int) -> None:
            self.began = self.began or time.perf_counter()
            advance(draws)

        yield from self._executor.work(job, tasks, told)
        self.ended = time.perf_counter()


def certificates(folder: Path) -> dict[str, bytes]:
    """The files, by name."""
    return {path.name: path.read_bytes() for path in folder.glob("certificates/*")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--num-samples", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    loaded, settings = (
        open_model("certiseg:camvid"),
        Settings(num_samples=options.num_samples, seed=1),
    )
    made: dict[str, list[dict[str, float]]] = {}
    first, different = None, set[str]()
    for _ in range(options.turns):
        executors = {
            "this process": SerialExecutor(),
            **{f"{k} workers": ProcessExecutor(k) for k in options.workers},
        }
        for name, executor in executors.items():
            timed, called = Timed(executor), time.perf_counter()
            with tempfile.TemporaryDirectory() as out:
                keep = Keep(0, certificates=True)
                evaluate(
                    Blocks(options.images), loaded, settings, Path(out), keep=keep, executor=timed
                )
                found = certificates(Path(out))
            whole, busy = time.perf_counter() - called, timed.ended - timed.began
            first = first or found
            different |= {stem for stem in first if found[stem] != first[stem]}
            rates = {
                "images/s": options.images / busy,
                "images/s of the call": options.images / whole,
            }
            made.setdefault(name, []).append({k: round(v, 4) for k, v in rates.items()})
            print(name, made[name][-1], flush=True)
    median = {
        name: {k: float(np.median([turn[k] for turn in turns])) for k in turns[0]}
        for name, turns in made.items()
    }
    alone = median["this process"]["images/s"]
    result = {
        "question": __doc__.splitlines()[0],
        "images": options.images,
        "size": [HEIGHT, WIDTH],
        "num_samples": options.num_samples,
        "cores": cores(),
        "median": median,
        "times this process": {k: round(v["images/s"] / alone, 3) for k, v in median.items()},
        "turns": made,
        "certificates that differ": len(different),
        "made_with": environment("python benchmarks/workers.py", None),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
