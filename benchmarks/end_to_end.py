"""How much faster than the published way is a certificate, end to end, on the same draws?

The same model, the same n0 + n draws in the same batches, Holm, two stages (``selection="split"``),
in turn in one process. The votes of both ways must be equal, and so must the certificates; else
there is no result.

    python benchmarks/end_to_end.py -o benchmarks/results/speed/published
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import published
from certiseg.bench.result import Goal, Result, Row, timing_environment
from certiseg.bench.subject import CAMVID, NOISE, Options, Subject, subject
from certiseg.bench.timing import Spread, bare, passes_of, ready_batch, seconds
from certiseg.certifiers.segcertify import certify
from certiseg.errors import ClaimError
from certiseg.rounding import nearest
from certiseg.runs.progress import steps
from command import main

TAU, ALPHA, SELECTION, KEY, GOAL = 0.75, 1e-3, 10, "bench", 3.0
BATCH = 5
"""Divides both stages: no draw changes its company, so that no last bit can differ."""
PASSES, BEYOND, STATISTICS, ALL = "passes of the model", "beyond them", "statistics", "all"
_PARTS = 500
Spent = Mapping[str, float]


@dataclass(frozen=True)
class Found:
    """What one way found: votes (H, W, C) of both stages, labels (H, W), seconds by step."""

    selection: NDArray[np.integer]
    test: NDArray[np.integer]
    labels: NDArray[np.signedinteger]
    spent: Spent


def published_way(options: Options) -> Result:
    """Time both ways in turn. Raises ClaimError where they disagree."""
    if options.quick:
        options = replace(
            options, size=options.size or (24, 32), num_samples=options.num_samples or 60
        )
    about = subject((options.models or (CAMVID,))[0], options)
    replay = replayed(about, options.seed)
    theirs: list[Spent] = []
    ours: list[Spent] = []
    our_way(about, options.seed)
    for turn in steps(range(options.turns), options.turns, "published way", show=options.progress):
        # Backwards every other turn, so that neither profits from its place.
        if turn % 2:
            own, other = our_way(about, options.seed), the_published(about, replay)
        else:
            other, own = the_published(about, replay), our_way(about, options.seed)
        check_agreement(own, other)
        ours.append(own.spent)
        theirs.append(other.spent)
    ratio = Spread.ratio([s[ALL] for s in theirs], [s[ALL] for s in ours])
    counting, testing = pool_parts(about.draws)
    return Result(
        "published",
        "How much faster than the published way is a certificate, on the same draws?",
        [
            *_rows("published", theirs),
            *_rows("certiseg", ours),
            {"way": "published / certiseg", "step": ALL, "seconds": ratio, "share (%)": None},
        ],
        timing_environment(options.command, about.device),
        {
            "model": about.name,
            "input": list(about.x.shape),
            "noise": NOISE.describe(),
            "n0": SELECTION,
            "n": about.draws,
            "tau": TAU,
            "alpha": ALPHA,
            "correction": "holm",
            "batch": BATCH,
            "seed": options.seed,
            "turns": options.turns,
        },
        [Goal("times faster, end to end", ratio.median, GOAL, at_least=True)],
        (
            "The last row is the ratio of the two ways, not seconds.",
            "Votes and certificates of both ways were equal in every turn.",
            f"In the pool, a pixel's counting takes {nearest(1e6 * counting, 0)} us and its test "
            f"{nearest(1e6 * testing, 0)} us (one process, {_PARTS} pixels).",
        ),
    )


def _rows(way: str, spent: Sequence[Spent]) -> list[Row]:
    whole = Spread.of([one[ALL] for one in spent]).median
    rows: list[Row] = []
    for step in spent[0]:
        spread = Spread.of([one[step] for one in spent])
        share = 100 * spread.median / whole
        rows.append({"way": way, "step": step, "seconds": spread, "share (%)": share})
    return rows


def replayed(about: Subject, seed: int) -> published.Replay:
    """The inputs under our draws, made beforehand: the published way times noise of its own."""
    smooth = about.smoothed()
    made = [
        smooth.noisy(about.x, seed=seed, key=KEY, draw=draw).cpu().numpy()
        for draw in range(SELECTION + about.draws)
    ]
    return made.__getitem__


def the_published(about: Subject, replay: published.Replay) -> Found:
    """Certify the published way."""
    classes = about.smoothed().num_classes or about.classes
    assert classes is not None
    clock = published.Clock(about.device)
    labels = published.sample(
        passes_of(about.model, about.engine),
        about.x,
        SELECTION + about.draws,
        NOISE.sigma,
        BATCH,
        classes,
        replay,
        clock,
    )
    certified = published.certify(labels, SELECTION, TAU, ALPHA, classes, "holm", clock)
    return Found(
        counted(labels[:SELECTION], classes),
        counted(labels[SELECTION:], classes),
        certified,
        {**clock.seconds, ALL: sum(clock.seconds.values())},
    )


def our_way(about: Subject, seed: int) -> Found:
    """Certify as a user does; then the parts once more, each by itself."""
    start = time.perf_counter()
    certificate = about.smoothed().certify(
        about.x,
        about.draws,
        TAU,
        ALPHA,
        selection="split",
        selection_samples=SELECTION,
        batch_size=BATCH,
        seed=seed,
        key=KEY,
    )
    whole = time.perf_counter() - start
    chosen = certificate.selection_votes
    assert chosen is not None
    batch = ready_batch(about.x, NOISE.sigma, BATCH)
    model = passes_of(about.model, about.engine)
    passes, _ = seconds(lambda: bare(model, batch, SELECTION + about.draws), about.device)
    tests, _ = seconds(
        lambda: certify(
            certificate.votes, noise=NOISE, tau=TAU, alpha=ALPHA, selection_votes=chosen
        )
    )
    return Found(
        chosen.counts,
        certificate.votes.counts,
        certificate.labels,
        {PASSES: passes, BEYOND: whole - passes - tests, STATISTICS: tests, ALL: whole},
    )


def check_agreement(ours: Found, theirs: Found) -> None:
    """Raise ClaimError unless both ways saw the same votes and certified the same labels."""
    for stage in ("selection", "test"):
        differ = np.any(getattr(ours, stage) != getattr(theirs, stage), axis=-1)
        if differ.any():
            raise ClaimError(
                f"expected the same {stage} votes both ways, got {int(differ.sum())} of "
                f"{differ.size} pixels that differ; the two ways saw different draws"
            )
    other = ours.labels != theirs.labels
    if other.any():
        raise ClaimError(
            f"expected the same certificate both ways, got {int(other.sum())} of {other.size} "
            "pixels that differ; their statistics disagree"
        )


def counted(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Votes (H, W, C) of label maps (n, H, W), to compare with; no part of either way."""
    return np.stack([(labels == label).sum(axis=0) for label in range(classes)], axis=-1)


def pool_parts(draws: int) -> tuple[float, float]:
    """Seconds that a pixel's counting and its test take in one process, as the pool does them."""
    columns = np.random.default_rng(0).integers(0, 2, (_PARTS, SELECTION + draws))
    start = time.perf_counter()
    hits = [published.mode_and_hits(column, SELECTION, 2)[1] for column in columns]
    middle = time.perf_counter()
    for k in hits:
        published.pvalue(k, draws, TAU)
    return (middle - start) / _PARTS, (time.perf_counter() - middle) / _PARTS


if __name__ == "__main__":
    main("published", published_way)
