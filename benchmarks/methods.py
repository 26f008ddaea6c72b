"""Does every method certify votes of 1024 x 2048 pixels x 19 classes in 0.5 s and 1 GiB on top?

n = 100 draws of a made-up street scene, tau = 0.75, alpha = 1e-3; on two cores. Seconds: by the
clock, median of the turns. Core seconds: of all cores together, which a busy machine changes less.
Memory: the peak of what a call allocates beyond its input, in a further call of its own. Reading
the votes once (checking that they add up) comes on top of any method, and has its own row.

    python benchmarks/methods.py --out benchmarks/results/methods.json
"""

from __future__ import annotations

import argparse
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import certiseg as cs
from certiseg.bench.timing import interleaved
from certiseg.certifiers.adaptive import adaptive, levels_from_margins
from certiseg.certifiers.replay import LookRule, recompute
from certiseg.metrics.curve import RadiusCurve, radius_grid
from certiseg.metrics.scalars import accuracy, class_area, mean_iou
from certiseg.runs.environment import environment
from certiseg.stats.spending import plan_looks
from certiseg.table import Column, Table
from street import CLASSES, HEIGHT, WIDTH, Street

TRIALS, SELECTION, LOOKS, BUDGET = 100, 10, 5, 0.001
GOAL_SECONDS, GOAL_BYTES = 0.5, 2**30
TREE = cs.load_hierarchy("cityscapes")
NOISE, TAU, ALPHA = cs.Gaussian(0.25), 0.75, 1e-3
TASK: dict[str, Any] = {"noise": NOISE, "tau": TAU, "alpha": ALPHA}


class Parts:
    """A ``VoteSource`` of ready-made votes."""

    def __init__(self, *parts: cs.VoteCounts) -> None:
        self._parts: Iterator[cs.VoteCounts] = iter(parts)

    def sizes(self) -> tuple[int, int]:
        return HEIGHT * WIDTH, CLASSES

    def more(self, draws: int) -> cs.VoteCounts:
        return next(self._parts)


def calls(seed: int) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    rng = np.random.default_rng(seed)
    street = Street.make(rng)
    votes, chosen = street.votes(rng, TRIALS), street.votes(rng, SELECTION)
    margins = np.abs(2.0 * street.probability - 1.0)
    plan = [n for n, _ in plan_looks(HEIGHT * WIDTH, TRIALS, tau=TAU, alpha=ALPHA, looks=LOOKS)]
    parts = [street.votes(rng, n) for n in np.diff([0, *plan]).tolist()]

    def sequential(*given: cs.VoteCounts, spending: str = "late") -> cs.Certificate:
        return cs.sequential(
            Parts(*given), num_samples=TRIALS, looks=len(given), spending=spending, **TASK
        )

    def bounds(certificate: cs.Certificate) -> tuple[float, float, float]:
        counts = cs.Confusion.count(street.label, certificate.labels, CLASSES, allowed=10)
        return counts.certified_accuracy, counts.certified_miou, counts.miou

    looked = sequential(*parts)
    assert looked.looks is not None
    looks = looked.looks
    holm, tree = cs.certify(votes, **TASK), cs.hierarchical(votes, hierarchy=TREE, **TASK)
    by_radius, grid = cs.radius_map(votes, noise=NOISE, alpha=ALPHA), radius_grid(0.5)
    one = street.label[None]
    values = rng.uniform(0.5, 0.6, TRIALS)
    return {
        "reading the votes": lambda: cs.VoteCounts(votes.counts, TRIALS),
        "bonferroni": lambda: cs.certify(votes, correction="bonferroni", **TASK),
        "holm": lambda: cs.certify(votes, **TASK),
        "holm, split": lambda: cs.certify(votes, selection_votes=chosen, **TASK),
        "k-fwer": lambda: cs.certify(votes, correction="k-fwer", budget=BUDGET, **TASK),
        "radius map": lambda: cs.radius_map(votes, noise=NOISE, alpha=ALPHA),
        "hierarchical": lambda: cs.hierarchical(votes, hierarchy=TREE, **TASK),
        "adaptive": lambda: adaptive(
            votes,
            hierarchy=TREE,
            selection_votes=chosen,
            levels=levels_from_margins(margins, (0.0, 0.0, 0.25), TREE),
            **TASK,
        ),
        "sequential, one look": lambda: sequential(votes),
        "e-process, one look": lambda: sequential(votes, spending="e-process"),
        f"sequential, {LOOKS} looks": lambda: sequential(*parts),
        f"recompute, {LOOKS} looks": lambda: recompute(
            looks, LookRule(TAU, 1, CLASSES, looks.anytime), ALPHA
        ),
        "Confusion with bounds": lambda: bounds(holm),
        "RadiusCurve": lambda: (
            RadiusCurve.count(
                street.label, by_radius.labels, CLASSES, radius=by_radius.radius, grid=grid
            ).certified_miou
        ),
        "InformationGain": lambda: (
            cs.InformationGain.count(street.label, tree.labels, TREE).class_cig
        ),
        "scalars of one draw": lambda: (
            accuracy(one, street.label),
            mean_iou(one, street.label),
            class_area(one, 0),
        ),
        "percentile": lambda: cs.percentile(values, noise=NOISE, radius=0.1, alpha=ALPHA),
    }


def peak(call: Callable[[], object]) -> int:
    """Most bytes that a call held at once beyond what was there before."""
    tracemalloc.start()
    call()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    timed = calls(options.seed)
    turns = interleaved(timed, options.repeats)
    rows: list[dict[str, Any]] = []
    for name, call in timed.items():
        clock, cores = np.array([turns[name].wall, turns[name].cpu])
        most = peak(call)
        rows.append(
            {
                "method": name,
                "seconds": round(float(np.median(clock)), 4),
                "lowest": round(float(clock.min()), 4),
                "highest": round(float(clock.max()), 4),
                "core seconds": round(float(np.median(cores)), 4),
                "MiB on top": round(most / 2**20),
                "goal met": bool(np.median(clock) < GOAL_SECONDS and most < GOAL_BYTES),
            }
        )
    print(Table([Column(name, name) for name in rows[0]], rows).markdown())
    result = {
        "question": __doc__.splitlines()[0],
        "size": [HEIGHT, WIDTH, CLASSES],
        "trials": TRIALS,
        "seed": options.seed,
        "repeats": options.repeats,
        "goal": {"seconds": GOAL_SECONDS, "bytes": GOAL_BYTES},
        "methods": rows,
        "made_with": environment("python benchmarks/methods.py", None),
    }
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
