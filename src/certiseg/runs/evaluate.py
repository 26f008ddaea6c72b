"""Non-robust, base and certified, over a data set: who does the work, and what is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from certiseg.datasets.card import Samples
from certiseg.errors import InputError
from certiseg.folders import locked
from certiseg.models.loaded import LoadedModel
from certiseg.runs.check import check_evaluation, digest_of
from certiseg.runs.executors.divide import Assembly, tasks
from certiseg.runs.executors.job import Job, identity
from certiseg.runs.executors.ranks import Ranks
from certiseg.runs.executors.serial import SerialExecutor
from certiseg.runs.executors.task import Executor, Task
from certiseg.runs.progress import RunBar
from certiseg.runs.results import Evaluation, write_results
from certiseg.runs.run_folder import Keep, RunFolder
from certiseg.runs.run_manifest import manifest, seed_of
from certiseg.runs.settings import Settings


def evaluate(
    samples: Samples,
    loaded: LoadedModel,
    settings: Settings,
    out: Path,
    *,
    non_robust: LoadedModel | None = None,
    percentile: bool = False,
    keep: Keep | None = None,
    overwrite: bool = False,
    resume: bool = False,
    executor: Executor | None = None,
    ranks: Ranks | None = None,
    command: str = "",
    progress: bool = False,
) -> Evaluation:
    """Compare on every sample and write the folder of a run (docs/report.md) to OUT.

    Rows: the non-robust model on clean images (if given), the base model on clean images and
    under one draw of noise, the certified masks. Counts are pooled over all images before any
    ratio is taken. A radius map is read at the radius of tau for the table, and gives curve.csv,
    curve.png and curve.svg. percentile: also bounds on one noisy pass (theory T10).
    keep: what stays of single samples, for the report; by default of 20. Each sample's files are
    there once it is done; table.md, table.csv and results.json come at the end. Everything is
    checked before the first draw (see check_evaluation); votes of a few images are held at a time.
    resume: go on with the run that is in OUT, where there is one, under its seed.
    executor: runs the tasks (docs/scale.md), by default in this process; ranks: the processes that
    share the run.
    Results do not depend on the executor. Of a rank other than the first the result is empty.
    OUT is this run's alone until the end; the first rank holds it for all.
    """
    keep = keep or Keep()
    folder = RunFolder(out, keep.certificates)

    def plan() -> _Plan:
        checked = check_evaluation(
            samples, loaded, settings, non_robust=non_robust, percentile=percentile
        )
        record = manifest(
            samples,
            checked,
            loaded,
            non_robust,
            settings,
            command,
            percentile=percentile,
            keep=keep.samples,
        )
        held.enter_context(locked(out))
        resumed = resume and folder.layout.manifest.exists()
        if resumed:
            folder.resume(record)
        else:
            folder.begin(record, overwrite)
        left = [number for number in range(len(samples)) if not folder.done(number)]
        return _Plan(dict(folder.record), left, resumed)

    with ExitStack() as held:
        agreed = plan() if ranks is None else ranks.agreed(plan)
        folder.record = agreed.record
        if ranks is not None:
            _check_own(agreed.record, loaded, non_robust, settings)
        job = Job(
            loaded,
            non_robust,
            replace(settings, seed=seed_of(agreed.record, agreed.resumed)),
            samples.card,
            percentile,
        )
        own = agreed.left if ranks is None else ranks.own(agreed.left)
        before = len(samples) - len(agreed.left)
        with RunBar(progress, before + len(own), settings.draws, before) as bar:
            _work(job, samples, own, folder, executor or SerialExecutor(), bar)
        if ranks is not None:
            ranks.all_done()
            if ranks.rank > 0:
                return Evaluation()
        return write_results(out, folder.pooled(), samples, settings, command)


def _check_own(
    record: Mapping[str, Any],
    loaded: LoadedModel,
    non_robust: LoadedModel | None,
    settings: Settings,
) -> None:
    """Raise InputError unless this process has the models and settings of the first rank's plan:
    samples of another model would be counted with the others."""
    own = {
        "model_fingerprint": identity(loaded),
        "non_robust_fingerprint": None if non_robust is None else identity(non_robust),
        "settings": settings.record(),
    }
    for name, value in json.loads(json.dumps(own)).items():
        if value != json.loads(json.dumps(record[name])):
            what = name.removesuffix("_fingerprint").replace("_", "-")
            raise InputError(
                f"expected the {what} of the first rank on every rank, got another here; start all "
                "with the same command and the same files"
            )


@dataclass(frozen=True)
class _Plan:
    """The manifest, the numbers of the samples that are left to do, and whether the run goes on."""

    record: dict[str, Any]
    left: list[int]
    resumed: bool


def _work(
    job: Job,
    samples: Samples,
    numbers: Sequence[int],
    folder: RunFolder,
    executor: Executor,
    bar: RunBar,
) -> None:
    """Do the samples of these numbers and write their files."""

    def make(number: int) -> Task:
        sample, planned = samples[number], folder.record["samples"][number]
        if digest_of(sample) != planned["digest"]:
            raise InputError(
                f"expected {planned['name']} as it was when the run began, got other content; "
                "restore it, or begin anew with --overwrite"
            )
        return Task(number, sample, *folder.keeps(number))

    assembly = Assembly(job)
    with closing(executor.work(job, tasks(numbers, make, job, executor.size), bar.draws)) as parts:
        for task, part in parts:
            done = assembly.add(task, part)
            if done is not None:
                folder.write(task.number, done.record, done.view, done.certificate)
                bar.finish()
