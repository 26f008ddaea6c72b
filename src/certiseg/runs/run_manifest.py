"""What a run sets out to do, as run.json says it; and whether another call means the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from certiseg.datasets.card import Samples, note_of
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.noise import noise_record
from certiseg.runfolder.derived import row_name
from certiseg.runfolder.identity import VERSIONS, run_id
from certiseg.runfolder.layout import FORMAT, file_stem, kept_numbers
from certiseg.runs.check import Checked
from certiseg.runs.environment import environment
from certiseg.runs.executors.job import identity
from certiseg.runs.settings import Settings
from certiseg.sampling.keys import FreshSeed, RecordedSeed, fresh_seed


def manifest(
    samples: Samples,
    checked: Sequence[Checked],
    loaded: LoadedModel,
    non_robust: LoadedModel | None,
    settings: Settings,
    command: str,
    *,
    percentile: bool = False,
    keep: int | None = 20,
) -> dict[str, Any]:
    """What is fixed before the first draw, as plain JSON values. keep: samples kept for the report,
    None for all.

    The seed is drawn here, after everything that it must not depend on is known by fingerprint
    (theory T15).
    """
    card, kept = samples.card, kept_numbers(len(samples), keep)
    seed = fresh_seed() if settings.seed is None else settings.seed
    record = {
        "format": FORMAT,
        "kind": card.kind,
        "model": loaded.name,
        "model_fingerprint": identity(loaded),
        "non_robust": None if non_robust is None else non_robust.name,
        "non_robust_fingerprint": None if non_robust is None else identity(non_robust),
        "data": card.name,
        "thinned": note_of(samples),
        "classes": list(card.classes),
        "palette": [list(colour) for colour in card.palette],
        "parts": None if card.parts is None else {k: list(v) for k, v in card.parts.items()},
        "method": settings.method,
        "certified": row_name(settings.certifier, settings.num_samples),
        "percentile": percentile,
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


def seed_of(record: Mapping[str, Any], resumed: bool) -> int:
    """The run's seed and where it came from, of which a run that goes on has only the record's
    word (theory T15)."""
    chosen = record["settings"]["seed"]
    if chosen is not None:
        return int(chosen)
    return RecordedSeed(record["seed"]) if resumed else FreshSeed(record["seed"])


def check_same(begun: Mapping[str, Any], asked: Mapping[str, Any], where: str) -> None:
    """Raise InputError unless a call asks for what the folder's manifest says, in all that a
    result may depend on. Both as ``manifest`` makes them."""
    found = list(_differences(begun, asked))
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise InputError(
            f"expected the run at {where} to go on as it began, got "
            f"{', '.join(found[:3])}{more}; ask for the same, or begin anew with --overwrite"
        )


def _differences(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Each in a few words: what it is now, and what it was."""
    skipped = ("settings", "samples", "made_with", "seed", "seed_origin", "run")
    for part, of in (("", skipped), ("settings", ()), ("made_with", ())):
        old, new = (record if not part else record[part] for record in (begun, asked))
        names = VERSIONS if part == "made_with" else [*dict.fromkeys([*old, *new])]
        for name in names:
            if name not in of and old.get(name) != new.get(name):
                if name.endswith("fingerprint"):
                    yield f"another {name.removesuffix('_fingerprint')} under its name"
                else:
                    yield f"{name} {_short(new.get(name))} instead of {_short(old.get(name))}"
    if len(begun["samples"]) != len(asked["samples"]):
        yield f"{len(asked['samples'])} samples instead of {len(begun['samples'])}"
        return
    for old, new in zip(begun["samples"], asked["samples"], strict=True):
        if old["name"] != new["name"]:
            yield f"sample {_short(new['name'])} instead of {_short(old['name'])}"
        elif old.get("kept") != new["kept"]:
            yield "other samples to keep"
            return
        elif old != new:
            yield f"other content of sample {_short(new['name'])}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
