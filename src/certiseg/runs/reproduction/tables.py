"""The paper's tables, and this library's methods on the same draws."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from certiseg.datasets.card import KINDS, Sample, Samples, note_of
from certiseg.datasets.subset import even_stride
from certiseg.errors import InputError
from certiseg.metrics.records import counts_record
from certiseg.models.loaded import LoadedModel
from certiseg.report.figures import has_matplotlib
from certiseg.report.reproduction.figures import write_figures
from certiseg.report.reproduction.tables import Tables, counted
from certiseg.rounding import exact
from certiseg.runfolder.cells import Cell, CellStore, table_manifest
from certiseg.runs.environment import environment
from certiseg.runs.executors.executor import Executor
from certiseg.runs.executors.recipe import identity
from certiseg.runs.experiment import Finished, check_samples, reread, run
from certiseg.runs.output import write_text
from certiseg.runs.reproduction.cell import CellJob, CellTask, Extras
from certiseg.runs.reproduction.grid import Grid, words
from certiseg.runs.reproduction.pooled import Pooled
from certiseg.runs.reproduction.reference import LEVEL
from certiseg.runs.settings import Settings
from certiseg.sampling.fingerprint import model_fingerprint


def reproduce(
    grid: Grid,
    samples: Samples,
    models: Mapping[float, LoadedModel],
    out: Path,
    *,
    name: str = "",
    non_robust: LoadedModel | None = None,
    extras: Extras | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    overwrite: bool = False,
    executor: Executor | None = None,
    command: str = "",
    progress: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Pooled:
    """Run the grid on every sample, and return the pooled rows.

    Each sample is drawn once at each scale and sigma. All rows share these draws, so that each
    claim holds by itself, not all jointly. Writes run.json, one record per cell, after each sample
    table.md, table.csv, table.tex and results.json, and figures at the end. An interrupted run
    resumes from its records. Everything is checked before the first draw.

    Args:
        grid: a ``Grid`` for images, or a ``CloudGrid``.
        samples: of the grid's kind.
        models: by sigma.
        out: the output folder.
        name: of the table, for results.json (clouds).
        non_robust: a model trained without noise.
        extras: additions to the paper's table.
        seed: of all cells; default: fresh entropy for each cell.
        batch_size: draws per pass.
        device: to compute on.
        overwrite: replace earlier results instead of resuming.
        executor: runs the cells; default: in this process.
        command: the user's command line, for the record.
        progress: show a bar on standard error.
        note: called with warnings about the samples.

    Raises:
        InputError: grid, samples and models do not fit together, or the folder holds other
            files.
    """
    extras = extras or Extras()
    extras.check(grid)
    settings = Settings(seed=seed, batch_size=batch_size, device=device)
    settings.check_options()
    parts = {f"{sigma}": loaded for sigma, loaded in models.items()}
    if non_robust is not None:
        parts["non-robust"] = non_robust
    job = CellJob(parts, device, grid, extras, settings, samples.card)
    experiment = _Table(job, samples, CellStore(out), name, command, note)
    found = run(
        experiment, overwrite=overwrite, resume=not overwrite, executor=executor, progress=progress
    )
    assert found is not None
    return found


@dataclass
class _Table:
    """The ``Experiment`` of a table. Its cells are the samples at each scale and sigma."""

    work: CellJob
    samples: Samples
    store: CellStore
    name: str
    command: str
    note: Callable[[str], None]

    what = "cells"

    def __post_init__(self) -> None:
        grid = self.work.grid
        self._places = [(scales, sigma) for scales in grid.scales for sigma in grid.sigmas]
        self._pooled, self._next = Pooled(self.samples.card), 0

    @property
    def draws(self) -> int:
        return self.work.grid.draws

    def plan(self) -> dict[str, Any]:
        job, samples = self.work, self.samples
        grid, kind = job.grid, samples.card.kind
        if kind != grid.kind:
            wanted, given = KINDS[grid.kind][0], KINDS[kind][0]
            raise InputError(f"expected {wanted}s, got {given}s; choose other data or table")

        def check(sample: Sample) -> None:
            grid.check(sample.labels.size)

        models = [job.smoothed(*place) for place in self._places]
        models += filter(None, (job.non_robust(*place) for place in self._places))
        checked = check_samples(samples, check, models, note=self.note)
        plain = job.models.get("non-robust")
        fixed = {
            "grid": asdict(grid),
            "extras": asdict(job.extras),
            "models": {f"{exact(s)}": _model_record(job.models[f"{s}"]) for s in grid.sigmas},
            "non_robust": None if plain is None else _model_record(plain),
            "data": samples.card.name,
            "classes": list(samples.card.classes),
            "seed": job.settings.seed,
            "unsound": bool(job.extras.shared_batches),
            "images": [found.name for found in checked],
            "contents": [found.digest for found in checked],
        }
        cells = [
            Cell(number, found.name, words(scales), sigma)
            for number, found in enumerate(checked)
            for scales, sigma in self._places
        ]
        return table_manifest(fixed, cells)

    def job(self, *, resumed: bool) -> CellJob:
        self._made_with = environment(self.command, self.work.device)
        return self.work

    def tasks(self, job: CellJob, cells: Sequence[int], workers: int) -> Iterator[CellTask]:
        total = len(self.samples)
        referenced: set[int] = set()
        if job.extras.reference_draws:
            referenced.update(even_stride(total, min(job.extras.reference_images, total)))
        number, sample = -1, None
        for cell in cells:
            earlier, (number, place) = number, divmod(cell, len(self._places))
            if sample is None or number != earlier:
                sample = reread(self.samples, number, self.store.record["contents"][number])
            yield CellTask(cell, number, sample, *self._places[place], number in referenced)

    def take(self, task: CellTask, result: Finished) -> bool:
        self.store.write(task.cell, result.record, *result.files)
        self._pool()
        return True

    def finish(self) -> Pooled:
        self._pool()
        return self._pooled

    def _pool(self) -> None:
        """Add finished cells in order, and write the tables whenever a sample is complete."""
        before = self._next // len(self._places)
        while self._next < len(self.store) and (record := self.store.get(self._next)) is not None:
            self._pooled.add(record)
            self._next += 1
        if (done := self._next // len(self._places)) > before:
            self._write(done)

    def _write(self, done: int) -> None:
        """Write table.md, table.csv, table.tex and results.json; false.csv with reference draws;
        figures at the end, if Matplotlib is installed."""
        out, whole, record = self.store.root, self._pooled, self.store.record
        of_images = self.work.grid.kind == "images"
        false = whole.false_rows()
        notes = self._picture_notes(done) if of_images else self._cloud_notes(done)
        tables = Tables(whole.rows(), false, notes)
        write_text(out / "table.md", tables.markdown())
        write_text(out / "table.csv", tables.csv())
        write_text(out / "table.tex", tables.latex())
        if false:
            write_text(out / "false.csv", tables.false_csv())
        about = self._picture_facts() if of_images else self._cloud_facts()
        about |= {"thinned": note_of(self.samples), "made_with": self._made_with, "done": done}
        lines, false_lines = tables.records()
        found: dict[str, Any] = {"lines": lines}
        if of_images:
            curves = [
                {"scale": scale, "sigma": sigma, **counts_record(curve)}
                for (scale, sigma), curve in whole.curves.items()
            ]
            found |= {"false": false_lines, "curves": curves}
        else:
            found["seeds"] = {
                name: {f"{exact(sigma)}": seed for sigma, seed in seeds.items()}
                for name, seeds in whole.seeds.items()
            }
        everything = {"run": record["run"], **about, **found}
        write_text(out / "results.json", json.dumps(everything, indent=1) + "\n")
        if of_images and done == len(self.samples) and has_matplotlib():
            note = f"{record['data']}, {counted(done)}"
            write_figures(out, whole.picture_rows(), false, whole.curves, note)

    def _picture_facts(self) -> dict[str, Any]:
        left = ("format", "cells", "run")
        return {name: value for name, value in self.store.record.items() if name not in left}

    def _cloud_facts(self) -> dict[str, Any]:
        grid, models = self.work.grid, self.work.models
        plain = models.get("non-robust")
        points = [
            {"sigma": sigma, "tau": point.tau, "num_samples": point.num_samples}
            for sigma in grid.sigmas
            for point in grid.points
        ]
        return {
            "experiment": {
                "name": self.name,
                "law": grid.law,
                "points": points,
                "corrections": list(grid.corrections),
            },
            "alpha": grid.alphas[0],
            "models": {f"{exact(sigma)}": models[f"{sigma}"].name for sigma in grid.sigmas},
            "non_robust": None if plain is None else plain.name,
            "data": self.samples.card.name,
            "clouds": len(self.samples),
        }

    def _data(self, words: str, done: int) -> str:
        note = note_of(self.samples)
        some = "" if done == len(self.samples) else f", the first {done} so far"
        return f"{self.samples.card.name}, {words}{'' if note is None else f' ({note})'}{some}"

    def _picture_notes(self, done: int) -> list[str]:
        noted = [
            f"{self._data(counted(len(self.samples)), done)}; alpha is for each image. Rows of "
            "one scale and sigma share their draws, and the claim of each holds by itself; n draws "
            "test, n0 others choose candidates; with n0 = 0 all draws do both.",
            "Only the certified metrics hold under attack, where an abstaining pixel may get any "
            "label; the others count abstention as a separate label, as the paper does.",
            f"Run {self.store.record['run']}.",
        ]
        if self._pooled.false_rows():
            noted.append(
                f"False certificates are counted by {self.work.extras.reference_draws} further "
                "draws: pixels whose label has p < tau by a one-sided Clopper-Pearson bound, at "
                f"confidence 1 - {exact(LEVEL)} for all pixels of an image together. There may be "
                "more."
            )
        return noted

    def _cloud_notes(self, done: int) -> list[str]:
        return [
            f"{self._data(f'{len(self.samples)} clouds', done)}; alpha = "
            f"{exact(self.work.grid.alphas[0])} for each cloud. Rows of one sigma share their "
            "draws, and the claim of each holds by itself; n counts all draws, including the n0 "
            "that only choose candidates.",
            "Only the certified metrics hold under attack, where an abstained point may get any "
            "label; the others count abstention as a separate label, as the paper does.",
        ]


def _model_record(loaded: LoadedModel) -> dict[str, Any]:
    """Name and fingerprint of a model.

    The fingerprint is omitted if it does not cover all of a model of unknown origin, since it may
    then differ between processes.
    """
    lasting = loaded.origin is not None or not model_fingerprint(loaded.model).not_covered
    return {"name": loaded.name, "fingerprint": identity(loaded) if lasting else None}
