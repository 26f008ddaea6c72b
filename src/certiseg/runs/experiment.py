"""The engine of all experiments: cells over one run folder, executed by an executor.

``evaluate`` and the tables of ``reproduce`` define their cells, how one is computed and what is
written; the engine checks, plans, distributes, resumes and finishes them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from numpy.typing import NDArray

from certiseg.datasets.card import Sample, Samples, remarks_of
from certiseg.datasets.label_counts import LabelCounts
from certiseg.errors import InputError
from certiseg.files.folders import locked
from certiseg.runfolder.comparison import BASE_CLEAN, BASE_NOISE, NON_ROBUST
from certiseg.runfolder.store import ResultStore
from certiseg.runfolder.view import array_digest, shown
from certiseg.runs.executors.executor import Executor, Job, SerialExecutor, Task
from certiseg.runs.executors.ranks import Ranks
from certiseg.runs.model import check_classes, try_model
from certiseg.runs.progress import RunBar
from certiseg.runs.smoothing import ByCategory
from certiseg.sampling.fingerprint import input_fingerprint
from certiseg.sampling.progress import Progress
from certiseg.sampling.sampler import Smoothed

Found = TypeVar("Found", covariant=True)


class Experiment(Protocol[Found]):
    """The interface of an experiment."""

    @property
    def store(self) -> ResultStore:
        """The folder of its results, with one record per cell."""
        ...

    @property
    def what(self) -> str:
        """The plural noun for cells."""
        ...

    @property
    def draws(self) -> int:
        """Largest number of draws for a cell."""
        ...

    def plan(self) -> dict[str, Any]:
        """Check everything, then fix the seed, and return the manifest. Raises InputError for
        anything that would stop the run later."""
        ...

    def job(self, *, resumed: bool) -> Job:
        """The job of workers, once the store has its manifest. resumed: the manifest is from an
        earlier call."""
        ...

    def tasks(self, job: Any, cells: Sequence[int], workers: int) -> Iterable[Task]:
        """The tasks for these cells, whose inputs are read on demand."""
        ...

    def take(self, task: Any, result: Any) -> bool:
        """Store the result of a task. Returns True if its cell is done."""
        ...

    def finish(self) -> Found:
        """Write the tables, once all cells are done."""
        ...


@dataclass(frozen=True)
class Finished:
    """A finished cell: its record, and its other files in the order of the store's folders."""

    record: dict[str, Any]
    files: tuple[bytes | None, ...]


@dataclass(frozen=True)
class Plan:
    """The manifest, the numbers of the remaining cells, and whether the run is resumed."""

    record: Mapping[str, Any]
    left: list[int]
    resumed: bool


def run(
    experiment: Experiment[Found],
    *,
    overwrite: bool,
    resume: bool,
    executor: Executor | None = None,
    ranks: Ranks | None = None,
    progress: Progress = False,
) -> Found | None:
    """Run the remaining cells of an experiment. Returns None on ranks other than the first.

    The folder is locked until the end; the first rank holds the lock for all.

    Args:
        experiment: the experiment.
        overwrite: replace an earlier run.
        resume: resume an existing run of the same experiment.
        executor: executes the tasks; default: in this process.
        ranks: the processes that share the run.
        progress: True for a bar on standard error, or a function called with draws just done.

    Raises:
        InputError: from ``Experiment.plan``, the store or the executor.
        ClaimError: the manifest of an existing run contradicts itself.
    """
    store = experiment.store
    with ExitStack() as held:

        def plan() -> Plan:
            record = experiment.plan()
            held.enter_context(locked(store.root))
            resumed = resume and store.manifest.exists()
            if resumed:
                store.resume(record)
            else:
                store.begin(record, overwrite)
            left = [number for number in range(len(store)) if not store.done(number)]
            return Plan(dict(store.record), left, resumed)

        agreed = plan() if ranks is None else ranks.agreed(plan)
        store.record = agreed.record
        job = experiment.job(resumed=agreed.resumed)
        mine = agreed.left if ranks is None else ranks.own(agreed.left)
        before = len(store) - len(agreed.left)
        executor = executor or SerialExecutor()
        with RunBar(
            progress, before + len(mine), experiment.draws, before, what=experiment.what
        ) as bar:
            tasks = experiment.tasks(job, mine, executor.size)
            with closing(executor.work(job, tasks, bar.draws)) as results:
                for task, result in results:
                    if experiment.take(task, result):
                        bar.finish()
        if ranks is not None:
            ranks.all_done()
            if ranks.rank > 0:
                return None
        return experiment.finish()


@dataclass(frozen=True)
class Checked:
    """A sample that was read and checked, and what identifies its files (docs/report.md)."""

    name: str
    digest: str
    category: str | None
    size: tuple[int, ...]
    input: str
    truth: str
    shown: str

    @staticmethod
    def of(sample: Sample) -> Checked:
        return Checked(
            sample.name,
            _digest(sample),
            sample.category,
            sample.labels.shape,
            input_fingerprint(torch.from_numpy(sample.x)),
            array_digest(sample.labels),
            array_digest(shown(sample.x)),
        )


def check_samples(
    samples: Samples,
    check: Callable[[Sample], None],
    models: Iterable[ByCategory],
    attempt: Callable[[Smoothed, Sample], object] = lambda smoothed, sample: try_model(
        smoothed, sample.x
    ),
    note: Callable[[str], None] = lambda text: None,
) -> list[Checked]:
    """Read every sample, and pass one of each size and category through each model.

    One sample is held at a time. Raises InputError for anything that would stop the run later.

    Args:
        samples: of the run.
        check: raises InputError if a sample cannot be certified.
        models: all models of the run.
        attempt: passes a sample through a model.
        note: called with warnings about the samples.
    """
    if not len(samples):
        raise InputError("expected at least one sample, got none; check the folders")
    tried: set[tuple[Any, ...]] = set()
    checked, models, counts = [], list(models), LabelCounts(samples.card)
    for index in range(len(samples)):
        sample = samples[index]
        checked.append(Checked.of(sample))
        counts.add(sample.labels)
        if (kind := (sample.category, *sample.x.shape)) in tried:
            continue
        tried.add(kind)
        check(sample)
        for model in models:
            smoothed = model.of(sample)
            attempt(smoothed, sample)
            check_classes(smoothed, samples.card)
    counts.check()
    for text in (*remarks_of(samples), *counts.notes()):
        note(text)
    return checked


def reread(samples: Samples, number: int, digest: str) -> Sample:
    """The sample as it was checked. Raises InputError if it has changed: its input could then be
    made with knowledge of the seed in the folder."""
    sample = samples[number]
    if _digest(sample) != digest:
        raise InputError(
            f"expected {sample.name} as it was when the run began, got other content; restore it, "
            "without shuffling or random transforms, or begin anew with --overwrite"
        )
    return sample


def _digest(sample: Sample) -> str:
    """SHA-256 of input, labels and category."""
    parts = (str(sample.category), array_digest(sample.x), array_digest(sample.labels))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Prediction:
    """Labels of a model without a certificate, on its output grid (theory T14); and seconds."""

    labels: NDArray[Any]
    seconds: float


def baseline_predictions(
    sample: Sample, smoothed: Smoothed, non_robust: Smoothed | None, seed: int | None
) -> dict[str, Prediction]:
    """Predictions without a certificate by name of their row: of the non-robust model if there is
    one, of the base model without noise, and of the base model under draw 0."""
    found = {}
    if non_robust is not None:
        found[NON_ROBUST] = _timed(lambda: non_robust.predict_clean(sample.x))
    found[BASE_CLEAN] = _timed(lambda: smoothed.predict_clean(sample.x))
    found[BASE_NOISE] = _timed(lambda: smoothed.predict_once(sample.x, seed=seed))
    return found


def _timed(predict: Callable[[], NDArray[Any]]) -> Prediction:
    started = time.perf_counter()
    labels = predict()
    return Prediction(labels, time.perf_counter() - started)
