"""How many pixels do regions add to Holm's certificate, in all and class by class?

    python benchmarks/regions.py --data camvid --root CamVid --limit 26 -n 110 --seed 2026

The same votes are tested by both methods. Shares are of labelled pixels, pooled over the images;
"regions" is what certiseg.regions proves of the pixels that are labelled and right, image by
image, summed: of all of them, and of those of each class (theory T16 with T9). Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time

import numpy as np

import certiseg as cs
from certiseg.datasets.card import IGNORE
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
    parser.add_argument("-n", type=int, default=110)
    parser.add_argument("--seed", type=int, default=2026)
    given = parser.parse_args()
    loaded = cs.load_model(given.model)
    samples = open_samples(
        loaded, data=given.data, root=given.root, split=given.split, limit=given.limit
    )
    smooth = cs.Smoothed(loaded.model, cs.Gaussian(given.sigma))
    test = {"noise": smooth.noise, "tau": given.tau, "alpha": given.alpha}
    classes = samples.card.classes
    # By class: labelled pixels, certified and right under Holm, surely right under regions.
    found = np.zeros((len(classes), 3), dtype=np.int64)
    right = np.zeros(2, dtype=np.int64)
    shares, seconds = np.zeros((len(samples), 2)), np.zeros((len(samples), 3))
    for number in range(len(samples)):
        sample = samples[number]
        votes = smooth.vote(sample.x, given.n, seed=given.seed)
        started = time.perf_counter()
        holm = cs.certify(votes, **test)
        seconds[number, 0] = time.perf_counter() - started
        started = time.perf_counter()
        some = cs.regions(votes, **test)
        seconds[number, 1] = time.perf_counter() - started
        started = time.perf_counter()
        everything = some.at_least(np.ones(some.labels.shape, dtype=bool))
        seconds[number, 2] = time.perf_counter() - started
        shares[number] = 1 - holm.abstention, everything / some.labels.size
        right[0] += int((holm.labels == sample.labels).sum())
        right[1] += some.at_least(some.labels == sample.labels)
        for label in range(len(classes)):
            truth = sample.labels == label
            found[label] += (
                int(truth.sum()),
                int((truth & (holm.labels == label)).sum()),
                some.at_least(truth & (some.labels == label)),
            )
        print(f"{number + 1}/{len(samples)}", file=sys.stderr)
    labelled, held, sure = (found[:, column] for column in range(3))
    record = {
        "command": " ".join(sys.argv),
        "machine": f"{platform.machine()}, {platform.system()}",
        "ignored": IGNORE,
        "images": len(samples),
        "share": dict(zip(("holm", "regions"), shares.mean(axis=0).tolist(), strict=True)),
        "right": dict(zip(("holm", "regions"), (right / labelled.sum()).tolist(), strict=True)),
        "by_class": {
            name: [round(held[i] / labelled[i], 4), round(sure[i] / labelled[i], 4)]
            for i, name in enumerate(classes)
            if labelled[i]
        },
        "median_seconds": dict(
            zip(("holm", "regions", "first_answer"), np.median(seconds, axis=0), strict=True)
        ),
    }
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
