"""One cell of a table: a sample at one scale and sigma, drawn once for all rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

from certiseg.datasets.card import IGNORE, Card, Sample
from certiseg.errors import InputError
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve, radius_grid
from certiseg.metrics.records import counts_record
from certiseg.models.loaded import LoadedModel
from certiseg.models.scales import Scales
from certiseg.report.reproduction.tables import PictureRow
from certiseg.runfolder.cells import votes_content
from certiseg.runfolder.comparison import BASE_NOISE, NON_ROBUST
from certiseg.runs.executors.executor import Job, Progress
from certiseg.runs.experiment import Finished, baseline_predictions
from certiseg.runs.reproduction.grid import PAPER, RADIUS_MAP, Grid, words
from certiseg.runs.reproduction.lines import (
    RowResult,
    SharedDraws,
    certified_rows,
    shared_noise_rows,
)
from certiseg.runs.reproduction.pooled import identity
from certiseg.runs.reproduction.reference import falsity
from certiseg.runs.reproduction.shared_noise import SharedNoise
from certiseg.runs.settings import Settings
from certiseg.runs.smoothing import ByCategory
from certiseg.sampling.keys import resolve_seed
from certiseg.votes import VoteCounts


@dataclass(frozen=True)
class Extras:
    """Additions of a table to the paper's.

    shared_batches: emulate the published code, where each batch of this many draws shares one noise
    (UNSOUND). reference_draws: further draws for ``reference_images`` samples (an even stride) that
    estimate false certificates; 0 for none. keep_votes: write the votes of every cell as npz.
    """

    shared_batches: tuple[int, ...] = ()
    reference_draws: int = 0
    reference_images: int = 4
    keep_votes: bool = False

    def check(self, grid: Grid) -> None:
        """Raise InputError for options that do not fit this grid."""
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
            ("--reference-images", self.reference_images, 1),
        ):
            if value < lowest:
                raise InputError(f"expected {option} of at least {lowest}, got {value}; raise it")


@dataclass(frozen=True)
class CellTask:
    """A sample at these scales and this sigma. cell: number of the cell in the table; number: of
    the sample. reference: count false certificates by further draws."""

    cell: int
    number: int
    sample: Sample
    scales: tuple[float, ...]
    sigma: float
    reference: bool

    @property
    def name(self) -> str:
        return self.sample.name

    @property
    def key(self) -> int:
        return self.cell


@dataclass(frozen=True)
class CellJob(Job):
    """All cells of a table. models: by sigma, and optionally "non-robust". settings: seed, batch
    size, device."""

    grid: Grid
    extras: Extras
    settings: Settings
    card: Card

    def smoothed(self, scales: tuple[float, ...], sigma: float) -> ByCategory:
        """The model for this sigma at these scales, with its noise."""
        settings = replace(self.settings, sigma=sigma, law=self.grid.law)
        return ByCategory(at_scales(self.models[f"{sigma}"], scales, self.grid.base_size), settings)

    def non_robust(self, scales: tuple[float, ...], sigma: float) -> ByCategory | None:
        """The model trained without noise; at the first sigma only, since its rows do not depend on
        sigma."""
        loaded = self.models.get("non-robust")
        if loaded is None or sigma != self.grid.sigmas[0]:
            return None
        settings = replace(self.settings, sigma=sigma, law=self.grid.law)
        return ByCategory(at_scales(loaded, scales, self.grid.base_size), settings)

    def worker(self) -> CellWorker:
        return CellWorker(self)


class CellWorker:
    """Computes cells of a table."""

    def __init__(self, job: CellJob) -> None:
        self._job = job
        places = [(scales, sigma) for scales in job.grid.scales for sigma in job.grid.sigmas]
        self._models = {place: job.smoothed(*place) for place in places}
        self._plain = {place: job.non_robust(*place) for place in places}

    def do(self, task: CellTask, advance: Progress) -> Finished:
        """Draw the sample and compute all its rows. Returns their record, and the votes by
        stage."""
        job, sample, sigma = self._job, task.sample, task.sigma
        grid, extras, place = job.grid, job.extras, (task.scales, sigma)
        smoothed, plain = self._models[place].of(sample), self._plain[place]
        scale, noise = words(task.scales), smoothed.noise
        seed, origin = resolve_seed(job.settings.seed)
        baselines = baseline_predictions(
            sample, smoothed, None if plain is None else plain.of(sample), seed
        )
        results = [
            RowResult(
                PictureRow(scale, name, None if name == NON_ROBUST else sigma),
                found.labels,
                found.seconds,
                int(name == BASE_NOISE),
            )
            for name, found in baselines.items()
        ]
        assert smoothed.num_classes is not None
        shared = [
            SharedNoise(batch, grid.selection, tested, smoothed.num_classes)
            for batch in extras.shared_batches
            for tested in dict.fromkeys(point.num_samples for point in grid.points)
        ]

        def watch(labels: Any) -> None:
            for emulated in shared:
                emulated.watch(labels)

        vote = partial(
            smoothed.vote, sample.x, batch_size=job.settings.batch_size, seed=seed, progress=advance
        )
        parts: list[VoteCounts] = []
        seconds: list[float] = []
        for start, stop in pairwise([0, *grid.ends(sample.labels.size)]):
            started = time.perf_counter()
            parts.append(vote(stop - start, first_draw=start, watch=watch if shared else None))
            seconds.append(time.perf_counter() - started)
        draws = SharedDraws(parts, seconds)
        results += certified_rows(grid, draws, noise, scale)
        results += shared_noise_rows(grid, shared, draws, noise, scale)
        reference = None
        if task.reference:
            # Draws that no certificate has used.
            reference = vote(extras.reference_draws, first_draw=grid.draws)
        record = {
            "number": task.number,
            "name": sample.name,
            "scale": scale,
            "sigma": sigma,
            "seed": str(seed),
            "seed_origin": origin,
            "lines": [_row_record(result, sample, job.card, reference) for result in results],
            "curve": _curve(grid, results, sample, job.card, sigma),
            **({} if sample.category is None else {"category": sample.category}),
        }
        stages = [0, grid.selection, *sorted({grid.selection + p.num_samples for p in grid.points})]
        votes = [draws.between(*pair) for pair in pairwise(stages)]
        return Finished(record, (votes_content(votes) if extras.keep_votes else None,))


def at_scales(
    loaded: LoadedModel, scales: tuple[float, ...], base_size: int | None = None
) -> LoadedModel:
    """The model at these scales, as in the paper: noise is added at the image's size, then the
    input is resized, labelled, and the result resized back. A single scale of 1 without a base size
    is the model itself.

    base_size: length in pixels of the image's longer side at scale 1, as in the published code;
    None: the image's size.
    """
    if scales == (1.0,) and base_size is None:
        return loaded
    model = Scales(loaded.model, scales, base_size=base_size)
    return replace(loaded, name=f"{loaded.name} {model.describe()}", model=model)


def _row_record(
    result: RowResult, sample: Sample, card: Card, reference: VoteCounts | None
) -> dict[str, Any]:
    confusion = Confusion.count(
        sample.labels, result.labels, card.num_classes, IGNORE, allowed=result.allowed
    )
    false = None
    if reference is not None and result.every:
        assert result.row.tau is not None
        false = asdict(falsity(result.labels, reference, result.row.tau))
    return {
        "line": identity(result.row),
        "confusion": counts_record(confusion),
        "draws": result.draws,
        "seconds": round(result.seconds, 4),
        "false": false,
    }


def _curve(
    grid: Grid, results: Sequence[RowResult], sample: Sample, card: Card, sigma: float
) -> dict[str, Any] | None:
    """Radius curve of the radius map with most draws at the largest alpha."""
    if RADIUS_MAP not in grid.methods:
        return None
    for result in results:
        certificate = result.certificate
        if (
            certificate is None
            or certificate.method != "radius_map"
            or certificate.alpha != max(grid.alphas)
        ):
            continue
        if certificate.votes.trials == grid.draws:
            return counts_record(
                RadiusCurve.count(
                    sample.labels,
                    certificate.labels,
                    card.num_classes,
                    radius=certificate.radius,
                    grid=radius_grid(3 * sigma, 61),
                    ignore_index=IGNORE,
                )
            )
    return None
