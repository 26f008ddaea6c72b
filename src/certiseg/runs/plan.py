"""`certiseg plan`: what a number of draws can certify, without drawing anything."""

from __future__ import annotations

import json
import math
import statistics
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError
from certiseg.files.folders import locked
from certiseg.noise import noise_record
from certiseg.report.figures import curves, need_matplotlib, write_figure
from certiseg.report.plan import plan_panel, plan_title
from certiseg.runs.output import write_text
from certiseg.studies.plan import LONGEST, Prospect, Request, likely_curves, pass_grid, prospects
from certiseg.table import Table

if TYPE_CHECKING:
    from certiseg.models.loaded import LoadedModel
    from certiseg.sampling.engine import Precision
    from certiseg.sampling.sampler import Smoothed

TIMED = 3
TIMED_DRAWS = 6
SHOWN = (100, 200, 500, 1000, 2000, 5000, 10_000)
"""Numbers of passes for which the terminal shows the curve."""

_FILES = ("plan.csv", "plan.png", "plan.svg", "plan.json")


@dataclass(frozen=True)
class Offer:
    """What a precision buys within the time: seconds of one draw here, number of draws, and what
    the requested variant certifies with them."""

    precision: Precision
    seconds: float
    prospect: Prospect


@dataclass(frozen=True)
class Plan:
    """rows: methods; shown: their curves at SHOWN passes. seconds: approximate duration of one pass
    of the model on a mid-grey input of this size; None without a model. offers: for a time budget,
    the best first."""

    request: Request
    rows: list[Prospect]
    shown: dict[str, list[float | None]]
    seconds: float | None
    offers: tuple[Offer, ...] = ()

    def record(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        asked = self.request
        return {
            "request": {
                **asdict(asked),
                "noise": noise_record(asked.noise),
                "radius": asked.noise.radius(asked.tau),
            },
            "rows": [asdict(row) for row in self.rows],
            "curve": {"passes": list(SHOWN), "probability": self.shown},
            "seconds_per_pass": self.seconds,
            "seconds": None if self.seconds is None else self.seconds * asked.passes,
            "offers": [asdict(offer) for offer in self.offers],
        }


def plan(
    request: Request,
    loaded: LoadedModel | None = None,
    out: Path | None = None,
    *,
    within: float | None = None,
    overwrite: bool = False,
    command: str = "",
) -> Plan:
    """All rows and curves; with a model, the time of a pass is measured.

    within: seconds for one input, for which draws and precision are advised. out: folder for
    plan.csv, plan.png, plan.svg and plan.json. Raises InputError before anything is computed or
    written.
    """
    if within is not None and not 0 < within < math.inf:
        raise InputError(f"expected --seconds above 0, got {within:g}; such as 5")
    if within is not None and loaded is None:
        raise InputError("expected --model with --seconds, got none; name the model to time")
    with ExitStack() as held:
        if out is not None:
            need_matplotlib()
            held.enter_context(locked(out, _FILES, overwrite))
        seconds = None if loaded is None else seconds_per_pass(request, loaded)
        found = () if within is None or loaded is None else offers(request, loaded, within)
        made = Plan(request, prospects(request), likely_curves(request, SHOWN), seconds, found)
        if out is not None:
            _write(made, out, command)
    return made


def seconds_per_pass(request: Request, loaded: LoadedModel) -> float:
    """Median time of three bare passes on a mid-grey image or volume, after one that warms up."""
    if len(request.size) == 1:
        raise InputError(
            f"expected an image or a volume to time a model on, got {request.size[0]} points; pass "
            "--size, or leave --model out"
        )
    smoothed, image = _timed_on(request, loaded, "float32")
    times = []
    for _ in range(TIMED):
        started = time.perf_counter()
        smoothed.predict_clean(image)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def offers(request: Request, loaded: LoadedModel, within: float) -> tuple[Offer, ...]:
    """What each precision certifies within so many seconds, the smallest certified probability
    first; draws are timed with their noise and counting."""
    from certiseg.runs.device import faster_in_bfloat16

    precisions: list[Precision] = ["float32"]
    if faster_in_bfloat16(loaded.model, "cpu"):
        precisions.append("bfloat16")
    found = []
    for precision in precisions:
        smoothed, image = _timed_on(request, loaded, precision)
        source = smoothed.source(image, seed=0)
        source.more(TIMED_DRAWS)
        times = []
        for _ in range(TIMED):
            started = time.perf_counter()
            source.more(TIMED_DRAWS)
            times.append((time.perf_counter() - started) / TIMED_DRAWS)
        seconds = statistics.median(times)
        draws = min(max(int(within / seconds), 1), LONGEST)
        asked = next(row for row in prospects(replace(request, passes=draws)) if row.asked)
        found.append(Offer(precision, seconds, asked))
    return tuple(sorted(found, key=lambda offer: (offer.prospect.likely or 2.0, offer.seconds)))


def _timed_on(
    request: Request, loaded: LoadedModel, precision: Precision
) -> tuple[Smoothed, NDArray[np.float32]]:
    """The smoothed model after a pass that warms up, and the mid-grey input of that pass."""
    # A plan without a model need not wait for torch.
    from certiseg.runs.model import channels_of, try_model
    from certiseg.runs.settings import Settings
    from certiseg.sampling.engine import Engine

    volume = len(request.size) == 3
    channels = loaded.channels or 1 if volume else channels_of(loaded)
    image = np.full((channels, *request.size), 0.5, dtype=np.float32)
    grid = request.grid if request.grid > 1 else None
    engine = Engine(precision=precision)
    settings = Settings(sigma=request.noise.sigma, grid=grid, engine=engine)
    smoothed = settings.smoothed(loaded, kind="volumes" if volume else "images")
    try_model(smoothed, image)
    return smoothed, image


def _write(made: Plan, out: Path, command: str) -> None:
    from certiseg.runs.environment import environment

    request = made.request
    first = min(row.n_min for row in made.rows)
    passes = pass_grid(first)
    dense = likely_curves(request, passes)
    write_text(out / "plan.csv", Table((), made.rows).csv())
    panel = plan_panel(dense, passes, request)
    write_figure(curves([panel], ", ".join(plan_title(request))), out / "plan")
    record = {
        **made.record(),
        "curve": {"passes": passes, "probability": dense},
        "made_with": environment(command, None),
    }
    write_text(out / "plan.json", json.dumps(record, indent=1) + "\n")
