"""The counts of one sample, read from its record and checked against all that they must agree with.

What can be told without the sample itself: against the run's manifest, and among each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certiseg.certificates.looks import REASONS
from certiseg.errors import InputError
from certiseg.files.documents import parse_json
from certiseg.files.reading import RECORD, read_bounded
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.records import counts_from_record
from certiseg.runfolder.comparison import CERTIFIED
from certiseg.runfolder.difference import Fact, check
from certiseg.runfolder.manifest import Manifest, Planned
from certiseg.runfolder.metrics import curve_radii

_FIELDS = {"number", "run", "name", "seed", "model", "view", "models", "certified", "percentile"}
_CERTIFIED = {"confusion", "gain", "nodes", "curve", "draws", "stopped", "seconds"}


@dataclass(frozen=True)
class Record:
    """models: of each without a certificate its counts, seconds of each. model: fingerprint of the
    one that was certified. view: digest of the view's file, None where it is not kept. plain: as it
    was written."""

    planned: Planned
    models: Mapping[str, Confusion]
    certified: Confusion
    gain: InformationGain | None
    nodes: int | None
    curve: RadiusCurve | None
    draws: int
    stopped: str | None
    seconds: Mapping[str, float]
    certified_seconds: float
    percentile: Mapping[str, Any] | None
    model: str
    view: str | None
    plain: Mapping[str, Any]


def read_record(path: Path, manifest: Manifest, planned: Planned) -> Record:
    """Raises ClaimError for a record that contradicts the manifest or itself, InputError for a
    file that is none, or damaged, OSError where it cannot be read."""
    try:
        plain = parse_json(read_bounded(path, RECORD).decode("utf-8"))
        record = _record(plain, manifest, planned)
        check(_facts(record, manifest))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"expected the record of a sample, got another or a damaged one ({said})"
        ) from None
    return record


def _record(plain: Any, manifest: Manifest, planned: Planned) -> Record:
    held = plain["certified"]
    _check_fields(plain, _FIELDS)
    _check_fields(held, _CERTIFIED)
    models = {}
    for name, found in plain["models"].items():
        _check_fields(found, {"confusion", "seconds"})
        models[name] = counts_from_record(Confusion, found["confusion"])
    for key in ("model", "name"):
        if not isinstance(plain[key], str):
            raise ValueError(f"{key} {plain[key]!r:.60}")
    for key in ("draws", "nodes"):
        if held[key] is not None and type(held[key]) is not int:
            raise ValueError(f"{key} {held[key]!r:.60}")
    gain, curve = held["gain"], held["curve"]
    return Record(
        planned=planned,
        models=models,
        certified=counts_from_record(Confusion, held["confusion"]),
        gain=None if gain is None else counts_from_record(InformationGain, gain),
        nodes=held["nodes"],
        curve=None if curve is None else counts_from_record(RadiusCurve, curve),
        draws=held["draws"],
        stopped=held["stopped"],
        seconds={name: _seconds(found["seconds"]) for name, found in plain["models"].items()},
        certified_seconds=_seconds(held["seconds"]),
        percentile=plain["percentile"],
        model=plain["model"],
        view=plain["view"],
        plain=plain,
    )


def _check_fields(record: Any, names: set[str]) -> None:
    if set(record) != names:
        raise ValueError(f"fields {sorted(set(record) ^ names)} too many or missing")


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1e9:
        raise ValueError(f"seconds {value!r:.60}")
    return float(value)


def _facts(record: Record, manifest: Manifest) -> Iterator[Fact]:
    """In an order in which each may take those before it for true."""
    plain, planned, held = record.plain, record.planned, record.certified
    total, tree = math.prod(planned.size), manifest.settings["hierarchy"] is not None
    yield "number", plain["number"], planned.number
    yield "name", plain["name"], planned.name
    yield "seed", plain["seed"], manifest.seed
    yield "run", plain["run"], manifest.run
    yield "models", list(record.models), list(manifest.rows)
    yield "a view", record.view is not None, planned.kept
    for name, found in ((CERTIFIED, held), *record.models.items()):
        yield from _counted(name, found, len(manifest.classes), total)
        rows = (of.counts.sum(axis=1).tolist() for of in (found, held))
        yield f"{name}: components by true class", *rows
        yield f"{name}: unlabelled components", found.unlabelled, held.unlabelled
        if found is not held:
            abstained = int(found.counts[:, -1].sum()) + found.unlabelled_abstained
            yield f"{name}: abstentions", abstained, 0
            yield f"{name}: allowed", found.allowed, 0
    yield "allowed", held.allowed, manifest.allowed(planned)
    yield "draws", record.draws, _within(record.draws, *manifest.draws)
    yield "a reason to stop", record.stopped in REASONS, manifest.certifier.stops_early
    yield "a gain", (record.gain is not None, record.nodes is not None), (tree, tree)
    if record.gain is not None and record.nodes is not None:
        yield from _gained(record.gain, record.nodes, held)
    yield "a curve", record.curve is not None, manifest.certifier.mapped
    if record.curve is not None:
        yield from _curved(record.curve, held, manifest, total)
    yield "percentile bounds", record.percentile is not None, manifest.percentile
    if record.percentile is not None:
        yield from _bounded(record.percentile, manifest)


def _counted(name: str, counts: Confusion, classes: int, total: int) -> Iterator[Fact]:
    yield f"{name}: shape of the counts", counts.counts.shape, (classes, classes + 1)
    # First each: sums of larger numbers could come out right by overflow.
    largest = max(int(counts.counts.max()), counts.unlabelled)
    yield f"{name}: the largest count", largest, min(largest, total)
    yield f"{name}: components", counts.labelled + counts.unlabelled, total
    abstained = counts.unlabelled_abstained
    yield f"{name}: unlabelled abstentions", abstained, min(abstained, counts.unlabelled)


def _gained(gain: InformationGain, nodes: int, held: Confusion) -> Iterator[Fact]:
    """A correct class gains 1, an abstention nothing, a group less than 1 (theory T8)."""
    rows = held.counts.sum(axis=1)
    yield "gain: components by true class", gain.labelled.tolist(), rows.tolist()
    least, most = np.diagonal(held.counts), held.counts[:, -1] + np.diagonal(held.counts)
    yield "gain", gain.gain.tolist(), np.clip(gain.gain, least, most).tolist()
    classes = held.labelled - int(held.counts[:, -1].sum())
    yield "nodes", nodes, _within(nodes, classes, held.labelled)


def _curved(curve: RadiusCurve, held: Confusion, manifest: Manifest, total: int) -> Iterator[Fact]:
    """Counts fall along the radii, and those of the table lie between its neighbours'."""
    radii, rows = curve_radii(manifest.noise), held.counts.sum(axis=1)
    yield "curve: radii", curve.radii.tolist(), radii.tolist()
    yield "curve: components by true class", curve.labelled.tolist(), rows.tolist()
    yield "curve: allowed", curve.allowed, 0
    certified, claimed = rows - held.counts[:, -1], held.counts[:, :-1].sum(axis=0)
    of_table = {"certified": certified, "claimed": claimed, "correct": np.diagonal(held.counts)}
    place = int(np.searchsorted(radii, manifest.radius))
    for name, there in of_table.items():
        counts = getattr(curve, name)
        yield f"curve: shape of {name}", counts.shape, (len(radii), len(rows))
        yield f"curve: the largest {name}", int(counts.max()), min(int(counts.max()), total)
        yield f"curve: {name} falls", bool(np.all(np.diff(counts, axis=0) <= 0)), True
        least = counts[place] if place < len(radii) else 0
        fits = (least <= there) & (there <= counts[max(place - 1, 0)])
        yield f"curve: {name} beside the table", bool(np.all(fits)), True
    yield "curve: claimed", curve.claimed.sum(axis=1).tolist(), curve.certified.sum(axis=1).tolist()
    right = np.minimum(curve.certified, curve.claimed)
    yield "curve: correct within certified", bool(np.all(curve.correct <= right)), True
    yield "curve: certified within labelled", bool(np.all(curve.certified[0] <= rows)), True


def _bounded(bounds: Mapping[str, Any], manifest: Manifest) -> Iterator[Fact]:
    """Bounds on one noisy pass (theory T10)."""
    settings = manifest.settings
    of = {"draws": settings["num_samples"], "radius": manifest.radius, "alpha": settings["alpha"]}
    yield "percentile: of", bounds["of"], of
    yield "percentile: areas", len(bounds["area"]), len(manifest.classes)
    named = {name: value for name, value in bounds.items() if name not in ("of", "area")}
    yield "percentile", set(named) <= {"accuracy", "mean_iou"}, True
    for low, high in (*bounds["area"], *((value, 1.0) for value in named.values())):
        fits = type(low) is type(high) is float and 0.0 <= low <= high <= 1.0
        yield "percentile: a bound in [0, 1]", fits, True


def _within(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)
