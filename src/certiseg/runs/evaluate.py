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

from certiseg.datasets.card import Sample, Samples
from certiseg.datasets.folder import Thinned
from certiseg.errors import InputError
from certiseg.files import output_folder
from certiseg.metrics.curve import RadiusCurve, radius_grid
from certiseg.models.resolve import LoadedModel
from certiseg.report.curve import CURVE_FILES, write_curve
from certiseg.report.tables import Row, csv_text, markdown, records
from certiseg.runs.environment import environment
from certiseg.runs.methods import certify_image
from certiseg.runs.model import check_order, try_model
from certiseg.runs.output import refuse_existing, write_text
from certiseg.runs.percentiles import DrawnScalars, check_percentile
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
from certiseg.runs.tally import CertifiedTally, Tally, number
from certiseg.sampling.sampler import Smoothed

_FILES = ("table.md", "table.csv", "results.json")


@dataclass
class Evaluation:
    """What was found. images: one record an image; percentile: means over the images of the bounds
    on one noisy pass (theory T10), where they were asked for."""

    rows: list[Row] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    curve: RadiusCurve | None = None
    percentile: dict[str, float] | None = None


def check_evaluation(
    samples: Samples,
    loaded: LoadedModel,
    settings: Settings,
    out: Path,
    *,
    non_robust: LoadedModel | None = None,
    percentile: bool = False,
    save_certificates: bool = False,
    overwrite: bool = False,
) -> None:
    """Raise InputError for whatever would stop the run later: reads every sample, passes one of
    each size through each model, looks for earlier results, then makes the folder."""
    if not len(samples):
        raise InputError("expected at least one sample, got none; check the folders")
    if percentile:
        check_percentile(settings)
    if settings.hierarchy is not None:
        known = loaded.classes if loaded.classes is not None else samples.card.classes
        check_order(settings.hierarchy, known, samples.card.name)
    models = [settings.smoothed(model) for model in (loaded, non_robust) if model is not None]
    tried: set[tuple[int, ...]] = set()
    for index in range(len(samples)):
        sample = samples[index]
        settings.check(settings.components(*sample.labels.shape), loaded.num_classes)
        if sample.x.shape in tried:
            continue
        tried.add(sample.x.shape)
        for model in models:
            logits = settings.method == "adaptive" and model is models[0]
            try_model(model, sample.x, settings.hierarchy, logits=logits)
            _check_classes(model, samples)
    files = [out / name for name in _FILES]
    if settings.radius_map:
        files += [out / name for name in CURVE_FILES]
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
    percentile: bool = False,
    save_certificates: bool = False,
    overwrite: bool = False,
    command: str = "",
    progress: bool = False,
) -> Evaluation:
    """Compare on every sample and write OUT/table.md, table.csv and results.json.

    Rows: the non-robust model on clean images (if given), the base model on clean images and
    under one draw of noise, the certified masks. Counts are pooled over all images before any
    ratio is taken. A radius map is read at the radius of tau for the table, and gives curve.csv,
    curve.png and curve.svg. percentile: also bounds on one noisy pass (theory T10).
    save_certificates: also OUT/certificates/NAME.cert.npz. One image's votes are held at a time.
    Everything is checked before the first draw (see check_evaluation).
    """
    check_evaluation(
        samples,
        loaded,
        settings,
        out,
        non_robust=non_robust,
        percentile=percentile,
        save_certificates=save_certificates,
        overwrite=overwrite,
    )
    kept = out / "certificates"
    folder = output_folder(kept) if save_certificates else None
    for earlier in kept.glob("*.cert.npz"):
        # Of an earlier run that is being replaced: its table goes, so they must.
        earlier.unlink()
    smoothed = settings.smoothed(loaded)
    plain = None if non_robust is None else settings.smoothed(non_robust)
    num_classes = samples.card.num_classes
    models = {
        name: Tally()
        for name in (NON_ROBUST, BASE_CLEAN, BASE_NOISE)
        if plain or name != NON_ROBUST
    }
    held = CertifiedTally(
        num_classes, settings.noise.radius(settings.tau), radius_grid(3 * settings.sigma, 301)
    )
    with RunBar(progress, len(samples), settings.draws) as bar:
        for index in range(len(samples)):
            bar.start(index)
            sample = samples[index]
            for name, predict in _predictions(sample, smoothed, plain, settings).items():
                started = time.perf_counter()
                prediction = predict()
                models[name].seconds += time.perf_counter() - started
                models[name].add(sample.labels, prediction, num_classes)
            scalars = DrawnScalars(sample.labels, num_classes) if percentile else None
            started = time.perf_counter()
            certificate = certify_image(
                smoothed,
                sample.x,
                settings,
                progress=bar.draws,
                watch=None if scalars is None else scalars.watch,
            )
            held.add(sample.name, sample.labels, certificate, time.perf_counter() - started)
            if scalars is not None:
                held.images[-1]["percentile"] = scalars.bounds(settings)
            if folder is not None:
                certificate.save(folder / f"{sample.name}.cert.npz")
    evaluation = _finished(models, held, settings)
    results = {
        "model": loaded.name,
        "non_robust": None if non_robust is None else non_robust.name,
        **_results(evaluation, samples, settings, models, held, command),
    }
    write_text(out / "results.json", json.dumps(results, indent=1) + "\n")
    note = (
        f"{samples.card.name}, {len(samples)} images, sigma = {settings.sigma:g}, "
        f"alpha = {settings.alpha:g}; the edge is what n = {settings.num_samples} can prove"
    )
    _write(out, evaluation, note)
    return evaluation


def _predictions(
    sample: Sample, smoothed: Smoothed, plain: Smoothed | None, settings: Settings
) -> dict[str, Callable[[], NDArray[Any]]]:
    """What the models without a certificate say, by the name of their row."""
    found: dict[str, Callable[[], NDArray[Any]]] = {
        BASE_CLEAN: lambda: smoothed.predict_clean(sample.x),
        BASE_NOISE: lambda: smoothed.predict_once(sample.x, seed=settings.seed),
    }
    if plain is not None:
        found[NON_ROBUST] = lambda: plain.predict_clean(sample.x)
    return found


def _finished(models: dict[str, Tally], held: CertifiedTally, settings: Settings) -> Evaluation:
    images = len(held.images)
    rows = [
        model_row(name, tally.confusion, tally.seconds / images)
        for name, tally in models.items()
        if tally.confusion is not None
    ]
    assert held.confusion is not None
    rows.append(
        certified_row(
            held.confusion,
            settings,
            held.seconds / images,
            draws=held.draws / images if settings.stopping else None,
            gain=held.gain,
            nodes=held.nodes,
        )
    )
    bounds = [image["percentile"] for image in held.images if "percentile" in image]
    means = {
        name: float(np.mean([bound[name] for bound in bounds if name in bound]))
        for name in ("accuracy", "mean_iou")
        if any(name in bound for bound in bounds)
    }
    return Evaluation(rows, held.images, held.curve, means if bounds else None)


def _write(out: Path, evaluation: Evaluation, curve_note: str) -> None:
    write_text(out / "table.md", markdown(evaluation.rows))
    write_text(out / "table.csv", csv_text(evaluation.rows))
    for name in CURVE_FILES:
        # Of an earlier run that is being replaced: it would show other certificates.
        (out / name).unlink(missing_ok=True)
    if evaluation.curve is not None:
        write_curve(out, evaluation.curve, curve_note)


def _results(
    evaluation: Evaluation,
    samples: Samples,
    settings: Settings,
    models: dict[str, Tally],
    held: CertifiedTally,
    command: str,
) -> dict[str, Any]:
    assert held.confusion is not None
    paper = {name: t.confusion.iou for name, t in models.items() if t.confusion is not None}
    return {
        "rows": records(evaluation.rows),
        "data": samples.card.name,
        "num_images": len(samples),
        "thinned": samples.note if isinstance(samples, Thinned) else None,
        "classes": list(samples.card.classes),
        "iou": {
            name: [number(value) for value in values]
            for name, values in {**paper, CERTIFIED: held.confusion.iou}.items()
        },
        "certified_iou": [number(value) for value in held.confusion.certified_iou],
        "allowed": held.confusion.allowed,
        "method": settings.method,
        "settings": asdict(settings),
        "radius": settings.noise.radius(settings.tau),
        "norm": settings.noise.norm,
        "curve": None if evaluation.curve is None else evaluation.curve.record(),
        "percentile": evaluation.percentile,
        "made_with": environment(command, settings.device),
        "images": evaluation.images,
    }
