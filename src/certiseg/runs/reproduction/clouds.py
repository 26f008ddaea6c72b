"""The paper's tables of point clouds, and beside them what this library makes of the same draws."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from certiseg.certifiers.segcertify import Correction, certify
from certiseg.datasets.card import IGNORE, Card, Sample, Samples, note_of
from certiseg.errors import InputError
from certiseg.folders import locked
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.part_iou import PartIou
from certiseg.models.loaded import LoadedModel
from certiseg.report.reproduction.clouds import FILES, Line, latex, markdown, records
from certiseg.report.rows import rows_csv
from certiseg.rounding import exact
from certiseg.runfolder.comparison import BASE_CLEAN, BASE_NOISE, NON_ROBUST
from certiseg.runs.environment import environment
from certiseg.runs.model import check_classes, try_model
from certiseg.runs.output import write_text
from certiseg.runs.progress import RunBar
from certiseg.runs.reproduction.cloud_tables import ALPHA, SELECTION, Experiment
from certiseg.runs.settings import Settings
from certiseg.runs.smoothing import ByCategory
from certiseg.sampling.keys import resolve_seed
from certiseg.sampling.sampler import Smoothed
from certiseg.votes import VoteCounts


@dataclass(frozen=True)
class Figures:
    """What is pooled for one line of the table, by addition."""

    confusion: Confusion
    shapes: PartIou
    seconds: float

    @staticmethod
    def of(sample: Sample, labels: NDArray[Any], card: Card, seconds: float) -> Figures:
        assert card.parts is not None
        assert sample.category is not None
        return Figures(
            Confusion.count(sample.labels, labels, card.num_classes, IGNORE),
            PartIou.count(sample.labels, labels, card.parts[sample.category], sample.category),
            seconds,
        )

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.confusion + other.confusion,
            self.shapes + other.shapes,
            self.seconds + other.seconds,
        )


def reproduce(
    experiment: Experiment,
    samples: Samples,
    models: Mapping[float, LoadedModel],
    out: Path,
    *,
    non_robust: LoadedModel | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    overwrite: bool = False,
    command: str = "",
    progress: bool = False,
) -> list[Line]:
    """Run the experiment on every cloud; returns the lines of its table.

    models: for each sigma of the experiment. Each line certifies in the paper's two stages with
    each of its corrections, and with all draws pooled. Lines of one sigma look at the same draws,
    the longer ones at more of them; each line's claim holds on its own.
    Writes OUT/table.md, table.csv, table.tex and results.json, anew after every cloud: results.json
    says how many of them are in. Everything is checked before the first draw. Raises InputError.
    """
    if samples.card.parts is None:
        raise InputError("expected point clouds with parts, got pictures; choose --data shapenet")
    settings = {
        sigma: Settings(
            sigma=sigma,
            alpha=ALPHA,
            law=experiment.law,
            seed=seed,
            batch_size=batch_size,
            device=device,
        )
        for sigma in experiment.sigmas
    }
    smoothed = {sigma: ByCategory(models[sigma], settings[sigma]) for sigma in settings}
    plain = None if non_robust is None else ByCategory(non_robust, next(iter(settings.values())))
    _check(experiment, samples, settings, [*smoothed.values(), *filter(None, [plain])])
    about = {
        "experiment": asdict(experiment),
        "alpha": ALPHA,
        "models": {f"{exact(sigma)}": models[sigma].name for sigma in settings},
        "non_robust": None if non_robust is None else non_robust.name,
        "data": samples.card.name,
        "clouds": len(samples),
        "thinned": note_of(samples),
        "made_with": environment(command, device),
    }
    found: dict[Line, Figures] = {}
    seeds: dict[str, dict[str, int]] = {}
    bars = RunBar(progress, len(samples), experiment.draws)
    with locked(out, FILES, overwrite), bars as bar:
        for index in range(len(samples)):
            bar.start(index)
            sample = samples[index]
            drawn = {sigma: resolve_seed(seed)[0] for sigma in settings}
            seeds[sample.name] = {f"{exact(sigma)}": number for sigma, number in drawn.items()}
            parts = [] if plain is None else [_clean(NON_ROBUST, plain.of(sample), sample)]
            for sigma, model in smoothed.items():
                parts += _cloud(
                    experiment, settings[sigma], model.of(sample), sample, drawn[sigma], bar.draws
                )
            for line, labels, seconds in parts:
                figures = Figures.of(sample, labels, samples.card, seconds)
                found[line] = found[line] + figures if line in found else figures
            done = index + 1
            _write(out, [_filled(*item, done) for item in found.items()], about, seeds, done)
    return [_filled(*item, len(samples)) for item in found.items()]


_Part = tuple[Line, NDArray[Any], float]
"""A line without its figures, labels of one cloud, seconds."""


def _check(
    experiment: Experiment,
    samples: Samples,
    settings: Mapping[float, Settings],
    models: list[ByCategory],
) -> None:
    """Raise InputError for whatever would stop the run later: reads every cloud, and passes one of
    each category through each model."""
    if not len(samples):
        raise InputError("expected at least one cloud, got none; check the folder")
    tried: set[str | None] = set()
    sizes: set[int] = set()
    for index in range(len(samples)):
        sample = samples[index]
        if sample.labels.size not in sizes:
            sizes.add(sample.labels.size)
            _check_plans(experiment, settings, sample.labels.size)
        if sample.category in tried:
            continue
        tried.add(sample.category)
        for model in models:
            smoothed = model.of(sample)
            try_model(smoothed, sample.x)
            check_classes(smoothed, samples.card)


def _check_plans(
    experiment: Experiment, settings: Mapping[float, Settings], components: int
) -> None:
    """Raise InputError unless every line can certify a cloud of so many points."""
    for point in experiment.points:
        for correction in experiment.corrections:
            plan = replace(
                settings[point.sigma],
                tau=point.tau,
                num_samples=point.num_samples,
                correction=correction,
                selection="split",
            )
            plan.check(components)


def _clean(name: str, smoothed: Smoothed, sample: Sample, sigma: float | None = None) -> _Part:
    started = time.perf_counter()
    labels = smoothed.predict_clean(sample.x)
    return Line(name, sigma), labels, time.perf_counter() - started


def _cloud(
    experiment: Experiment,
    settings: Settings,
    smoothed: Smoothed,
    sample: Sample,
    seed: int,
    advance: Callable[[int], None],
) -> Iterator[_Part]:
    """One cloud at one sigma: the base model, then every line, on shared draws."""
    sigma, noise = settings.sigma, settings.noise
    yield _clean(BASE_CLEAN, smoothed, sample, sigma)
    started = time.perf_counter()
    yield (
        Line(BASE_NOISE, sigma),
        smoothed.predict_once(sample.x, seed=seed),
        time.perf_counter() - started,
    )
    vote = partial(
        smoothed.vote, sample.x, batch_size=settings.batch_size, seed=seed, progress=advance
    )
    started = time.perf_counter()
    first, votes = vote(SELECTION), None
    spent = time.perf_counter() - started
    for point in sorted(experiment.points, key=lambda point: point.num_samples):
        if point.sigma != sigma:
            continue
        drawn = 0 if votes is None else votes.trials
        if point.num_samples > drawn:
            started = time.perf_counter()
            more = vote(point.num_samples - drawn, first_draw=SELECTION + drawn)
            votes = more if votes is None else votes + more
            spent += time.perf_counter() - started
        assert votes is not None
        line = Line("", sigma, point.tau, SELECTION + point.num_samples, 0, noise.radius(point.tau))
        methods: list[tuple[Line, VoteCounts, Correction, VoteCounts | None]] = [
            (replace(line, model=f"split, {name}", n0=SELECTION), votes, name, first)
            for name in experiment.corrections
        ]
        methods.append((replace(line, model="pooled, holm"), first + votes, "holm", None))
        for own, tested, correction, chosen in methods:
            started = time.perf_counter()
            certificate = certify(
                tested,
                noise=noise,
                tau=point.tau,
                alpha=settings.alpha,
                correction=correction,
                selection_votes=chosen,
            )
            yield own, certificate.labels, spent + time.perf_counter() - started


def _filled(line: Line, figures: Figures, clouds: int) -> Line:
    """The line with its figures; bounds where it certifies (theory T9)."""
    confusion, shapes = figures.confusion, figures.shapes
    plain = replace(
        line,
        accuracy=confusion.accuracy,
        instance_miou=shapes.instance_miou,
        category_miou=shapes.category_miou,
        seconds=figures.seconds / clouds,
    )
    if line.radius is None:
        return plain
    return replace(
        plain,
        abstention=confusion.abstention,
        certified_accuracy=confusion.certified_accuracy,
        certified_instance_miou=shapes.certified_instance_miou,
        certified_category_miou=shapes.certified_category_miou,
    )


def _write(
    out: Path,
    lines: list[Line],
    about: Mapping[str, Any],
    seeds: Mapping[str, Mapping[str, int]],
    done: int,
) -> None:
    some = "" if done == about["clouds"] else f", the first {done} so far"
    thinned = "" if about["thinned"] is None else f" ({about['thinned']})"
    notes = (
        f"{about['data']}, {about['clouds']} clouds{thinned}{some}; alpha = {exact(ALPHA)} for "
        "each cloud. Lines of one sigma look at the same draws, and the claim of each holds on its "
        "own; n counts all draws, the n0 that only choose candidates too.",
        "Only the certified figures hold under attack, an abstained point becoming anything; in "
        "the others abstention is a label of its own, as the paper counts it.",
    )
    write_text(out / "table.md", markdown(lines, notes))
    write_text(out / "table.csv", rows_csv(lines))
    write_text(out / "table.tex", latex(lines, notes))
    record = {**about, "done": done, "lines": records(lines), "seeds": seeds}
    write_text(out / "results.json", json.dumps(record, indent=1) + "\n")
