"""What do windows cost, and how much of a certificate stands beyond its radius?

    python benchmarks/windows.py --root CamVid --limit 5 -n 110 --seed 2026

The whole image, and windows of several sizes with one margin: seconds a draw, certified share, the
share that is certified and right, and the share of certified labels that stands under every
perturbation of norm F times the radius (theory T17), means over the images. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import certiseg as cs
from certiseg.datasets.card import IGNORE
from certiseg.runs.model import open_model
from certiseg.runs.samples import open_samples

_FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="camvid")
    parser.add_argument("--root", help="Of a data set by name; none for a YAML file.")
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="certiseg:camvid-lite2")
    parser.add_argument("--scale", type=float, help="Of the images, inside the windows.")
    parser.add_argument("--limit", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[180, 120, 60])
    parser.add_argument("--margin", type=int, default=64)
    parser.add_argument("-n", type=int, default=110)
    parser.add_argument("--seed", type=int, default=2026)
    given = parser.parse_args()
    scales = None if given.scale is None else (given.scale,)
    loaded = open_model(given.model, scales=scales)
    samples = open_samples(
        loaded, data=given.data, root=given.root, split=given.split, limit=given.limit
    )
    record: dict[str, Any] = {
        "command": " ".join(sys.argv),
        "machine": f"{platform.machine()}, {platform.system()}",
        "images": len(samples),
        "factors": _FACTORS,
    }
    for size in (None, *given.sizes):
        model = loaded.model if size is None else cs.Windows(loaded.model, size, given.margin)
        record["whole" if size is None else str(size)] = _measured(model, samples, given)
        print(size, file=sys.stderr)
    print(json.dumps(record, indent=1))


def _measured(model: Callable[..., Any], samples: Any, given: Any) -> dict[str, Any]:
    smooth = cs.Smoothed(model, cs.Gaussian(0.25))
    figures = []
    for number in range(len(samples)):
        sample = samples[number]
        started = time.perf_counter()
        votes = smooth.vote(sample.x, given.n, seed=given.seed)
        seconds = time.perf_counter() - started
        made = cs.certify(votes, noise=smooth.noise)
        held = int(made.certified.sum())
        stands = [1 - made.lost_at_most(f * made.radius) / held for f in _FACTORS]
        labelled = int((sample.labels != IGNORE).sum())
        right = int((made.labels == sample.labels).sum()) / labelled
        one = smooth.predict_once(sample.x, seed=given.seed)
        base = int((one == sample.labels).sum()) / labelled
        figures.append([seconds / given.n, base, 1 - made.abstention, right, *stands])
    mean = np.mean(figures, axis=0).round(4).tolist()
    names = ("seconds_a_draw", "one_draw_right", "certified", "certified_and_right")
    record = {**dict(zip(names, mean, strict=False)), "stands": mean[4:]}
    if isinstance(model, cs.Windows):
        spans = model.tiling(2).spans(samples[0].labels.shape)
        sides = [[s.seen.stop - s.seen.start for s in span] for span in spans]
        record["windows"] = len(spans)
        record["pixels_computed"] = sum(map(math.prod, sides)) / samples[0].labels.size
    return record


if __name__ == "__main__":
    main()
