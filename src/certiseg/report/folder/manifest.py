"""What a run set out to do, read from its run.json and checked field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certiseg.datasets.card import IGNORE, KINDS, Colour
from certiseg.errors import InputError
from certiseg.noise import Noise, noise_from_record
from certiseg.reading import RECORD, read_bounded
from certiseg.report.folder.identity import run_id
from certiseg.report.folder.layout import FORMAT, MANIFEST, Layout, file_stem


@dataclass(frozen=True)
class Planned:
    """A sample of the run. file: the stem of its files. kept: for the report."""

    number: int
    name: str
    file: str
    kept: bool


@dataclass(frozen=True)
class Manifest:
    """run.json. run: its identity (``run_id``). certified: name of the table's last row. radius: at
    which the table holds. settings, made_with: as they were written, for show."""

    run: str
    kind: str
    model: str
    non_robust: str | None
    data: str
    thinned: str | None
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    method: str
    certified: str
    noise: Noise
    radius: float
    settings: Mapping[str, Any]
    made_with: Mapping[str, Any]
    samples: tuple[Planned, ...]


def read_manifest(root: Path) -> Manifest:
    """Raises InputError where there is none, or one that no run writes."""
    path = Layout(root).manifest
    try:
        record = json.loads(read_bounded(path, RECORD))
        return _manifest(record)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"expected the folder of a run, got {root} without {MANIFEST}; "
            "name one that certiseg evaluate or certiseg demo wrote"
        ) from None
    except OSError as error:
        raise InputError(f"expected to read {path}, got {error.strerror}") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path}: expected a manifest of format {FORMAT}, got another or a damaged one "
            f"({reason}); run certiseg evaluate again"
        ) from None


def _manifest(record: Any) -> Manifest:
    if record["format"] != FORMAT:
        raise ValueError(f"format {record['format']!r:.60}")
    if record["kind"] not in KINDS:
        raise ValueError(f"kind {record['kind']!r:.60}")
    classes = tuple(_text(name) for name in record["classes"])
    palette = tuple(_colour(colour) for colour in record["palette"])
    if not 0 < len(classes) < IGNORE or len(classes) != len(palette):
        raise ValueError(f"{len(classes)} classes and {len(palette)} colours")
    radius = record["radius"]
    if isinstance(radius, bool) or not isinstance(radius, (int, float)) or not 0 <= radius < 1e9:
        raise ValueError(f"radius {radius!r:.60}")
    if record.get("run") != run_id(record):
        raise ValueError("edited, or of an earlier version")
    return Manifest(
        run=record["run"],
        kind=record["kind"],
        classes=classes,
        palette=palette,
        noise=noise_from_record(record["noise"]),
        radius=float(radius),
        settings=_mapping(record["settings"]),
        made_with=_mapping(record["made_with"]),
        samples=tuple(_planned(n, sample) for n, sample in enumerate(record["samples"])),
        non_robust=None if record["non_robust"] is None else _text(record["non_robust"]),
        thinned=None if record["thinned"] is None else _text(record["thinned"]),
        **{name: _text(record[name]) for name in ("model", "data", "method", "certified")},
    )


def _planned(number: int, record: Any) -> Planned:
    name = _text(record["name"])
    stem = file_stem(number, name)
    # The stem is made anew, so that no manifest can point outside its folder.
    if record["number"] != number or record["file"] != stem or type(record["kept"]) is not bool:
        raise ValueError(f"sample {number} as {record!r:.80}")
    return Planned(number, name, stem, record["kept"])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r:.60}")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"expected a record, got {value!r:.60}")
    return value


def _colour(value: Any) -> Colour:
    red, green, blue = value
    if not all(type(part) is int and 0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(f"colour {value!r:.60}")
    return red, green, blue
