"""What does counting votes cost beyond the forward passes themselves?

Time of ``Smoothed.vote(x, n)``, as one calls it, over that of n bare forward passes of the same
model in batches of the size that ``vote`` picked. The passes get ready-made noisy batches, and
what they return is thrown away. In turn in one process. By the clock, and in CPU time of all
threads (the figure to read on a machine that others use too; on a GPU it says nothing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from certiseg.bench.hardware import made_with
from certiseg.bench.options import Options
from certiseg.bench.passes import bare, passes_of, picked_batch, ready_batch
from certiseg.bench.result import Goal, Result, Row
from certiseg.bench.subjects import CAMVID, NOISE, Subject, subject
from certiseg.bench.turns import Spread, in_turn

GOALS = {"cpu": 1.05, "cuda": 1.03}
_VOTE, _BARE = "vote", "bare"


def overhead(options: Options) -> Result:
    """One row a model: those of the options, or the shipped CamVid network."""
    device = options.on()
    subjects = [subject(spec, options) for spec in options.models or (CAMVID,)]
    rows, goals = zip(*(_measured(about, options) for about in subjects), strict=True)
    return Result(
        "overhead",
        "What does counting votes cost beyond the forward passes themselves?",
        rows,
        made_with(options.command, device),
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
    smooth, x, draws = about.smoothed(), about.x, about.draws
    size = picked_batch(smooth, x, draws)
    batch = ready_batch(x, NOISE.sigma, size, options.seed)
    model = passes_of(about.model, about.engine)
    bare(model, batch, draws)
    sides: dict[str, Callable[[], object]] = {
        _VOTE: partial(smooth.vote, x, draws, seed=options.seed),
        _BARE: partial(bare, model, batch, draws),
    }
    times = in_turn(
        sides,
        options.turns,
        device=about.device,
        name=f"overhead, {about.name}",
        progress=options.progress,
    )
    voted, passed = times[_VOTE], times[_BARE]
    ratio = Spread.ratio(voted.wall, passed.wall)
    row: Row = {
        "model": f"{about.name} ({about.note})" if about.note else about.name,
        "input": " x ".join(map(str, x.shape)),
        "n": draws,
        "batch": size,
        "bare pass (ms)": Spread.of([1e3 * s / draws for s in passed.wall]),
        "vote (ms a draw)": Spread.of([1e3 * s / draws for s in voted.wall]),
        "ratio": ratio,
        "in CPU time": Spread.ratio(voted.cpu, passed.cpu) if about.device.type == "cpu" else None,
    }
    limit = GOALS.get(about.device.type, GOALS["cpu"])
    return row, Goal(f"ratio, {about.name}", ratio.median, limit)
