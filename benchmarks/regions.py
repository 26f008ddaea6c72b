"""How many pixels do regions add to Holm's certificate, in all and class by class?

    python benchmarks/regions.py --data camvid --root CamVid --limit 26 --ns 110 510 --seed 2026

The same votes are tested by both methods, with the first --ns of the draws each. Figures are those
of `certiseg evaluate`, pooled over the images (theory T9; by class: certified share of the truth
and certified IoU), and the share of all pixels with a label that holds. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence

import numpy as np

import certiseg as cs
from certiseg.certificates.certificate import Certificate
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.records import counts_from_record
from certiseg.runfolder.metrics import certified_record
from certiseg.runs.samples import open_samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="camvid")
    parser.add_argument("--root", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="certiseg:camvid-lite2")
    parser.add_argument("--limit", type=int, default=26)
    parser.add_argument("--sigma", type=float, default=0.25)
    parser.add_argument("--tau", type=float, default=0.75)
    parser.add_argument("--alpha", type=float, default=1e-3)
    parser.add_argument("--ns", type=int, nargs="+", default=[110, 510], help="Rising.")
    parser.add_argument("--seed", type=int, default=2026)
    given = parser.parse_args()
    loaded = cs.load_model(given.model)
    samples = open_samples(
        loaded, data=given.data, root=given.root, split=given.split, limit=given.limit
    )
    smooth = cs.Smoothed(loaded.model, cs.Gaussian(given.sigma))
    test = {"noise": smooth.noise, "tau": given.tau, "alpha": given.alpha}
    classes = samples.card.classes
    methods = {"holm": cs.certify, "regions": cs.regions}
    pooled: dict[tuple[int, str], Confusion] = {}
    shares: dict[tuple[int, str], list[float]] = {}
    seconds: dict[tuple[int, str], list[float]] = {}
    for number in range(len(samples)):
        sample = samples[number]
        source = smooth.source(sample.x, seed=given.seed)
        votes, drawn = None, 0
        for n in given.ns:
            new = source.more(n - drawn).copy()
            votes, drawn = new if votes is None else votes + new, n
            for name, method in methods.items():
                started = time.perf_counter()
                made = method(votes, **test)
                seconds.setdefault((n, name), []).append(time.perf_counter() - started)
                holds = made.at_least(np.ones(made.labels.shape, dtype=bool))
                shares.setdefault((n, name), []).append(holds / made.labels.size)
                counts = _counts(made, sample.labels, len(classes))
                known = pooled.get((n, name))
                pooled[n, name] = counts if known is None else known + counts
        print(f"{number + 1}/{len(samples)}", file=sys.stderr)
    record = {
        "command": " ".join(sys.argv),
        "machine": f"{platform.machine()}, {platform.system()}",
        "images": len(samples),
        "figures": {
            f"{name}, n = {n}": {
                "share": float(np.mean(shares[n, name])),
                "certified_accuracy": counts.certified_accuracy,
                "certified_miou": counts.certified_miou,
                "median_seconds": float(np.median(seconds[n, name])),
                "by_class": _by_class(counts, classes),
            }
            for (n, name), counts in pooled.items()
        },
    }
    print(json.dumps(record, indent=1))


def _counts(certificate: Certificate, truth: np.ndarray, num_classes: int) -> Confusion:
    record = certified_record(certificate, truth, num_classes, read_at=0.0)
    return counts_from_record(Confusion, record["confusion"])


def _by_class(counts: Confusion, classes: Sequence[str]) -> dict[str, list[float]]:
    """Certified share of the truth and certified IoU."""
    kept = np.maximum(np.diagonal(counts.counts) - counts.allowed_by_class[0], 0)
    of_truth = counts.counts.sum(axis=1)
    return {
        name: [round(float(kept[i] / of_truth[i]), 4), round(float(counts.certified_iou[i]), 4)]
        for i, name in enumerate(classes)
        if of_truth[i]
    }


if __name__ == "__main__":
    main()
