"""Tasks of an evaluation: one sample, or a range of its draws whose votes are added up."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.storage import content_of
from certiseg.datasets.card import Card, Sample
from certiseg.runfolder.metrics import certified_record, model_record
from certiseg.runfolder.view import view_content
from certiseg.runs.attacked import Attacks, attacked_records
from certiseg.runs.executors.executor import Job, Progress
from certiseg.runs.experiment import Finished, Prediction, baseline_predictions
from certiseg.runs.percentiles import DrawnScalars
from certiseg.runs.settings import Settings
from certiseg.runs.smoothing import ByCategory
from certiseg.sampling.batching import SMALL
from certiseg.votes import VoteCounts

LARGE = 2**20
"""Number of components from which the draws of every sample are divided among tasks, so that a lost
worker costs little and none waits long for the last sample."""
_FEWEST = 10
"""Smallest number of draws per task: each task begins with an extra pass that measures memory."""


@dataclass(frozen=True)
class SampleTask:
    """A sample, or some of its draws. view, certificate: which of its files to keep.

    draws: half-open range of the testing draws, if the sample is divided among tasks; the task
    whose range begins at 0 also makes the selection draws and the baseline predictions.
    """

    number: int
    sample: Sample
    view: bool = False
    certificate: bool = False
    draws: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return self.sample.name

    @property
    def key(self) -> tuple[int, tuple[int, int] | None]:
        return self.number, self.draws


@dataclass(frozen=True)
class Baselines:
    """Predictions of models without a certificate, by name of their row; and the view as a file, if
    it is kept."""

    predictions: Mapping[str, Prediction]
    view: bytes | None


@dataclass(frozen=True)
class PartialVotes:
    """Votes for a range of draws. chosen, baselines: only in the first range."""

    votes: VoteCounts
    chosen: VoteCounts | None
    baselines: Baselines | None
    seconds: float

    def __add__(self, other: PartialVotes) -> PartialVotes:
        return PartialVotes(
            self.votes + other.votes,
            self.chosen or other.chosen,
            self.baselines or other.baselines,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class SampleJob(Job):
    """An evaluation: settings with the run's seed, and the card of the samples. models: "base" and
    optionally "non-robust", by role. attacks: on every sample, or None."""

    settings: Settings
    card: Card
    percentile: bool = False
    attacks: Attacks | None = None

    def worker(self) -> SampleWorker:
        return SampleWorker(self)


class SampleWorker:
    """Certifies samples of an evaluation, or draws ranges of their votes."""

    def __init__(self, job: SampleJob) -> None:
        self._job = job
        self._models = {k: ByCategory(m, job.settings) for k, m in job.models.items()}

    def do(self, task: SampleTask, advance: Progress) -> Finished | PartialVotes:
        """The record of a sample, or the votes of a range of its draws."""
        return self._sample(task, advance) if task.draws is None else self._draws(task, advance)

    def _sample(self, task: SampleTask, advance: Progress) -> Finished:
        job, sample = self._job, task.sample
        baselines = self._baselines(task)
        scalars = DrawnScalars(sample.labels, job.card.num_classes) if job.percentile else None
        started = time.perf_counter()
        certificate = job.settings.certify(
            self._models["base"].of(sample),
            sample.x,
            progress=advance,
            watch=None if scalars is None else scalars.watch,
        )
        seconds = time.perf_counter() - started
        bounds = None if scalars is None else scalars.bounds(job.settings, certificate.eta)
        attacked = None
        if job.attacks is not None:
            models = {role: model.of(sample) for role, model in self._models.items()}
            attacked = attacked_records(
                sample,
                models,
                baselines.predictions,
                certificate,
                job.attacks,
                job.settings,
                job.card.num_classes,
                advance,
            )
        return finish(job, task, baselines, certificate, seconds, bounds, attacked)

    def _draws(self, task: SampleTask, advance: Progress) -> PartialVotes:
        assert task.draws is not None
        settings, sample = self._job.settings, task.sample
        start, stop = task.draws
        first = settings.choosing_draws
        baselines = self._baselines(task) if start == 0 else None
        started = time.perf_counter()
        vote = self._models["base"].of(sample).vote
        drawing: dict[str, Any] = {
            "batch_size": settings.batch_size,
            "seed": settings.seed,
            "progress": advance,
        }
        chosen = vote(sample.x, first, **drawing) if start == 0 and first else None
        votes = vote(sample.x, stop - start, first_draw=first + start, **drawing)
        return PartialVotes(votes, chosen, baselines, time.perf_counter() - started)

    def _baselines(self, task: SampleTask) -> Baselines:
        sample, seed = task.sample, self._job.settings.seed
        smoothed, plain = self._models["base"].of(sample), self._models.get("non-robust")
        found = baseline_predictions(
            sample, smoothed, None if plain is None else plain.of(sample), seed
        )
        if not task.view:
            return Baselines(found, None)
        # The same draw as the base model's prediction.
        noisy = smoothed.noisy(sample.x, seed=seed).cpu().numpy()
        labels = {name: prediction.labels for name, prediction in found.items()}
        return Baselines(found, view_content(sample, noisy, labels))


def finish(
    job: SampleJob,
    task: SampleTask,
    baselines: Baselines,
    certificate: Certificate,
    seconds: float,
    percentile: dict[str, Any] | None = None,
    attacks: list[dict[str, Any]] | None = None,
) -> Finished:
    """The record of the sample, and its kept files. seconds: spent on its certificate."""
    settings, truth, classes = job.settings, task.sample.labels, job.card.num_classes
    source, view = certificate.votes.source, baselines.view
    assert source is not None
    record = {
        "name": task.sample.name,
        "seed": source.seed,
        "model": source.model,
        "view": None if view is None else hashlib.sha256(view).hexdigest(),
        "models": {
            name: {**model_record(found.labels, truth, classes), "seconds": found.seconds}
            for name, found in baselines.predictions.items()
        },
        "certified": {
            **certified_record(
                certificate, truth, classes, read_at=settings.noise.radius(settings.tau)
            ),
            "seconds": seconds,
        },
        "percentile": percentile,
        "attacks": attacks,
    }
    return Finished(record, (view, content_of(certificate) if task.certificate else None))


def divided(
    numbers: Sequence[int],
    make: Callable[[int], SampleTask],
    job: SampleJob,
    workers: int,
    large: int = LARGE,
    small: int = SMALL,
) -> Iterator[SampleTask]:
    """Tasks for the samples of these numbers in order, one task per sample or several that share
    its draws.

    make: reads a sample as one task. Draws are divided for large samples, and for the last samples
    if there are fewer than workers, unless they are small; only for certificates that need nothing
    but votes.
    """
    whole_task = job.percentile or job.attacks is not None
    divisible = job.settings.certifier.fixed_draws and not whole_task and workers > 1
    whole = len(numbers) - len(numbers) % workers
    for place, number in enumerate(numbers):
        task = make(number)
        components = task.sample.labels.size
        if divisible and (components >= large or (place >= whole and components >= small)):
            yield from shared(task, job.settings.num_samples, workers)
        else:
            yield task


def shared(task: SampleTask, draws: int, parts: int) -> Iterator[SampleTask]:
    """Divide the sample's draws into `parts` ranges of about equal size; fewer if draws are few."""
    parts = max(1, min(parts, draws // _FEWEST))
    cuts = [draws * part // parts for part in range(parts + 1)]
    for cut in pairwise(cuts):
        yield replace(task, draws=cut)


class Merger:
    """Adds up the results of tasks until a sample is complete; holds the votes of incomplete
    samples."""

    def __init__(self, job: SampleJob) -> None:
        self._job = job
        self._open: dict[int, PartialVotes] = {}

    def add(self, task: SampleTask, part: Finished | PartialVotes) -> Finished | None:
        """The finished sample, if this was the last of its parts."""
        if isinstance(part, Finished):
            return part
        earlier, settings = self._open.get(task.number), self._job.settings
        self._open[task.number] = held = part if earlier is None else earlier + part
        if held.votes.trials < settings.num_samples:
            return None
        del self._open[task.number]
        assert held.baselines is not None
        certificate = settings.certifier.certify(
            held.votes, noise=settings.noise, selection_votes=held.chosen
        )
        return finish(self._job, task, held.baselines, certificate, held.seconds)
