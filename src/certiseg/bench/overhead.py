"""What does counting votes cost beyond the forward passes?

Time of ``Smoothed.vote(x, n)`` divided by that of n forward passes of the same model, in batches of
the size that ``vote`` chose, on prepared noisy batches whose output is discarded. Both in wall time
and in CPU time of all threads; CPU time is the figure to read on a shared machine, and is not
reported on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from certiseg.bench.result import Goal, Result, Row, timing_environment
from certiseg.bench.subject import CAMVID, NOISE, Options, Subject, subject
from certiseg.bench.timing import Spread, Times, bare, interleaved, passes_of, ready_batch
from certiseg.sampling.sampler import Smoothed

GOALS = {"cpu": 1.05, "cuda": 1.03}


def overhead(options: Options) -> Result:
    """One row per model: those of the options, or the bundled CamVid network."""
    subjects = [subject(spec, options) for spec in options.models or (CAMVID,)]
    rows, goals = zip(*(_measured(about, options) for about in subjects), strict=True)
    return Result(
        "overhead",
        "What does counting votes cost beyond the forward passes themselves?",
        rows,
        timing_environment(options.command, options.on()),
        {
            "noise": NOISE.describe(),
            "engine": asdict(options.engine),
            "parameters": {about.name: about.parameters for about in subjects},
            "seed": options.seed,
            "turns": options.turns,
        },
        goals,
        ("ratio: vote(n) over n bare passes, within each turn.",),
    )


def _measured(about: Subject, options: Options) -> tuple[Row, Goal]:
    smooth, x, draws, device = about.smoothed(), about.x, about.draws, about.device
    size = picked_batch(smooth, x, draws)
    voted, passed = timed(
        partial(smooth.vote, x, draws, seed=options.seed),
        passes_of(about.model, about.engine),
        ready_batch(x, NOISE.sigma, size, options.seed),
        draws,
        options.turns,
        name=f"overhead, {about.name}",
        progress=options.progress,
    )
    ratio = Spread.ratio(voted.wall, passed.wall)
    row: Row = {
        "model": about.name,
        "input": " x ".join(map(str, x.shape)),
        "n": draws,
        "batch": size,
        "bare pass (ms)": Spread.of([1e3 * s / draws for s in passed.wall]),
        "vote (ms a draw)": Spread.of([1e3 * s / draws for s in voted.wall]),
        "ratio": ratio,
        "in CPU time": Spread.ratio(voted.cpu, passed.cpu) if device.type == "cpu" else None,
    }
    limit = GOALS.get(device.type, GOALS["cpu"])
    return row, Goal(f"ratio, {about.name}", ratio.median, limit)


def timed(
    vote: Callable[[], object],
    model: Callable[[Tensor], Any],
    batch: Tensor,
    draws: int,
    turns: int,
    *,
    name: str = "overhead",
    progress: bool = False,
) -> tuple[Times, Times]:
    """Times of voting (already warmed up) and of as many passes of the batch."""
    passes = partial(bare, model, batch, draws)
    passes()
    sides: dict[str, Callable[[], object]] = {"vote": vote, "bare": passes}
    times = interleaved(sides, turns, device=batch.device, name=name, progress=progress)
    return times["vote"], times["bare"]


def picked_batch(smooth: Smoothed, x: Tensor, draws: int) -> int:
    """The largest batch size that ``vote`` chooses for this number of draws. Also warms up."""
    sizes: list[int] = []

    def watch(labels: NDArray[np.int64]) -> None:
        sizes.append(len(labels))

    smooth.vote(x, draws, seed=0, watch=watch)
    return max(sizes)
