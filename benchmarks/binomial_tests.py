"""How much faster is a certificate from votes than one SciPy test per pixel?

Votes of 1024 x 2048 pixels x 19 classes, n = 100, tau = 0.75, alpha = 1e-3. The plain way (one
``scipy.stats.binomtest`` per pixel, as published) is timed on a subsample and scaled up; it is
given its candidates and hits, and its Holm step is left out, both in its favour.

    python benchmarks/binomial_tests.py --out benchmarks/results/binomial_tests.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

import certiseg as cs
from certiseg.runs.environment import environment
from street import CLASSES, HEIGHT, WIDTH, Street

TRIALS, TAU, ALPHA = 100, 0.75, 1e-3
NOISE = cs.Gaussian(0.25)


def ours_from(counts: NDArray[np.integer], correction: str) -> cs.Certificate:
    """From the bare counts: checking that they add up is part of the time."""
    votes = cs.VoteCounts(counts, TRIALS)
    return cs.certify(votes, noise=NOISE, tau=TAU, alpha=ALPHA, correction=correction)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--subsample", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    rng = np.random.default_rng(options.seed)
    votes = Street.make(rng).votes(rng, TRIALS)
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
        "made_with": environment("python benchmarks/binomial_tests.py", None),
    }
    # In turn, so that a slow spell of the machine hits both.
    ours: dict[str, list[float]] = {"holm": [], "bonferroni": []}
    theirs: list[float] = []
    cs.certify(votes, noise=NOISE, tau=TAU, alpha=ALPHA)
    for _ in range(options.repeats):
        for correction, times in ours.items():
            times.append(seconds(partial(ours_from, votes.counts, correction)))
        theirs.append(seconds(plain) * len(mode) / options.subsample)
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
