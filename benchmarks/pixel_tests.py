"""How much faster is a certificate from votes than one SciPy test per pixel?

Votes of a made-up street scene, tau = 0.75, alpha = 1e-3. The plain way (one
``scipy.stats.binomtest`` per pixel, as published) is timed on a sample of the pixels and scaled up;
it is given its candidates and hits, and its correction is left out, all in its favour. Both sides
use one core.

    python benchmarks/pixel_tests.py -o benchmarks/results/speed/statistics
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.stats import binomtest

from certiseg.bench.result import Goal, Result, Row, timing_environment
from certiseg.bench.subject import NOISE, Options
from certiseg.bench.timing import Spread, interleaved
from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.segcertify import certify
from certiseg.votes import VoteCounts
from command import main
from street import CLASSES, HEIGHT, WIDTH, Street

TAU, ALPHA = 0.75, 1e-3
DRAWS, SAMPLE, GOAL = (100, 500), 2000, 5000.0
_CHECK, _PLAIN = "checking the votes", "one test per pixel, scaled up"


def statistics(options: Options) -> Result:
    """Time the methods and the plain way in turn, for each number of draws."""
    device = Options().on()
    size = options.size or ((64, 128) if options.quick else (HEIGHT, WIDTH))
    sample = min(50 if options.quick else SAMPLE, size[0] * size[1])
    draws = DRAWS if options.num_samples is None else (options.num_samples,)
    rows: list[Row] = []
    goals: list[Goal] = []
    for trials in draws:
        found, goal = _rows(options, size, trials, sample)
        rows += found
        goals.append(goal)
    return Result(
        "statistics",
        "How much faster is a certificate from votes than one SciPy test per pixel?",
        rows,
        timing_environment(options.command, device),
        {
            "size": [*size, CLASSES],
            "tau": TAU,
            "alpha": ALPHA,
            "seed": options.seed,
            "turns": options.turns,
            "pixels timed the plain way": sample,
        },
        goals,
        (
            f"The plain way was timed on {sample} pixels and scaled up. It is given candidates and "
            "hits; its correction is left out.",
            "Checking that counts add up is done once, when votes are made or read; it comes on "
            "top of any method: last column.",
        ),
    )


def _rows(
    options: Options, size: tuple[int, int], trials: int, sample: int
) -> tuple[list[Row], Goal]:
    rng = np.random.default_rng(options.seed)
    votes = Street.make(rng, size).votes(rng, trials)
    hits = votes.hits(votes.mode()).ravel()
    chosen = hits[rng.choice(len(hits), sample, replace=False)].tolist()
    scale = len(hits) / sample

    def plain() -> None:
        for k in chosen:
            binomtest(k, trials, TAU, alternative="greater").pvalue  # noqa: B018

    task = partial(certify, votes, noise=NOISE, tau=TAU, alpha=ALPHA)
    methods: dict[str, Callable[[], object]] = {
        "Holm": partial(task, correction="holm"),
        "Bonferroni": partial(task, correction="bonferroni"),
        "radius map": partial(radius_map, votes, noise=NOISE, alpha=ALPHA),
    }
    check = partial(VoteCounts, votes.counts, trials)
    sides: dict[str, Callable[[], object]] = {**methods, _CHECK: check}
    for warm in sides.values():
        warm()
    times = interleaved(
        {**sides, _PLAIN: plain},
        options.turns,
        name=f"statistics, n = {trials}",
        progress=options.progress,
    )
    slow = [scale * second for second in times[_PLAIN].wall]
    checked = times[_CHECK].wall
    rows: list[Row] = []
    for name in methods:
        own = times[name].wall
        both = [a + b for a, b in zip(own, checked, strict=True)]
        rows.append(_row(trials, name, own, slow, both))
    rows.append(_row(trials, _CHECK, checked, slow, None))
    rows.append(_row(trials, _PLAIN, slow, None, None))
    words = f"times faster than a test per pixel, Holm, n = {trials}"
    return rows, Goal(words, Spread.ratio(slow, times["Holm"].wall).median, GOAL, at_least=True)


def _row(
    trials: int,
    name: str,
    own: tuple[float, ...] | list[float],
    slow: list[float] | None,
    checked: list[float] | None,
) -> Row:
    return {
        "method": name,
        "n": trials,
        "seconds": Spread.of(own),
        "times faster": None if slow is None else Spread.ratio(slow, own),
        "votes checked too": None if slow is None or checked is None
        else Spread.ratio(slow, checked),
    }  # fmt: skip


if __name__ == "__main__":
    main("statistics", statistics)
