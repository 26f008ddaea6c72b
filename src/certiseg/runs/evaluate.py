"""Non-robust, base and certified, over a data set: pooled figures, a table and its provenance."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certify.certificate import Certificate
from certiseg.datasets.card import IGNORE, Sample, Samples
from certiseg.datasets.folder import Thinned
from certiseg.errors import InputError
from certiseg.files import output_folder
from certiseg.metrics.confusion import Confusion
from certiseg.models.resolve import LoadedModel
from certiseg.report.tables import Row, csv_text, markdown, records
from certiseg.runs.environment import environment
from certiseg.runs.model import try_model
from certiseg.runs.output import refuse_existing, write_text
from certiseg.runs.progress import RunBar
from certiseg.runs.rows import (
    BASE_CLEAN,
    BASE_NOISE,
    CERTIFIED,
    NON_ROBUST,
    certified_row,
    model_row,
)
from certiseg.runs.settings import Settings
from certiseg.sampling.sampler import Smoothed

_FILES = ("table.md", "table.csv", "results.json")


@dataclass
class _Tally:
    """One row in the making: pooled counts and total time."""

    confusion: Confusion
    seconds: float = 0.0


@dataclass
class Evaluation:
    """Figures over the images seen so far. images: one record an image."""

    rows: list[Row] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)


def check_evaluation(
    samples: Samples,
    loaded: LoadedModel,
    settings: Settings,
    out: Path,
    *,
    non_robust: LoadedModel | None = None,
    save_certificates: bool = False,
    overwrite: bool = False,
) -> None:
    """Raise InputError for whatever would stop the run later: reads every sample, passes one of
    each size through each model, looks for earlier results, then makes the folder."""
    if not len(samples):
        raise InputError("expected at least one sample, got none; check the folders")
    models = [settings.smoothed(model) for model in (loaded, non_robust) if model is not None]
    tried: set[tuple[int, ...]] = set()
    for index in range(len(samples)):
        sample = samples[index]
        settings.check(sample.labels.size)
        if sample.image.shape in tried:
            continue
        tried.add(sample.image.shape)
        for model in models:
            try_model(model, sample.image)
            _check_classes(model, samples)
    files = [out / name for name in _FILES]
    if save_certificates:
        files.append(out / "certificates")
    refuse_existing(files, overwrite)
    output_folder(out)


def _check_classes(model: Smoothed, samples: Samples) -> None:
    if model.num_classes != samples.card.num_classes:
        raise InputError(
            f"expected a model of the {samples.card.num_classes} classes of {samples.card.name}, "
            f"got {model.num_classes} classes; choose another model or other data"
        )


def evaluate(
    samples: Samples,
    loaded: LoadedModel,
    settings: Settings,
    out: Path,
    *,
    non_robust: LoadedModel | None = None,
    save_certificates: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: bool = False,
) -> Evaluation:
    """Compare on every sample and write OUT/table.md, table.csv and results.json.

    Rows: the non-robust model on clean images (if given), the base model on clean images and
    under one draw of noise, the certified masks. Counts are pooled over all images before any
    ratio is taken. save_certificates: also OUT/certificates/NAME.cert.npz. One image's votes are
    held at a time. Everything is checked before the first draw (see check_evaluation).
    """
    check_evaluation(
        samples,
        loaded,
        settings,
        out,
        non_robust=non_robust,
        save_certificates=save_certificates,
        overwrite=overwrite,
    )
    folder = output_folder(out / "certificates") if save_certificates else None
    smoothed = settings.smoothed(loaded)
    plain = None if non_robust is None else settings.smoothed(non_robust)
    tallies: dict[str, _Tally] = {}
    evaluation = Evaluation()
    with RunBar(progress, len(samples), settings.draws) as bar:
        for index in range(len(samples)):
            bar.start(index)
            sample = samples[index]
            figures, certificate = _one(
                sample, samples.card.num_classes, smoothed, plain, settings, tallies, bar
            )
            evaluation.images.append(figures)
            if folder is not None:
                certificate.save(folder / f"{sample.name}.cert.npz")
    evaluation.rows = _rows(tallies, len(samples), settings)
    write_text(out / "table.md", markdown(evaluation.rows))
    write_text(out / "table.csv", csv_text(evaluation.rows))
    results = {
        "model": loaded.name,
        "non_robust": None if non_robust is None else non_robust.name,
        **_results(evaluation, samples, settings, tallies, command),
    }
    write_text(out / "results.json", json.dumps(results, indent=1) + "\n")
    return evaluation


def _one(
    sample: Sample,
    num_classes: int,
    smoothed: Smoothed,
    plain: Smoothed | None,
    settings: Settings,
    tallies: dict[str, _Tally],
    bar: RunBar,
) -> tuple[dict[str, Any], Certificate]:
    """Add one image to the tallies; returns its own figures and its certificate."""

    def tally(row: str, predict: Callable[[], NDArray[Any]]) -> Confusion:
        started = time.perf_counter()
        prediction = predict()
        seconds = time.perf_counter() - started
        counts = Confusion.count(sample.labels, prediction, num_classes, IGNORE)
        old = tallies.get(row)
        tallies[row] = (
            _Tally(counts, seconds)
            if old is None
            else _Tally(old.confusion + counts, old.seconds + seconds)
        )
        return counts

    if plain is not None:
        tally(NON_ROBUST, lambda: plain.predict_clean(sample.image))
    tally(BASE_CLEAN, lambda: smoothed.predict_clean(sample.image))
    tally(BASE_NOISE, lambda: smoothed.predict_once(sample.image, seed=settings.seed))
    started = time.perf_counter()
    certificate = smoothed.certify(sample.image, **settings.sampling(), progress=bar.draws)
    seconds = time.perf_counter() - started
    counts = tally(CERTIFIED, lambda: certificate.labels)
    tallies[CERTIFIED].seconds += seconds
    source = certificate.votes.source
    figures = {
        "name": sample.name,
        "certified_accuracy": _number(counts.accuracy),
        "abstention": _number(counts.abstention),
        "abstention_all": _number(counts.abstention_all),
        "seed": None if source is None else source.seed,
        "seconds": round(seconds, 3),
    }
    return figures, certificate


def _rows(tallies: dict[str, _Tally], images: int, settings: Settings) -> list[Row]:
    rows = [
        model_row(name, tallies[name].confusion, tallies[name].seconds / images)
        for name in (NON_ROBUST, BASE_CLEAN, BASE_NOISE)
        if name in tallies
    ]
    held = tallies[CERTIFIED]
    return [*rows, certified_row(held.confusion, settings, held.seconds / images)]


def _results(
    evaluation: Evaluation,
    samples: Samples,
    settings: Settings,
    tallies: dict[str, _Tally],
    command: str,
) -> dict[str, Any]:
    return {
        "rows": records(evaluation.rows),
        "data": samples.card.name,
        "num_images": len(samples),
        "thinned": samples.note if isinstance(samples, Thinned) else None,
        "classes": list(samples.card.classes),
        "iou": {
            name: [_number(value) for value in tally.confusion.iou]
            for name, tally in tallies.items()
        },
        "settings": asdict(settings),
        "radius": settings.noise.radius(settings.tau),
        "norm": settings.noise.norm,
        "made_with": environment(command, settings.device),
        "images": evaluation.images,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
