"""How much faster is a certificate from votes than one SciPy test per pixel?

Votes of 1024 x 2048 pixels x 19 classes, n = 100, tau = 0.75, alpha = 1e-3. The plain way (one
``scipy.stats.binomtest`` per pixel, as published) is timed on a subsample and scaled up; it is
given its candidates and hits, and its Holm step is left out, both in its favour.

    python benchmarks/statistics.py --out benchmarks/results/statistics.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

import certiseg as cs
from certiseg.runs.environment import environment

HEIGHT, WIDTH, CLASSES, TRIALS, TAU, ALPHA = 1024, 2048, 19, 100, 0.75, 1e-3
NOISE = cs.Gaussian(0.25)


def street_like_votes(seed: int) -> np.ndarray:
    """Counts (H, W, C) uint8: nine tenths of the pixels nearly unanimous, the rest torn."""
    rng = np.random.default_rng(seed)
    top = np.where(rng.random((HEIGHT, WIDTH)) < 0.9, 0.99, rng.uniform(0.4, 0.9, (HEIGHT, WIDTH)))
    hits = rng.binomial(TRIALS, top)
    label = rng.integers(0, CLASSES, (HEIGHT, WIDTH))
    counts = np.zeros((HEIGHT, WIDTH, CLASSES), dtype=np.uint8)
    np.put_along_axis(counts, ((label + 1) % CLASSES)[..., None], (TRIALS - hits)[..., None], -1)
    np.put_along_axis(counts, label[..., None], hits[..., None].astype(np.uint8), -1)
    return counts


def seconds(function, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--subsample", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    counts = street_like_votes(options.seed)
    votes = cs.VoteCounts(counts, TRIALS)
    mode = votes.mode().ravel()
    hits = votes.hits(votes.mode()).ravel()
    chosen = np.random.default_rng(options.seed).choice(len(mode), options.subsample, replace=False)

    def plain() -> None:
        for k in hits[chosen].tolist():
            binomtest(k, TRIALS, TAU, alternative="greater").pvalue  # noqa: B018

    result: dict[str, object] = {
        "question": __doc__.splitlines()[0],
        "size": [HEIGHT, WIDTH, CLASSES],
        "trials": TRIALS,
        "seed": options.seed,
        "subsample": options.subsample,
        "made_with": environment("python benchmarks/statistics.py", None),
    }
    # In turn, so that a slow spell of the machine hits both.
    ours: dict[str, list[float]] = {"holm": [], "bonferroni": []}
    theirs: list[float] = []
    cs.certify(votes, noise=NOISE, tau=TAU, alpha=ALPHA)
    for _ in range(options.repeats):
        for correction, times in ours.items():
            times += seconds(
                lambda c=correction: cs.certify(
                    cs.VoteCounts(counts, TRIALS), noise=NOISE, tau=TAU, alpha=ALPHA, correction=c
                ),
                1,
            )
        theirs += [t * len(mode) / options.subsample for t in seconds(plain, 1)]
    result["per pixel, scaled up (s)"] = round(float(np.median(theirs)), 2)
    for correction, times in ours.items():
        ratio = float(np.median([b / a for a, b in zip(times, theirs, strict=True)]))
        result[f"{correction} (s)"] = round(float(np.median(times)), 4)
        result[f"{correction}: times faster"] = round(ratio)
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
