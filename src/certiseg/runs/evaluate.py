"""Non-robust, base and certified, over a data set: pooled figures, a table and its provenance."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import KINDS, Card, Sample, Samples, note_of
from certiseg.errors import InputError
from certiseg.files import output_folder
from certiseg.metrics.curve import RadiusCurve, radius_grid
from certiseg.metrics.part_iou import PartIou
from certiseg.models.loaded import LoadedModel
from certiseg.report.curve import write_curve
from certiseg.report.folder.comparison import BASE_CLEAN, BASE_NOISE, CERTIFIED, NON_ROBUST
from certiseg.report.folder.layout import RESULTS
from certiseg.report.folder.pooled import Pooled
from certiseg.report.tables import Row, csv_text, markdown, records
from certiseg.runs.environment import environment
from certiseg.runs.methods import certify_image
from certiseg.runs.model import check_classes, check_order, try_model
from certiseg.runs.output import refuse_existing, write_text
from certiseg.runs.percentiles import DrawnScalars, check_percentile
from certiseg.runs.progress import RunBar
from certiseg.runs.run_folder import Keep, RunFolder, earlier_files, manifest, view_arrays
from certiseg.runs.settings import Settings
from certiseg.runs.smoothing import ByCategory
from certiseg.runs.tally import Prediction, certified_record, figures, number
from certiseg.sampling.keys import resolve_seed
from certiseg.sampling.sampler import Smoothed


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
    overwrite: bool = False,
) -> list[str]:
    """Raise InputError for whatever would stop the run later: reads every sample, passes one of
    each size (and category) through each model, looks for earlier results, then makes the folder.

    Returns the samples' names.
    """
    if not len(samples):
        raise InputError("expected at least one sample, got none; check the folders")
    if percentile:
        check_percentile(settings)
    if settings.hierarchy is not None:
        known = loaded.classes if loaded.classes is not None else samples.card.classes
        check_order(settings.hierarchy, known, samples.card.name)
    models = [ByCategory(model, settings) for model in (loaded, non_robust) if model is not None]
    tried: set[tuple[Any, ...]] = set()
    names = []
    for index in range(len(samples)):
        sample = samples[index]
        names.append(sample.name)
        settings.check(settings.components(*sample.labels.shape), loaded.num_classes)
        if (kind := (sample.category, *sample.x.shape)) in tried:
            continue
        tried.add(kind)
        for model in models:
            logits = settings.method == "adaptive" and model is models[0]
            smoothed = model.of(sample)
            try_model(smoothed, sample.x, settings.hierarchy, logits=logits)
            check_classes(smoothed, samples.card)
    refuse_existing(earlier_files(out), overwrite)
    output_folder(out)
    return names


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
    command: str = "",
    progress: bool = False,
) -> Evaluation:
    """Compare on every sample and write the folder of a run (docs/report.md) to OUT.

    Rows: the non-robust model on clean images (if given), the base model on clean images and
    under one draw of noise, the certified masks. Counts are pooled over all images before any
    ratio is taken. A radius map is read at the radius of tau for the table, and gives curve.csv,
    curve.png and curve.svg. percentile: also bounds on one noisy pass (theory T10).
    keep: what stays of single samples, for the report; by default of 20. Each sample's files are
    there once it is done; table.md, table.csv and results.json come at the end. One image's votes
    are held at a time. Everything is checked before the first draw (see check_evaluation).
    """
    names = check_evaluation(
        samples,
        loaded,
        settings,
        out,
        non_robust=non_robust,
        percentile=percentile,
        overwrite=overwrite,
    )
    folder = RunFolder(out, samples, keep or Keep())
    title = _title(settings)
    folder.begin(manifest(samples, loaded, non_robust, settings, title, command), names)
    smoothed = ByCategory(loaded, settings)
    plain = None if non_robust is None else ByCategory(non_robust, settings)
    pooled = Pooled()
    with RunBar(progress, len(samples), settings.draws) as bar:
        for index in range(len(samples)):
            bar.start(index)
            sample = samples[index]
            record = _one(
                index,
                sample,
                smoothed.of(sample),
                None if plain is None else plain.of(sample),
                settings,
                folder,
                bar,
                card=samples.card,
                percentile=percentile,
            )
            folder.done(index, record)
            pooled.add(record)
    evaluation = _finished(pooled, settings, title)
    results = {
        "model": loaded.name,
        "non_robust": None if non_robust is None else non_robust.name,
        **_results(evaluation, samples, settings, pooled, command),
    }
    whole, part = KINDS[samples.card.kind]
    thinned = "" if (left := note_of(samples)) is None else f" ({left})"
    data = f"{samples.card.name}, {len(samples)} {whole}{'' if len(samples) == 1 else 's'}{thinned}"
    note = (
        f"{data}, sigma = {settings.sigma:g}, alpha = {settings.alpha:g}; the edge is what "
        f"n = {settings.num_samples} can prove"
    )
    write_text(out / "table.md", f"{markdown(evaluation.rows)}\nData: {data}.\n")
    write_text(out / "table.csv", csv_text(evaluation.rows))
    if evaluation.curve is not None:
        write_curve(out, evaluation.curve, note, noise=settings.noise, part=part)
    # The last file: with it the run is finished.
    write_text(out / RESULTS, json.dumps(results, indent=1) + "\n")
    return evaluation


def _one(
    index: int,
    sample: Sample,
    smoothed: Smoothed,
    plain: Smoothed | None,
    settings: Settings,
    folder: RunFolder,
    bar: RunBar,
    *,
    card: Card,
    percentile: bool,
) -> dict[str, Any]:
    """Predict and certify one sample, write what is kept of it; returns its record."""
    # One draw, looked at twice: through the base model, and as a picture where it is kept.
    seed = resolve_seed(settings.seed)[0]
    said = _predictions(sample, smoothed, plain, seed)
    scalars = DrawnScalars(sample.labels, card.num_classes) if percentile else None
    started = time.perf_counter()
    certificate = certify_image(
        smoothed,
        sample.x,
        settings,
        progress=bar.draws,
        watch=None if scalars is None else scalars.watch,
    )
    held = certified_record(
        sample,
        card,
        certificate,
        time.perf_counter() - started,
        read_at=settings.noise.radius(settings.tau),
        curve_at=radius_grid(3 * settings.sigma, 301),
    )
    if index in folder.numbers:
        noisy = smoothed.noisy(sample.x, seed=seed).cpu().numpy()
        labels = {name: prediction.labels for name, prediction in said.items()}
        folder.view(index, view_arrays(sample, noisy, labels))
    folder.certificate(index, certificate)
    own = figures(sample.name, certificate, held)
    if scalars is not None:
        own["percentile"] = scalars.bounds(settings)
    return {
        "name": sample.name,
        "models": {name: p.record(sample, card) for name, p in said.items()},
        "certified": held,
        "figures": own,
    }


def _predictions(
    sample: Sample, smoothed: Smoothed, plain: Smoothed | None, seed: int
) -> dict[str, Prediction]:
    """What the models without a certificate say, by the name of their row."""
    calls = {
        BASE_CLEAN: lambda: smoothed.predict_clean(sample.x),
        BASE_NOISE: lambda: smoothed.predict_once(sample.x, seed=seed),
    }
    if plain is not None:
        calls = {NON_ROBUST: lambda: plain.predict_clean(sample.x), **calls}
    found = {}
    for name, predict in calls.items():
        started = time.perf_counter()
        labels: NDArray[Any] = predict()
        found[name] = Prediction(labels, time.perf_counter() - started)
    return found


def _title(settings: Settings) -> str:
    """Name of the certified row."""
    drawn = f"n {'<=' if settings.stopping else '='} {settings.num_samples}"
    return f"{CERTIFIED}{', map at R(tau)' if settings.radius_map else ''}, {drawn}"


def _finished(pooled: Pooled, settings: Settings, title: str) -> Evaluation:
    rows = pooled.rows(
        title, settings.noise.radius(settings.tau), draws_vary=settings.stopping is not None
    )
    bounds = [image["percentile"] for image in pooled.images if "percentile" in image]
    means = {
        name: float(np.mean([bound[name] for bound in bounds if name in bound]))
        for name in ("accuracy", "mean_iou")
        if any(name in bound for bound in bounds)
    }
    return Evaluation(rows, pooled.images, pooled.curve, means if bounds else None)


def _results(
    evaluation: Evaluation, samples: Samples, settings: Settings, pooled: Pooled, command: str
) -> dict[str, Any]:
    held = pooled.certified
    assert held is not None
    paper = {name: confusion.iou for name, confusion in pooled.models.items()}
    return {
        "rows": records(evaluation.rows),
        "data": samples.card.name,
        "num_images": len(samples),
        "thinned": note_of(samples),
        "classes": list(samples.card.classes),
        "iou": {
            name: [number(value) for value in values]
            for name, values in {**paper, CERTIFIED: held.iou}.items()
        },
        "by_category": {name: _by_category(shapes) for name, shapes in pooled.shapes.items()},
        "certified_iou": [number(value) for value in held.certified_iou],
        "allowed": held.allowed,
        "method": settings.method,
        "settings": asdict(settings),
        "radius": settings.noise.radius(settings.tau),
        "norm": settings.noise.norm,
        "curve": None if evaluation.curve is None else evaluation.curve.record(),
        "percentile": evaluation.percentile,
        "made_with": environment(command, settings.device),
        "images": evaluation.images,
    }


def _by_category(shapes: PartIou) -> dict[str, dict[str, Any]]:
    """Figures of each category of point clouds."""
    return {name: figures._asdict() for name, figures in shapes.by_category.items()}
