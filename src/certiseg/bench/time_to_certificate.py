"""How much of an image is certified after how many seconds?

One curve for each way to run the model: as it is, in bfloat16 where the processor has it, and on a
grid of cells. A model that ``certiseg quantize`` wrote is a further ``--model``. Seconds run from
the image to the certificate; loading and a warm-up are not included.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
from torch import Tensor

from certiseg.bench.result import Result, Row, timing_environment
from certiseg.bench.subject import CAMVID, NOISE, Options, Subject, subject
from certiseg.bench.timing import Spread, wait
from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.segcertify import certify
from certiseg.errors import InputError
from certiseg.models.grid import OnGrid
from certiseg.report.figures import Line, Panel, curves, figure_bytes
from certiseg.runs.device import faster_in_bfloat16
from certiseg.runs.parameters import DEFAULTS
from certiseg.runs.progress import steps
from certiseg.sampling.sampler import Smoothed
from certiseg.stats.pvalues import min_trials
from certiseg.votes import ABSTAIN

GRID = 4
"""Side of the cells in pixels (theory T14)."""
SECONDS = "seconds from the image to its certificate"
_POINTS = 6
_DRAWS = 200


def time_to_certificate(options: Options) -> Result:
    """Rows by way and number of draws; a chart if Matplotlib is installed."""
    subjects = [subject(spec, options) for spec in options.models or (CAMVID,)]
    sides = {name: (one, about.x) for about in subjects for name, one in ways(about).items()}
    numbers = draws_shown(subjects[0].x[0].numel(), options.num_samples or _DRAWS)
    for smooth, x in sides.values():
        smooth.vote(x, 2, seed=options.seed)
    spent: dict[str, list[Sequence[float]]] = {name: [] for name in sides}
    shares: dict[str, list[float]] = {}
    turns = range(options.turns)
    for turn in steps(turns, options.turns, "turns", show=options.progress):
        for name in list(sides)[:: -1 if turn % 2 else 1]:
            smooth, x = sides[name]
            made = certified_after(smooth, x, numbers, options.seed)
            spent[name].append([seconds for seconds, _ in made])
            shares[name] = [float(np.mean(one.full_size() != ABSTAIN)) for _, one in made]
    rows: list[Row] = [
        {
            "way": name,
            "n": draws,
            "seconds": Spread.of([turn[place] for turn in spent[name]]),
            "certified (%)": 100 * shares[name][place],
        }
        for name in sides
        for place, draws in enumerate(numbers)
    ]
    found = {
        name: ([statistics.median(column) for column in zip(*turned, strict=True)], shares[name])
        for name, turned in spent.items()
    }
    drawn = find_spec("matplotlib") is not None
    return Result(
        "time-to-certificate",
        "How much of an image is certified after how many seconds?",
        rows,
        timing_environment(options.command, options.on()),
        {
            "image": None if options.image is None else options.image.name,
            "input": list(subjects[0].x.shape),
            "noise": NOISE.describe(),
            "tau": DEFAULTS.tau,
            "alpha": DEFAULTS.alpha,
            "seed": options.seed,
            "turns": options.turns,
        },
        notes=(
            "each way is a base model of its own; a larger share certified does not say that the "
            "labels are right (certiseg evaluate does).",
            *([] if drawn else ["no chart without Matplotlib: pip install 'certiseg[report]'"]),
        ),
        figures=chart(found, "certified share") if drawn else (),
    )


def ways(about: Subject) -> dict[str, Smoothed]:
    """The smoothed models that are compared, by name."""
    found = {about.name: about.smoothed()}
    plain = about.engine.precision == "float32"
    if plain and faster_in_bfloat16(about.model, about.device.type):
        engine = replace(about.engine, precision="bfloat16")
        found[f"{about.name}, bfloat16"] = replace(about, engine=engine).smoothed()
    cells = Smoothed(
        OnGrid(about.model, GRID),
        NOISE,
        about.classes,
        device=about.device,
        engine=about.engine,
        output_grid=True,
    )
    # Labels and binary outputs at full size have no average over a cell.
    with suppress(InputError):
        cells.predict_clean(about.x)
        found[f"{about.name}, grid {GRID}"] = cells
    return found


def draws_shown(components: int, most: int) -> list[int]:
    """Numbers of draws on a logarithmic axis, from the first that can certify to `most`."""
    least = min_trials(components, tau=DEFAULTS.tau, alpha=DEFAULTS.alpha)
    if most < least:
        raise InputError(
            f"expected -n {least} or more, with which {components} pixels can be certified, got "
            f"{most}; raise it"
        )
    return [*map(int, np.unique(np.geomspace(least, most, _POINTS).round()))]


def certified_after(
    smooth: Smoothed,
    x: Tensor,
    numbers: Sequence[int],
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[tuple[float, Certificate]]:
    """Seconds to the certificate from each number of draws (increasing), and the certificate.

    Draws are made once, and each certificate takes those that are there. Its seconds are those of
    all draws so far and of its own tests.
    """
    source, found, votes, drawing = smooth.source(x, seed=seed), [], None, 0.0
    for draws in numbers:
        start = clock()
        more = source.more(draws - (0 if votes is None else votes.trials))
        votes = more if votes is None else votes + more
        wait(x.device)
        drawn = clock()
        drawing += drawn - start
        made = certify(votes, noise=NOISE, tau=DEFAULTS.tau, alpha=DEFAULTS.alpha)
        found.append((drawing + clock() - drawn, made))
    return found


def chart(
    found: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    y_label: str,
    x_label: str = SECONDS,
) -> list[tuple[str, bytes]]:
    """The figures of a result: by way, its seconds and the shares certified after them."""
    lines = [Line(name, x, y, style) for style, (name, (x, y)) in enumerate(found.items())]
    lowest = math.floor(10 * min(min(line.y) for line in lines)) / 10
    figure = curves([Panel("", lines, x_label, y_label, (lowest, 1))])
    return [(f".{kind}", figure_bytes(figure, kind)) for kind in ("png", "svg")]
