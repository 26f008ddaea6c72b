"""``Record``: the counts of one sample, read from its file and checked for consistency.

They are checked against the manifest and each other, without the sample's arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certiseg.certificates.looks import REASONS
from certiseg.errors import InputError, first_line
from certiseg.files.documents import parse_json
from certiseg.files.fields import (
    ANY,
    TEXT,
    Field,
    Fields,
    checked,
    dict_of,
    list_of,
    optional,
    whole,
)
from certiseg.files.fields import RECORD as OBJECT
from certiseg.files.reading import RECORD, read_bounded
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.records import counts_from_record
from certiseg.runfolder.comparison import CERTIFIED
from certiseg.runfolder.difference import Fact, check
from certiseg.runfolder.manifest import Manifest, Planned
from certiseg.runfolder.metrics import BEYOND, curve_radii
from certiseg.runfolder.under_attack import UnderAttack, attack_facts

_SECONDS = Field("seconds", lambda value: type(value) in (int, float) and 0 <= value < 1e9)
_MODEL: Fields = {"confusion": ANY, "seconds": _SECONDS}
_CERTIFIED: Fields = {
    **dict.fromkeys(("confusion", "gain", "curve", "stopped"), ANY),
    "nodes": optional(whole(0, 2**63)),
    "beyond": optional(list_of(whole(0, 2**63), len(BEYOND), len(BEYOND))),
    "draws": whole(0, 2**63),
    "seconds": _SECONDS,
}
_RECORD: Fields = {
    **dict.fromkeys(("number", "run", "seed", "view", "percentile"), ANY),
    **dict.fromkeys(("name", "model"), TEXT),
    "models": dict_of(OBJECT),
    "certified": OBJECT,
    "attacks": optional(list_of(OBJECT, 1, 10_000)),
}


@dataclass(frozen=True)
class Record:
    """Counts of one sample.

    models, seconds: of models without certificates, by name. beyond: from ``right_beyond``. model:
    fingerprint of the certified model. view: SHA-256 of the view's file, None if it is not kept.
    plain: JSON values of the file.
    """

    planned: Planned
    models: Mapping[str, Confusion]
    certified: Confusion
    gain: InformationGain | None
    nodes: int | None
    curve: RadiusCurve | None
    beyond: list[int] | None
    draws: int
    stopped: str | None
    seconds: Mapping[str, float]
    certified_seconds: float
    percentile: Mapping[str, Any] | None
    attacked: UnderAttack | None
    model: str
    view: str | None
    plain: Mapping[str, Any]


def read_record(path: Path, manifest: Manifest, planned: Planned) -> Record:
    """Read and check a record.

    Raises ClaimError if it contradicts the manifest or itself, InputError for a damaged file, and
    OSError if it cannot be read.
    """
    try:
        plain = parse_json(read_bounded(path, RECORD).decode("utf-8"))
        record = _record(plain, planned)
        check(_facts(record, manifest))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise InputError(
            "expected the record of a sample, got another or a damaged one "
            f"({first_line(error)[:200]})"
        ) from None
    return record


def _record(plain: Any, planned: Planned) -> Record:
    values = checked(plain, _RECORD, "a record")
    held = checked(values["certified"], _CERTIFIED, "the certified labels")
    models = {name: checked(found, _MODEL, name) for name, found in values["models"].items()}
    gain, curve = held["gain"], held["curve"]
    return Record(
        planned=planned,
        models={name: counts_from_record(Confusion, m["confusion"]) for name, m in models.items()},
        certified=counts_from_record(Confusion, held["confusion"]),
        gain=None if gain is None else counts_from_record(InformationGain, gain),
        nodes=held["nodes"],
        curve=None if curve is None else counts_from_record(RadiusCurve, curve),
        beyond=held["beyond"],
        draws=held["draws"],
        stopped=held["stopped"],
        seconds={name: float(found["seconds"]) for name, found in models.items()},
        certified_seconds=float(held["seconds"]),
        percentile=values["percentile"],
        attacked=None if values["attacks"] is None else UnderAttack.of(values["attacks"]),
        model=values["model"],
        view=values["view"],
        plain=plain,
    )


def _facts(record: Record, manifest: Manifest) -> Iterator[Fact]:
    """Facts to check, each of which may assume the earlier ones."""
    plain, planned, held = record.plain, record.planned, record.certified
    total, tree = math.prod(planned.size), manifest.settings["hierarchy"] is not None
    yield "number", plain["number"], planned.number
    yield "name", plain["name"], planned.name
    yield "seed", plain["seed"], manifest.seed
    yield "run", plain["run"], manifest.run
    yield "models", list(record.models), list(manifest.rows)
    yield "a view", record.view is not None, planned.kept
    yield "attacks", record.attacked is not None, manifest.epsilons is not None
    attacked = {} if record.attacked is None else record.attacked.plain()
    for name, found in {CERTIFIED: held, **record.models, **attacked}.items():
        yield from _counted(name, found, len(manifest.classes), total)
        rows = (of.counts.sum(axis=1).tolist() for of in (found, held))
        yield f"{name}: components by true class", *rows
        yield f"{name}: unlabelled components", found.unlabelled, held.unlabelled
        if found is not held:
            abstained = int(found.counts[:, -1].sum()) + found.unlabelled_abstained
            yield f"{name}: abstentions", abstained, 0
            yield f"{name}: allowed", (found.allowed, int(found.allowed_by_class.max())), (0, 0)
    yield from _spared(held, manifest, planned)
    yield "draws", record.draws, _within(record.draws, *manifest.draws)
    yield "a reason to stop", record.stopped in REASONS, manifest.certifier.stops_early
    yield "a gain", (record.gain is not None, record.nodes is not None), (tree, tree)
    if record.gain is not None and record.nodes is not None:
        yield from _gained(record.gain, record.nodes, held)
    yield "a curve", record.curve is not None, manifest.certifier.mapped
    if record.curve is not None:
        yield from _curved(record.curve, held, manifest, total)
    if record.beyond is not None:
        # Of a radius map, more labels than those of the comparison's radius.
        right = np.diagonal(held.counts).sum()
        first = held.labelled if manifest.certifier.mapped else int(right)
        most = [first, *record.beyond[:-1]]
        least = [min(pair) for pair in zip(record.beyond, most, strict=True)]
        yield "right beyond the radius", record.beyond, least
    yield "percentile bounds", record.percentile is not None, manifest.percentile
    if record.percentile is not None:
        yield from _bounded(record.percentile, manifest)
    if record.attacked is not None and manifest.epsilons is not None:
        certified = None if manifest.settings.get("custom") else held
        plain_model = manifest.non_robust is not None
        yield from attack_facts(
            record.attacked, manifest.epsilons, plain_model, record.models, certified
        )


def _counted(name: str, counts: Confusion, classes: int, total: int) -> Iterator[Fact]:
    yield f"{name}: shape of the counts", counts.counts.shape, (classes, classes + 1)
    yield f"{name}: shape of those allowed", counts.allowed_by_class.shape, (2, classes)
    # Checked before the sum, which could overflow.
    largest = max(int(counts.counts.max()), counts.unlabelled)
    yield f"{name}: the largest count", largest, min(largest, total)
    yield f"{name}: components", counts.labelled + counts.unlabelled, total
    abstained = counts.unlabelled_abstained
    yield f"{name}: unlabelled abstentions", abstained, min(abstained, counts.unlabelled)


def _spared(held: Confusion, manifest: Manifest, planned: Planned) -> Iterator[Fact]:
    """Facts about the certificates that may be false: fixed by a budget (theory T5), or not more
    than there are (T16)."""
    if not manifest.certifier.counts_regions:
        budget = manifest.allowed(planned)
        by_class = np.zeros_like(held.allowed_by_class)
        by_class[0] = budget
        yield "allowed", held.allowed, budget
        yield "allowed by class", held.allowed_by_class.tolist(), by_class.tolist()
        return
    correct, certified = np.diagonal(held.counts), int(held.counts[:, :-1].sum())
    yield "allowed", held.allowed, min(held.allowed, int(correct.sum()))
    most = np.stack([correct, np.full_like(correct, certified)])
    least = np.minimum(held.allowed_by_class, most)
    yield "allowed by class", held.allowed_by_class.tolist(), least.tolist()


def _gained(gain: InformationGain, nodes: int, held: Confusion) -> Iterator[Fact]:
    """Facts about information gain: 1 for a correct class, 0 for an abstention, between for an
    inner node (theory T8)."""
    rows = held.counts.sum(axis=1)
    yield "gain: components by true class", gain.labelled.tolist(), rows.tolist()
    least, most = np.diagonal(held.counts), held.counts[:, -1] + np.diagonal(held.counts)
    yield "gain", gain.gain.tolist(), np.clip(gain.gain, least, most).tolist()
    classes = held.labelled - int(held.counts[:, -1].sum())
    yield "nodes", nodes, _within(nodes, classes, held.labelled)


def _curved(curve: RadiusCurve, held: Confusion, manifest: Manifest, total: int) -> Iterator[Fact]:
    """Facts about a curve: counts fall with the radius, and the comparison's lie between those of
    the neighbouring radii."""
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
    """Facts about percentile bounds (theory T10)."""
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
