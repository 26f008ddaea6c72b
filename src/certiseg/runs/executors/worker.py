"""Where one task after another is done: a job with its models under noise."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.storage import content_of
from certiseg.runfolder.comparison import BASE_CLEAN, BASE_NOISE, NON_ROBUST
from certiseg.runfolder.tally import certified_record, model_record
from certiseg.runs.executors.job import Job
from certiseg.runs.executors.task import (
    BaselinePredictions,
    FinishedSample,
    PartialVotes,
    Prediction,
    Progress,
    Task,
)
from certiseg.runs.percentiles import DrawnScalars
from certiseg.runs.run_folder import view_content
from certiseg.runs.smoothing import ByCategory


class Worker:
    """Does tasks of a job, one at a time."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._smoothed = ByCategory(job.loaded, job.settings)
        self._plain = None if job.plain is None else ByCategory(job.plain, job.settings)

    def do(self, task: Task, advance: Progress) -> FinishedSample | PartialVotes:
        """The record of a sample, or the votes of a range of its draws."""
        return self._sample(task, advance) if task.draws is None else self._draws(task, advance)

    def _sample(self, task: Task, advance: Progress) -> FinishedSample:
        job, sample = self._job, task.sample
        baseline = self._said(task)
        scalars = DrawnScalars(sample.labels, job.card.num_classes) if job.percentile else None
        started = time.perf_counter()
        certificate = job.settings.certify(
            self._smoothed.of(sample),
            sample.x,
            progress=advance,
            watch=None if scalars is None else scalars.watch,
        )
        seconds = time.perf_counter() - started
        bounds = None if scalars is None else scalars.bounds(job.settings, certificate.eta)
        return finish(job, task, baseline, certificate, seconds, bounds)

    def _draws(self, task: Task, advance: Progress) -> PartialVotes:
        assert task.draws is not None
        settings, sample = self._job.settings, task.sample
        start, stop = task.draws
        first = settings.choosing_draws
        baseline = self._said(task) if start == 0 else None
        started = time.perf_counter()
        vote = self._smoothed.of(sample).vote
        drawing: dict[str, Any] = {
            "batch_size": settings.batch_size,
            "seed": settings.seed,
            "progress": advance,
        }
        chosen = vote(sample.x, first, **drawing) if start == 0 and first else None
        votes = vote(sample.x, stop - start, first_draw=first + start, **drawing)
        return PartialVotes(votes, chosen, baseline, time.perf_counter() - started)

    def _said(self, task: Task) -> BaselinePredictions:
        sample, seed = task.sample, self._job.settings.seed
        smoothed = self._smoothed.of(sample)
        # One draw, looked at twice: through the base model, and as a picture where it is kept.
        calls: dict[str, Callable[[], NDArray[Any]]] = {
            BASE_CLEAN: lambda: smoothed.predict_clean(sample.x),
            BASE_NOISE: lambda: smoothed.predict_once(sample.x, seed=seed),
        }
        if self._plain is not None:
            plain = self._plain.of(sample)
            calls = {NON_ROBUST: lambda: plain.predict_clean(sample.x), **calls}
        found = {}
        for name, predict in calls.items():
            started = time.perf_counter()
            labels = predict()
            found[name] = Prediction(labels, time.perf_counter() - started)
        if not task.view:
            return BaselinePredictions(found, None)
        noisy = smoothed.noisy(sample.x, seed=seed).cpu().numpy()
        labels_of = {name: prediction.labels for name, prediction in found.items()}
        return BaselinePredictions(found, view_content(sample, noisy, labels_of))


def finish(
    job: Job,
    task: Task,
    baseline: BaselinePredictions,
    certificate: Certificate,
    seconds: float,
    percentile: dict[str, Any] | None = None,
) -> FinishedSample:
    """The record of the sample and what is kept of it. seconds: that its certificate took."""
    settings, truth, classes = job.settings, task.sample.labels, job.card.num_classes
    source = certificate.votes.source
    assert source is not None
    read_at = settings.noise.radius(settings.tau)
    record = {
        "name": task.sample.name,
        "seed": source.seed,
        "model": source.model,
        "view": None if baseline.view is None else hashlib.sha256(baseline.view).hexdigest(),
        "models": {
            name: {**model_record(found.labels, truth, classes), "seconds": found.seconds}
            for name, found in baseline.predictions.items()
        },
        "certified": {
            **certified_record(certificate, truth, classes, read_at=read_at),
            "seconds": seconds,
        },
        "percentile": percentile,
    }
    return FinishedSample(
        record, baseline.view, content_of(certificate) if task.certificate else None
    )
