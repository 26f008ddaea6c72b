"""What share of a labelled image is certified and correct after how many seconds, by way?

The published way (benchmarks/published.py; one point), ours on the float32 model, in bfloat16 where
the processor has it, on cells of 4 x 4 pixels, window by window (which buys guarantees beyond the
radius, theory T17, not speed), and on the int8 form that `certiseg quantize` wrote.
One image of CamVid's validation frames, with which checkpoints were chosen. Seconds of CPU time by
default, which depend less on what else the machine does; --wall takes wall time.

    OMP_NUM_THREADS=1 python benchmarks/time_to_certificate.py --root CAMVID \\
        --model certiseg:camvid --int8 camvid-int8.onnx -o benchmarks/results/time-to-certificate
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from certiseg.bench.result import timing_environment
from certiseg.bench.subject import NOISE, Options, Subject
from certiseg.bench.time_to_certificate import certified_after, chart, draws_shown, ways
from certiseg.datasets.camvid import camvid
from certiseg.datasets.card import IGNORE
from certiseg.models.windows import Windows
from certiseg.runs.malloc import keep_freed_memory
from certiseg.runs.model import open_model
from certiseg.sampling.sampler import Smoothed
from end_to_end import replayed, the_published

PUBLISHED, DRAWS = "published way", 100


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def correct(labels: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Share of the labelled pixels that are certified with the true label."""
    known = truth != IGNORE
    return float(((labels == truth) & known).sum() / known.sum())


def pair(text: str) -> tuple[int, int]:
    size, margin = map(int, text.split(":"))
    return size, margin


def short(rest: str, form: str) -> str:
    """The name of a way on the chart: ', bfloat16' of a float32 model is 'bfloat16'."""
    return "bfloat16" if rest == ", bfloat16" else form + rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--frame", type=int, default=50, help="number of the frame of val")
    parser.add_argument("--model", default="certiseg:camvid")
    parser.add_argument("--int8", help="what certiseg quantize wrote")
    parser.add_argument("--windows", type=pair, help="cores and margin, as 120:32")
    parser.add_argument("-n", "--num-samples", type=int, default=220)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wall", action="store_true", help="wall time instead of CPU time")
    parser.add_argument("--no-published", action="store_true", help="leave the published way out")
    parser.add_argument("-o", "--out", type=Path, required=True, help="files, without suffix")
    given = parser.parse_args()
    keep_freed_memory()
    clock = time.perf_counter if given.wall else cpu_seconds
    data = camvid(given.root, "val")
    sample = data[given.frame]
    x, truth = torch.from_numpy(sample.x), np.asarray(sample.labels)
    sides = {}
    for spec in filter(None, (given.model, given.int8)):
        loaded = open_model(spec)
        about = Subject(spec, loaded.model, x, DRAWS, loaded.num_classes)
        form = "int8" if spec == given.int8 else "float32"
        for name, smooth in ways(about).items():
            sides[short(name.removeprefix(spec), form)] = smooth
        if given.windows is not None and form == "float32":
            size, margin = given.windows
            windowed = Windows(loaded.model, size, margin)
            name = f"windows of {size}, margin {margin}"
            sides[name] = Smoothed(windowed, NOISE, loaded.num_classes)
    found = {}
    numbers = draws_shown(x[0].numel(), given.num_samples)
    for name, smooth in sides.items():
        smooth.vote(x, 2, seed=given.seed)
        made = certified_after(smooth, x, numbers, given.seed, clock)
        shares = [correct(one.full_size(), truth) for _, one in made]
        found[name] = ([seconds for seconds, _ in made], shares)
        print(name, found[name], flush=True)
    if not given.no_published:
        loaded = open_model(given.model)
        about = Subject(given.model, loaded.model, x, DRAWS, loaded.num_classes)
        replay = replayed(about, given.seed)
        start = clock()
        labels = the_published(about, replay).labels
        found[PUBLISHED] = ([clock() - start], [correct(labels, truth)])
        print(PUBLISHED, found[PUBLISHED], flush=True)
    what = "wall seconds" if given.wall else "CPU seconds, one thread"
    record = {
        "question": __doc__.splitlines()[0],
        "frame": sample.name,
        "noise": NOISE.describe(),
        "n": numbers,
        "n of the published way": {"n0": 10, "n": DRAWS},
        "seconds": what,
        "ways": {
            name: {"seconds": [round(s, 2) for s in spent], "certified accuracy": shares}
            for name, (spent, shares) in found.items()
        },
        "made_with": timing_environment(shlex.join(["python", *sys.argv]), Options().on()),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    Path(f"{given.out}.json").write_text(json.dumps(record, indent=1) + "\n")
    for suffix, content in chart(found, "certified accuracy", f"{what} from the image"):
        Path(f"{given.out}{suffix}").write_bytes(content)


if __name__ == "__main__":
    main()
