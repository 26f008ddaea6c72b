"""Content of results.json and the tables of a run, and checks that files agree with it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from certiseg.files.documents import parse_json
from certiseg.files.reading import RECORD, read_bounded
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.records import counts_record
from certiseg.rounding import exact
from certiseg.runfolder.comparison import CERTIFIED, comparison_table
from certiseg.runfolder.difference import difference
from certiseg.runfolder.layout import ATTACKS, CURVE_FILES, TABLES, Layout
from certiseg.runfolder.metrics import BEYOND, number
from certiseg.runfolder.pooled import Pooled
from certiseg.runfolder.under_attack import attack_table

_COLUMNS = ("radius", "certified_share", "certified_accuracy", "certified_miou")


def results(pooled: Pooled) -> dict[str, Any]:
    """Content of results.json without ``made_with``, for at least one sample."""
    manifest, held = pooled.manifest, pooled.certified
    assert held is not None
    paper = {name: confusion.iou for name, confusion in pooled.models.items()}
    dice = {} if manifest.kind != "volumes" else _dice(pooled)
    return {
        "run": manifest.run,
        "model": manifest.model,
        "non_robust": manifest.non_robust,
        "rows": comparison_table(pooled.rows()).records(),
        "data": manifest.data,
        "num_images": len(pooled.images),
        "thinned": manifest.thinned,
        "reading": manifest.reading,
        "classes": list(manifest.classes),
        "iou": {
            name: [number(value) for value in values]
            for name, values in {**paper, CERTIFIED: held.iou}.items()
        },
        "by_category": {
            name: {category: means._asdict() for category, means in shapes.by_category.items()}
            for name, shapes in pooled.shapes.items()
        },
        "classes_without_truth": [
            name
            for name, labelled in zip(manifest.classes, held.counts.sum(axis=1), strict=True)
            if not labelled
        ],
        "certified_iou": [number(value) for value in held.certified_iou],
        "certified_class_accuracy": [number(v) for v in held.certified_class_accuracy],
        **dice,
        "allowed": held.allowed,
        "method": manifest.method,
        "settings": dict(manifest.settings),
        "radius": manifest.radius,
        "norm": manifest.noise.norm,
        "curve": None if pooled.curve is None else counts_record(pooled.curve),
        "beyond": accuracy_beyond(pooled),
        "percentile": percentile_means(pooled),
        "attacks": None if pooled.attacked is None else pooled.attacked.records(),
        "images": pooled.images,
    }


def _dice(pooled: Pooled) -> dict[str, Any]:
    """Dice coefficients of each class, of volumes."""
    held = pooled.certified
    assert held is not None
    of_row = {**pooled.models, CERTIFIED: held}
    return {
        "dice": {name: [number(v) for v in counts.dice] for name, counts in of_row.items()},
        "certified_dice": [number(value) for value in held.certified_dice],
    }


def accuracy_beyond(pooled: Pooled) -> dict[str, float] | None:
    """Certified accuracy under perturbations of norm up to multiples of the radius, for a model of
    windows (theory T17), or None."""
    held = pooled.certified
    if pooled.beyond is None or held is None or not held.labelled:
        return None
    return {
        f"{exact(factor)} R": right / held.labelled
        for factor, right in zip(BEYOND, pooled.beyond, strict=True)
    }


def percentile_means(pooled: Pooled) -> dict[str, float] | None:
    """Means over the images of the percentile bounds (theory T10), or None."""
    bounds = [image["percentile"] for image in pooled.images if "percentile" in image]
    means = {
        name: float(np.mean([bound[name] for bound in bounds if name in bound]))
        for name in ("accuracy", "mean_iou")
        if any(name in bound for bound in bounds)
    }
    return means if bounds else None


def check_results(layout: Layout, pooled: Pooled) -> Iterator[str]:
    """Yield a line for each result file of a finished run that does not follow from its records."""
    table = comparison_table(pooled.rows())
    files: list[tuple[Path, Callable[[str], Any], Any]] = [
        (layout.results, parse_json, results(pooled)),
        (layout.root / TABLES[1], _rows, _rows(table.csv(run=pooled.manifest.run))),
    ]
    if pooled.attacked is not None:
        attacked = attack_table(pooled.attacked.rows()).csv(run=pooled.manifest.run)
        files.append((layout.root / ATTACKS, _rows, _rows(attacked)))
    if pooled.curve is not None:
        files.append((layout.root / CURVE_FILES[0], _rows, _rows(curve_csv(pooled.curve))))
    for path, read, follows in files:
        try:
            stated = read(read_bounded(path, RECORD).decode("utf-8"))
        except FileNotFoundError:
            continue
        except (ValueError, OSError, csv.Error) as error:
            yield f"{path}: expected what the records give, got a damaged file ({error!r:.120})"
            continue
        if isinstance(stated, dict):
            stated.pop("made_with", None)
        if (line := difference(stated, follows)) is not None:
            yield f"{path}: {line} from the records"
    path = layout.root / TABLES[0]
    if path.exists() and not read_bounded(path, RECORD).decode("utf-8", "replace").startswith(
        table.markdown()
    ):
        yield f"{path}: states another table than follows from the records"


def curve_csv(curve: RadiusCurve) -> str:
    """The curve as CSV at full precision, one row per radius."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(
        zip(
            curve.radii.tolist(),
            curve.certified_share.tolist(),
            curve.certified_accuracy.tolist(),
            curve.certified_miou.tolist(),
            strict=True,
        )
    )
    return text.getvalue()


def _rows(text: str) -> list[dict[str, Any]]:
    """Rows of a CSV table, with numbers parsed."""
    return [
        {name: _value(value) for name, value in row.items()}
        for row in csv.DictReader(io.StringIO(text))
    ]


def _value(text: Any) -> Any:
    try:
        return float(text)
    except (TypeError, ValueError):
        return text
