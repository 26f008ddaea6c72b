"""Compare the non-robust, the base and the certified model on a data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from certiseg.datasets.card import KINDS, Sample, Samples, note_of, reading_of
from certiseg.errors import ClaimError, InputError
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.models.loaded import LoadedModel
from certiseg.noise import noise_record
from certiseg.report.charts import write_curve
from certiseg.rounding import exact
from certiseg.runfolder.comparison import CERTIFIED, Row, comparison_table
from certiseg.runfolder.derived import check_figures, row_name
from certiseg.runfolder.folder import Keep, RunFolder
from certiseg.runfolder.identity import run_id
from certiseg.runfolder.layout import ATTACKS, FORMAT, RESULTS, file_stem, kept_numbers
from certiseg.runfolder.pooled import Pooled
from certiseg.runfolder.results import accuracy_beyond, percentile_means, results
from certiseg.runfolder.under_attack import UnderAttack, attack_table
from certiseg.runs.attacked import Attacks, check_gradient
from certiseg.runs.environment import environment
from certiseg.runs.executors.executor import Executor
from certiseg.runs.executors.ranks import Ranks
from certiseg.runs.executors.recipe import identity
from certiseg.runs.experiment import Checked, Finished, check_samples, reread, run
from certiseg.runs.model import check_order, try_model
from certiseg.runs.output import write_text
from certiseg.runs.percentiles import check_percentile
from certiseg.runs.sample_task import (
    Merger,
    PartialVotes,
    SampleJob,
    SampleTask,
    divided,
)
from certiseg.runs.settings import Settings
from certiseg.runs.smoothing import ByCategory
from certiseg.sampling.keys import FreshSeed, RecordedSeed, fresh_seed
from certiseg.sampling.progress import Progress
from certiseg.sampling.sampler import Smoothed
from certiseg.table import Table


@dataclass
class Evaluation:
    """Result of ``evaluate``.

    Args:
        rows: rows of the comparison, as in table.csv.
        images: a record per image, as in results.json.
        curve: certified share and accuracy by radius, for a radius map.
        percentile: means over the images of the bounds on one noisy pass (theory T10), or None.
        confusions: counts over all images by row; "certified" is the last one.
        beyond: certified accuracy under perturbations of norm up to multiples of the radius R, for
            a model of windows (theory T17), or None.
        attacked: counts of every model on attacked inputs, or None.
        out: folder of the run.
    """

    rows: list[Row] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    curve: RadiusCurve | None = None
    percentile: dict[str, float] | None = None
    confusions: dict[str, Confusion] = field(default_factory=dict)
    beyond: dict[str, float] | None = None
    attacked: UnderAttack | None = None
    out: Path | None = None

    @property
    def certified(self) -> Row:
        """The figures of the certified masks."""
        return self.rows[-1]

    @property
    def table(self) -> Table:
        """The rows as a table: print it, or ``.markdown()``, ``.csv()``, ``.latex()``."""
        return comparison_table(self.rows)

    def report(self, path: str | Path) -> Path:
        """Write the report, one HTML file for any browser, and return its path. Raises InputError
        as ``certiseg.report.write.write_report``."""
        from certiseg.report.write import write_report

        assert self.out is not None, "a rank other than the first has no figures"
        written = write_report([self.out], path)
        if written.refuted:
            raise ClaimError(written.refuted[0])
        return written.page


def evaluate(
    samples: Samples,
    loaded: LoadedModel,
    settings: Settings,
    out: Path,
    *,
    non_robust: LoadedModel | None = None,
    percentile: bool = False,
    attacks: Attacks | None = None,
    keep: Keep | None = None,
    overwrite: bool = False,
    resume: bool = False,
    executor: Executor | None = None,
    ranks: Ranks | None = None,
    command: str = "",
    progress: Progress = False,
    note: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Compare models on every sample of a data set, and write the folder of a run.

    Rows: the non-robust model on clean images (if given), the base model on clean images and
    under one draw of noise, the certified masks. Counts are pooled over all images before any
    ratio is taken. A radius map is read at the radius of tau for the table, and gives curve.csv,
    curve.png and curve.svg.

    The files of a sample are written when it is done; table.md, table.csv and results.json at the
    end. Everything is checked before the first draw; votes of a few images are in memory at a time.
    Results do not depend on the executor. The folder is locked until the end.

    Args:
        samples: labelled samples, such as from ``certiseg.runs.samples.open_samples``.
        loaded: the base model, from ``certiseg.load_model``.
        settings: noise, method, test and seed.
        out: folder of the run (docs/report.md).
        non_robust: a model trained without noise.
        percentile: also bound accuracy and mIoU of one noisy pass (theory T10).
        attacks: also attack every model on every input.
        keep: samples kept for the report; default: 20.
        overwrite: replace an earlier run there.
        resume: resume the run that is there, if there is one, under its seed.
        executor: executor of the tasks (docs/scale.md); default: this process.
        ranks: processes started by torchrun, which share the run.
        command: as the user typed it, for the record.
        progress: True for a bar on standard error, or a function called with the number of draws
            just done.
        note: callback for non-fatal warnings on the samples, before the first draw.

    Returns:
        The figures; empty on ranks other than the first.

    Raises:
        InputError: For samples, models and settings that do not go together, and for a folder with
            other content.
        ClaimError: If the run in the folder contradicts itself.

    Example:
        >>> import certiseg as cs  # doctest: +SKIP
        >>> loaded = cs.load_model("certiseg:camvid")  # doctest: +SKIP
        >>> samples = open_samples(loaded, data="camvid", root="CamVid")  # doctest: +SKIP
        >>> cs.evaluate(samples, loaded, Settings(), "out").rows[-1].miou  # doctest: +SKIP

    Reference:
        Theory T9 (bounds on accuracy and mIoU).
    """
    models = {"base": loaded, **({} if non_robust is None else {"non-robust": non_robust})}
    keep = keep or Keep()
    store = RunFolder(out, keep.certificates)
    experiment = _Evaluation(
        samples, models, settings, store, keep.samples, percentile, attacks, command, note
    )
    found = run(
        experiment,
        overwrite=overwrite,
        resume=resume,
        executor=executor,
        ranks=ranks,
        progress=progress,
    )
    return Evaluation() if found is None else found


@dataclass
class _Evaluation:
    """An evaluation as an ``Experiment`` whose cells are the samples."""

    samples: Samples
    models: Mapping[str, LoadedModel]
    settings: Settings
    store: RunFolder
    kept: int | None
    percentile: bool
    attacks: Attacks | None
    command: str
    note: Callable[[str], None]

    what = "inputs"

    @property
    def draws(self) -> int:
        attacks, settings = self.attacks, self.settings
        return settings.draws + (
            0 if attacks is None else attacks.units(settings, len(self.models))
        )

    def plan(self) -> dict[str, Any]:
        return manifest(
            self.samples,
            self._check(),
            self.models,
            self._prints,
            self.settings,
            self.command,
            percentile=self.percentile,
            attacks=self.attacks,
            keep=self.kept,
        )

    @cached_property
    def _prints(self) -> dict[str, str | None]:
        """Fingerprints of the models, by their names in a manifest."""
        return prints_of(self.models)

    def _check(self) -> list[Checked]:
        settings, loaded, card = self.settings, self.models["base"], self.samples.card
        check_figures(settings.certifier, settings.hierarchy)
        if self.percentile:
            check_percentile(settings)
        if self.attacks is not None:
            self.attacks.check(settings)
        if settings.hierarchy is not None:
            known = loaded.classes if loaded.classes is not None else card.classes
            check_order(settings.hierarchy, known, card.name)
        models = [ByCategory(model, settings) for model in self.models.values()]

        def check(sample: Sample) -> None:
            settings.check(settings.components(*sample.labels.shape), loaded.num_classes)

        def attempt(smoothed: Smoothed, sample: Sample) -> None:
            logits = settings.certifier.needs_logits and smoothed is models[0].of(sample)
            try_model(smoothed, sample.x, settings.hierarchy, logits=logits)
            if self.attacks is not None:
                check_gradient(smoothed, sample.x, self.attacks)

        return check_samples(self.samples, check, models, attempt, self.note)

    def job(self, *, resumed: bool) -> SampleJob:
        record, settings = self.store.record, self.settings
        self._check_own(record)
        seeded = replace(settings, seed=seed_of(record, resumed))
        job = SampleJob(
            self.models, settings.device, seeded, self.samples.card, self.percentile, self.attacks
        )
        self._merger = Merger(job)
        return job

    def _check_own(self, record: Mapping[str, Any]) -> None:
        """Raise InputError unless this process has the models and settings of the first rank's
        plan: samples of another model would be counted with the others."""
        own = {**self._prints, "settings": self.settings.record()}
        for name, value in json.loads(json.dumps(own)).items():
            if value != json.loads(json.dumps(record[name])):
                what = name.removesuffix("_fingerprint").replace("_", "-")
                raise InputError(
                    f"expected the {what} of the first rank on every rank, got another here; start "
                    "all with the same command and the same files"
                )

    def tasks(self, job: SampleJob, cells: Sequence[int], workers: int) -> Iterator[SampleTask]:
        def make(number: int) -> SampleTask:
            planned = self.store.record["samples"][number]
            sample = reread(self.samples, number, planned["digest"])
            return SampleTask(number, sample, *self.store.keeps(number))

        return divided(cells, make, job, workers)

    def take(self, task: SampleTask, result: Finished | PartialVotes) -> bool:
        done = self._merger.add(task, result)
        if done is not None:
            self.store.write(task.number, done.record, *done.files)
        return done is not None

    def finish(self) -> Evaluation:
        """Table, curve and results.json."""
        return write_results(
            self.store.root, self.store.pooled(), self.samples, self.settings, self.command
        )


def manifest(
    samples: Samples,
    checked: Sequence[Checked],
    models: Mapping[str, LoadedModel],
    prints: Mapping[str, str | None],
    settings: Settings,
    command: str,
    *,
    percentile: bool = False,
    attacks: Attacks | None = None,
    keep: int | None = 20,
) -> dict[str, Any]:
    """Everything fixed before the first draw, as plain JSON values. prints: from ``prints_of``.
    keep: number of samples kept for the report, None for all.

    The seed is drawn here, after everything that it must not depend on is known by fingerprint
    (theory T15).
    """
    card, kept = samples.card, kept_numbers(len(samples), keep)
    non_robust = models.get("non-robust")
    seed = fresh_seed() if settings.seed is None else settings.seed
    record = {
        "format": FORMAT,
        "kind": card.kind,
        "model": models["base"].name,
        "model_fingerprint": prints["model_fingerprint"],
        "binary": _binary_record(models["base"]),
        "non_robust": None if non_robust is None else non_robust.name,
        "non_robust_fingerprint": prints["non_robust_fingerprint"],
        "non_robust_binary": None if non_robust is None else _binary_record(non_robust),
        "data": card.name,
        "thinned": note_of(samples),
        "reading": reading_of(samples),
        "classes": list(card.classes),
        "palette": [list(colour) for colour in card.palette],
        "parts": None if card.parts is None else {k: list(v) for k, v in card.parts.items()},
        "method": settings.method,
        "certified": row_name(settings.certifier, settings.num_samples),
        "percentile": percentile,
        "attacks": None if attacks is None else attacks.record(),
        "settings": settings.record(),
        "seed": int(seed),
        "seed_origin": "entropy" if isinstance(seed, FreshSeed) else "caller",
        "noise": noise_record(settings.noise),
        "norm": settings.noise.norm,
        "radius": settings.noise.radius(settings.tau),
        "made_with": environment(command, settings.device, "started"),
        "samples": [
            {
                "number": number,
                "file": file_stem(number, found.name),
                "kept": number in kept,
                **asdict(found),
            }
            for number, found in enumerate(checked)
        ],
    }
    plain: dict[str, Any] = json.loads(json.dumps(record))
    return {**plain, "run": run_id(plain)}


def _binary_record(loaded: LoadedModel) -> dict[str, Any] | None:
    """How a binary output is declared; None for other models."""
    return None if loaded.binary is None else loaded.binary.record()


def prints_of(models: Mapping[str, LoadedModel]) -> dict[str, str | None]:
    """Fingerprints, by their names in a manifest."""
    named = {"model_fingerprint": "base", "non_robust_fingerprint": "non-robust"}
    return {k: identity(models[part]) if part in models else None for k, part in named.items()}


def seed_of(record: Mapping[str, Any], resumed: bool) -> int:
    """The run's seed and where it came from, of which a resumed run has only the record's
    word (theory T15)."""
    chosen = record["settings"]["seed"]
    if chosen is not None:
        return int(chosen)
    return RecordedSeed(record["seed"]) if resumed else FreshSeed(record["seed"])


def write_results(
    out: Path, pooled: Pooled, samples: Samples, settings: Settings, command: str
) -> Evaluation:
    """Write table, curve and results.json of the run to OUT. settings: as the user gave them."""
    assert pooled.certified is not None, "there is at least one sample"
    evaluation = Evaluation(
        pooled.rows(),
        pooled.images,
        pooled.curve,
        percentile_means(pooled),
        {**pooled.models, CERTIFIED: pooled.certified},
        accuracy_beyond(pooled),
        pooled.attacked,
        out,
    )
    found = {**results(pooled), "made_with": environment(command, settings.device)}
    whole, part = KINDS[samples.card.kind]
    thinned = "" if (left := note_of(samples)) is None else f" ({left})"
    data = f"{samples.card.name}, {len(samples)} {whole}{'' if len(samples) == 1 else 's'}{thinned}"
    note = (
        f"{data}, sigma = {exact(settings.sigma)}, alpha = {exact(settings.alpha)}; the edge is "
        f"what n = {settings.num_samples} can prove"
    )
    run, table = pooled.manifest.run, comparison_table(evaluation.rows)
    write_text(out / "table.md", f"{table.markdown()}\nData: {data}. Run: {run}.\n")
    write_text(out / "table.csv", table.csv(run=run))
    if pooled.attacked is not None:
        write_text(out / ATTACKS, attack_table(pooled.attacked.rows()).csv(run=run))
    if evaluation.curve is not None:
        write_curve(out, evaluation.curve, note, noise=settings.noise, part=part)
    # The last file: with it the run is finished.
    write_text(out / RESULTS, json.dumps(found, indent=1) + "\n")
    return evaluation
