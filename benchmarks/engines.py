"""What do the options of the engine buy on this machine?

CPU time of a draw of `Smoothed.vote` under each engine over that under the default, in turn in one
process; after a warm-up, which pays for compiling. Random images, networks that ship. With --int8
FOLDER also their int8 forms, NAME-int8.onnx of `certiseg quantize`.

    OMP_NUM_THREADS=1 python benchmarks/engines.py --int8 . --out benchmarks/results/engines.json
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

import certiseg as cs
from certiseg.bench.result import timing_environment
from certiseg.bench.timing import Spread, interleaved, seconds
from certiseg.models.serialization import load_bundled
from certiseg.runs.malloc import keep_freed_memory
from certiseg.runs.model import open_model

ENGINES = {
    "default": cs.Engine(),
    "bfloat16": cs.Engine(precision="bfloat16"),
    "channels last": cs.Engine(channels_last=True),
    "compile": cs.Engine(compile=True),
}
MODELS = ("camvid", "camvid-lite2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--int8", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    x = torch.rand(3, 360, 480, generator=torch.Generator().manual_seed(0))
    found = {}
    for name in MODELS:
        smooth = {
            engine: cs.Smoothed(load_bundled(name), cs.Gaussian(0.25), engine=record)
            for engine, record in ENGINES.items()
        }
        if options.int8:
            loaded = open_model(str(options.int8 / f"{name}-int8.onnx"))
            smooth["int8"] = cs.Smoothed(loaded.model, cs.Gaussian(0.25), loaded.num_classes)
        sides = {
            engine: partial(one.vote, x, options.draws, batch_size=4, seed=0)
            for engine, one in smooth.items()
        }
        warm = {engine: seconds(side)[1] for engine, side in sides.items()}
        times = interleaved(sides, options.turns)
        found[name] = {
            engine: {
                "ms a draw": round(1e3 * Spread.of(spent.cpu).median / options.draws, 1),
                "times the default": asdict(Spread.ratio(spent.cpu, times["default"].cpu)),
                "seconds of the warm-up": round(warm[engine], 1),
            }
            for engine, spent in times.items()
        }
    record = {
        "question": __doc__.splitlines()[0],
        "draws": options.draws,
        "turns": options.turns,
        "models": found,
        "made_with": timing_environment(shlex.join(["python", *sys.argv]), torch.device("cpu")),
    }
    text = json.dumps(record, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
