"""The paper's tables of pictures, and beside them what this library makes of the same draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from certiseg.datasets.card import IGNORE, Card, Sample, Samples, note_of
from certiseg.datasets.subset import even_stride
from certiseg.errors import InputError
from certiseg.folders import locked
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve, radius_grid
from certiseg.metrics.records import counts_record
from certiseg.models.loaded import LoadedModel
from certiseg.report.reproduction.pictures import Line
from certiseg.rounding import exact
from certiseg.runfolder.comparison import BASE_CLEAN, BASE_NOISE, NON_ROBUST
from certiseg.runs.check import Checked
from certiseg.runs.environment import environment
from certiseg.runs.executors import job
from certiseg.runs.model import check_classes, try_model
from certiseg.runs.progress import RunBar
from certiseg.runs.reproduction.cells import Cell, Cells
from certiseg.runs.reproduction.drawn import Drawn
from certiseg.runs.reproduction.grid import PAPER, RADIUS_MAP, Grid, words
from certiseg.runs.reproduction.lines import Held, certified_lines, shared_noise_lines
from certiseg.runs.reproduction.pooled import Pooled, identity
from certiseg.runs.reproduction.reference import falsity
from certiseg.runs.reproduction.scales import at_scales
from certiseg.runs.reproduction.shared_noise import SharedNoise
from certiseg.runs.reproduction.write import write_tables
from certiseg.runs.settings import Settings
from certiseg.sampling.fingerprint import model_fingerprint
from certiseg.sampling.keys import resolve_seed
from certiseg.sampling.sampler import Smoothed
from certiseg.votes import VoteCounts


@dataclass(frozen=True)
class Extras:
    """What a table has beside the paper's.

    shared_batches: emulate the published code, so many draws sharing one noise (UNSOUND).
    reference_draws: further draws of ``reference_pictures`` pictures, at an even stride, by which
    false certificates are counted; 0 for none. keep_votes: of every cell, as npz.
    """

    shared_batches: tuple[int, ...] = ()
    reference_draws: int = 0
    reference_pictures: int = 4
    keep_votes: bool = False

    def check(self, grid: Grid) -> None:
        """Raise InputError for what makes no sense with this grid."""
        if self.shared_batches and PAPER not in grid.methods:
            raise InputError(
                f"expected --methods with {PAPER!r} for --emulate shared-noise, got "
                f"{', '.join(grid.methods)}; the published code has the paper's two stages alone, "
                "and no other method is emulated"
            )
        for batch in self.shared_batches:
            SharedNoise(batch, 1, 1, 1)  # refuses a bad one
        for option, value, lowest in (
            ("--reference-draws", self.reference_draws, 0),
            ("--reference-pictures", self.reference_pictures, 1),
        ):
            if value < lowest:
                raise InputError(f"expected {option} of at least {lowest}, got {value}; raise it")


def reproduce(
    grid: Grid,
    samples: Samples,
    models: Mapping[float, LoadedModel],
    out: Path,
    *,
    non_robust: LoadedModel | None = None,
    extras: Extras | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    overwrite: bool = False,
    command: str = "",
    progress: bool = False,
) -> Pooled:
    """Run the grid on every picture; returns the pooled lines.

    models: for each sigma. Each picture is drawn once at each scale and sigma; every line looks at
    these draws, and the claim of each holds on its own. Writes run.json, one record a cell, and
    after each picture table.md, table.csv, table.tex and results.json anew; figures at the end.
    A run that was interrupted goes on from its records. Everything is checked before the first
    draw. Raises InputError.
    """
    extras = extras or Extras()
    extras.check(grid)
    table = _Table(grid, samples, models, non_robust, extras, seed, batch_size, device)
    checked = table.check()
    names = [found.name for found in checked]
    fixed = table.fixed(checked)
    planned = [table.row(number, name) for number, name in enumerate(names)]
    cells, whole = Cells(out), Pooled()
    with locked(out):
        cells.open(fixed, [cell for row in planned for cell, *_ in row], overwrite=overwrite)
        made_with = environment(command, device)
        about = {"run": cells.run, **fixed, "thinned": note_of(samples), "made_with": made_with}
        earlier = sum(cell in cells for row in planned for cell, *_ in row)
        total = len(planned) * len(table.places)
        with RunBar(progress, total, table.grid.draws, earlier, what="cells") as bar:
            for number, row in enumerate(planned):
                sample: Sample | None = None
                for cell, scales, sigma in row:
                    record = cells.get(cell)
                    if record is None:
                        sample = samples[number] if sample is None else sample
                        record, parts = table.cell(number, sample, scales, sigma, bar.draws)
                        if extras.keep_votes:
                            cells.keep_votes(cell, parts)
                        cells.put(cell, record)
                        bar.finish()
                    whole.add(record)
                write_tables(out, whole, about, number + 1, last=number + 1 == len(names))
    return whole


class _Table:
    """What a run has in hand: models at their scales, under their noise."""

    def __init__(
        self,
        grid: Grid,
        samples: Samples,
        models: Mapping[float, LoadedModel],
        non_robust: LoadedModel | None,
        extras: Extras,
        seed: int | None,
        batch_size: int | None,
        device: str | None,
    ) -> None:
        self.grid, self.samples, self.extras = grid, samples, extras
        self._seed, self._batch_size = seed, batch_size
        self._models, self._non_robust = models, non_robust
        self.places = [(scales, sigma) for scales in grid.scales for sigma in grid.sigmas]
        settings = Settings(seed=seed, batch_size=batch_size, device=device)
        settings.check_options()
        self._smoothed = {
            (scales, sigma): replace(settings, sigma=sigma).smoothed(
                at_scales(models[sigma], scales, grid.base_size)
            )
            for scales, sigma in self.places
        }
        self._plain: dict[Any, Smoothed] = (
            {}
            if non_robust is None
            else {
                s: settings.smoothed(at_scales(non_robust, s, grid.base_size)) for s in grid.scales
            }
        )
        chosen = min(extras.reference_pictures, len(samples))
        self._referenced = set(even_stride(len(samples), chosen)) if len(samples) else set()

    def row(self, number: int, name: str) -> list[tuple[Cell, tuple[float, ...], float]]:
        """The cells of a picture, each with its scales and sigma."""
        return [(Cell(number, name, words(s), sigma), s, sigma) for s, sigma in self.places]

    def check(self) -> list[Checked]:
        """Raise InputError for whatever would stop the run later: reads every picture, and passes
        one of each size through each model. Returns the pictures' names and digests."""
        if not len(self.samples):
            raise InputError("expected at least one picture, got none; check the folder")
        if self.samples.card.kind != "pictures":
            raise InputError("expected pictures, got point clouds; reproduce shapenet is for them")
        tried: set[tuple[int, ...]] = set()
        checked = []
        for index in range(len(self.samples)):
            sample = self.samples[index]
            checked.append(Checked.of(sample))
            if sample.x.shape in tried:
                continue
            tried.add(sample.x.shape)
            self.grid.check(sample.labels.size)
            for smoothed in [*self._smoothed.values(), *self._plain.values()]:
                try_model(smoothed, sample.x)
                check_classes(smoothed, self.samples.card)
        return checked

    def fixed(self, checked: Sequence[Checked]) -> dict[str, Any]:
        """What is fixed before the first draw."""
        return {
            "grid": asdict(self.grid),
            "extras": asdict(self.extras),
            "models": {f"{exact(sigma)}": _known(model) for sigma, model in self._models.items()},
            "non_robust": None if self._non_robust is None else _known(self._non_robust),
            "data": self.samples.card.name,
            "classes": list(self.samples.card.classes),
            "seed": self._seed,
            "unsound": bool(self.extras.shared_batches),
            "pictures": [found.name for found in checked],
            "contents": [found.digest for found in checked],
        }

    def cell(
        self,
        number: int,
        sample: Sample,
        scales: tuple[float, ...],
        sigma: float,
        advance: Callable[[int], None],
    ) -> tuple[dict[str, Any], list[VoteCounts]]:
        """Draw one picture at one scale and sigma; returns its record, and the votes by stage."""
        grid, scale = self.grid, words(scales)
        smoothed = self._smoothed[scales, sigma]
        card, noise = self.samples.card, smoothed.noise
        seed, origin = resolve_seed(self._seed)
        vote = partial(smoothed.vote, sample.x, batch_size=self._batch_size, seed=seed)
        held = self._base(sample, scales, sigma, smoothed, seed)
        assert smoothed.num_classes is not None
        shared = [
            SharedNoise(batch, grid.selection, tested, smoothed.num_classes)
            for batch in self.extras.shared_batches
            for tested in dict.fromkeys(point.num_samples for point in grid.points)
        ]

        def watch(labels: Any) -> None:
            for emulated in shared:
                emulated.watch(labels)

        parts: list[VoteCounts] = []
        seconds: list[float] = []
        for stop in grid.ends(sample.labels.size):
            first = sum(part.trials for part in parts)
            started = time.perf_counter()
            parts.append(
                vote(
                    stop - first,
                    first_draw=first,
                    progress=advance,
                    watch=watch if shared else None,
                )
            )
            seconds.append(time.perf_counter() - started)
        drawn = Drawn(parts, seconds)
        held += certified_lines(grid, drawn, noise, scale)
        held += shared_noise_lines(grid, shared, drawn, noise, scale)
        reference = None
        if self.extras.reference_draws and number in self._referenced:
            # Draws that no line has looked at.
            reference = vote(self.extras.reference_draws, first_draw=grid.draws, progress=advance)
        record = {
            "number": number,
            "name": sample.name,
            "scale": scale,
            "sigma": sigma,
            "seed": str(seed),
            "seed_origin": origin,
            "lines": [_line_record(part, sample, card, reference) for part in held],
            "curve": _curve(grid, held, sample, card, sigma),
        }
        stages = [0, grid.selection, *sorted({grid.selection + p.num_samples for p in grid.points})]
        votes = [drawn.between(*pair) for pair in pairwise(stages)]
        return record, votes if self.extras.keep_votes else []

    def _base(
        self,
        sample: Sample,
        scales: tuple[float, ...],
        sigma: float,
        smoothed: Smoothed,
        seed: int,
    ) -> list[Held]:
        """The models without a certificate; the non-robust one once a scale."""
        scale = words(scales)
        calls: list[tuple[Line, int, Callable[[], Any]]] = [
            (Line(scale, BASE_CLEAN, sigma), 0, lambda: smoothed.predict_clean(sample.x)),
            (Line(scale, BASE_NOISE, sigma), 1, lambda: smoothed.predict_once(sample.x, seed=seed)),
        ]
        plain = self._plain.get(scales)
        if plain is not None and sigma == self.grid.sigmas[0]:
            line = Line(scale, NON_ROBUST)
            calls.insert(0, (line, 0, lambda: plain.predict_clean(sample.x)))
        held = []
        for line, draws, predict in calls:
            started = time.perf_counter()
            labels = predict()
            held.append(Held(line, labels, time.perf_counter() - started, draws))
        return held


def _known(loaded: LoadedModel) -> dict[str, Any]:
    """Name and fingerprint; none of what a fingerprint does not see, which may change with the
    process, unless it is known what made it."""
    lasting = loaded.origin is not None or not model_fingerprint(loaded.model).not_covered
    return {"name": loaded.name, "fingerprint": job.identity(loaded) if lasting else None}


def _line_record(
    held: Held, sample: Sample, card: Card, reference: VoteCounts | None
) -> dict[str, Any]:
    confusion = Confusion.count(
        sample.labels, held.labels, card.num_classes, IGNORE, allowed=held.allowed
    )
    false = None
    if reference is not None and held.every:
        assert held.line.tau is not None
        false = asdict(falsity(held.labels, reference, held.line.tau))
    return {
        "line": identity(held.line),
        "confusion": counts_record(confusion),
        "draws": held.draws,
        "seconds": round(held.seconds, 4),
        "false": false,
    }


def _curve(
    grid: Grid, held: Sequence[Held], sample: Sample, card: Card, sigma: float
) -> dict[str, Any] | None:
    """Of the radius map of most draws at the largest alpha."""
    if RADIUS_MAP not in grid.methods:
        return None
    most = max(point.num_samples for point in grid.points)
    for part in held:
        made = part.certificate
        if made is None or made.method != "radius_map" or made.alpha != max(grid.alphas):
            continue
        if made.votes.trials == grid.selection + most:
            return counts_record(
                RadiusCurve.count(
                    sample.labels,
                    made.labels,
                    card.num_classes,
                    radius=made.radius,
                    grid=radius_grid(3 * sigma, 61),
                    ignore_index=IGNORE,
                )
            )
    return None
