"""What a run set out to do, read from its run.json and checked field by field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certiseg.certificates.method import Method
from certiseg.certifiers.segcertify import checked_budget
from certiseg.certifiers.sequential import Sequential
from certiseg.datasets.card import IGNORE, KINDS, Colour
from certiseg.errors import InputError
from certiseg.files.documents import parse_json
from certiseg.files.reading import RECORD, read_bounded
from certiseg.noise import Noise, noise_from_record
from certiseg.runfolder.comparison import BASE_CLEAN, BASE_NOISE, NON_ROBUST
from certiseg.runfolder.derived import certifier, components, contradictions, row_name
from certiseg.runfolder.layout import FORMAT, MANIFEST, Layout, file_stem
from certiseg.runfolder.metrics import allowed_pixels


@dataclass(frozen=True)
class Planned:
    """A sample of the run. file: the stem of its files. kept: for the report. category: of a cloud.
    size: of its truth. input: its fingerprint, as certificates name it; truth, shown: digests of
    what a view holds; digest: of input, truth and category."""

    number: int
    name: str
    file: str
    kept: bool
    category: str | None
    size: tuple[int, ...]
    input: str
    truth: str
    shown: str
    digest: str


@dataclass(frozen=True)
class Manifest:
    """run.json. run: its identity (``run_id``). certifier and method, its name, certified (name of
    the table's last row), radius (at which the table holds) and noise follow from the settings;
    contradictions: where it states something else, a line each. settings, made_with: as they were
    written."""

    run: str
    kind: str
    model: str
    non_robust: str | None
    data: str
    thinned: str | None
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    method: str
    certifier: Method
    certified: str
    noise: Noise
    radius: float
    settings: Mapping[str, Any]
    made_with: Mapping[str, Any]
    samples: tuple[Planned, ...]
    parts: Mapping[str, tuple[int, ...]] | None
    seed: int
    seed_origin: str
    percentile: bool
    contradictions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the models without a certificate, as rows of the table."""
        return (*((NON_ROBUST,) if self.non_robust is not None else ()), BASE_CLEAN, BASE_NOISE)

    @property
    def draws(self) -> tuple[int, int]:
        """Fewest and most draws that a sample may have taken."""
        settings = self.settings
        chosen = settings["selection_samples"] if settings["selection"] == "split" else 0
        most = settings["num_samples"] + chosen
        return (1 if self.certifier.stops_early else most), most

    def grid(self, planned: Planned) -> tuple[int, ...]:
        """Shape of the labels that certificates of this sample have."""
        return components(planned.size, self.settings["grid"])

    def budget(self, planned: Planned) -> int | None:
        """Error budget k of this sample, None without one."""
        given = self.settings["budget"]
        return None if given is None else checked_budget(given, math.prod(self.grid(planned)))

    def looks(self, planned: Planned) -> tuple[tuple[int, float], ...]:
        """The looks of early stopping, as they were planned for this sample."""
        assert isinstance(self.certifier, Sequential)
        size, most = math.prod(self.grid(planned)), self.settings["num_samples"]
        return self.certifier.plan(size, most, len(self.classes))

    def allowed(self, planned: Planned) -> int:
        """Components of this sample's truth that may carry a false certificate."""
        return allowed_pixels(self.budget(planned), self.grid(planned), planned.size)


def read_manifest(root: Path) -> Manifest:
    """Raises InputError where there is none, or one that no run writes."""
    path = Layout(root).manifest
    try:
        return manifest_of(parse_json(read_bounded(path, RECORD).decode("utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"expected the folder of a run, got {root} without {MANIFEST}; "
            "name one that certiseg evaluate or certiseg demo wrote"
        ) from None
    except OSError as error:
        raise InputError(f"expected to read {path}, got {error.strerror}") from None
    except (
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        AttributeError,
        RecursionError,
    ) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path}: expected a manifest of format {FORMAT}, got another or a damaged one "
            f"({reason}); run certiseg evaluate again, with --overwrite"
        ) from None


def manifest_of(record: Any) -> Manifest:
    """The manifest in plain values. Raises ValueError, TypeError or LookupError for another."""
    if record["format"] != FORMAT:
        raise ValueError(f"format {record['format']!r:.60}")
    if record["kind"] not in KINDS:
        raise ValueError(f"kind {record['kind']!r:.60}")
    classes = tuple(_text(name) for name in record["classes"])
    palette = tuple(_colour(colour) for colour in record["palette"])
    if not 0 < len(classes) < IGNORE or len(classes) != len(palette):
        raise ValueError(f"{len(classes)} classes and {len(palette)} colours")
    noise, settings = noise_from_record(record["noise"]), _mapping(record["settings"])
    _check_settings(settings)
    method = certifier(settings)
    samples = tuple(_planned(n, sample) for n, sample in enumerate(record["samples"]))
    if type(record["seed"]) is not int or type(record["percentile"]) is not bool:
        raise ValueError(f"seed {record['seed']!r:.60}")
    found = Manifest(
        run=_text(record["run"]),
        kind=record["kind"],
        classes=classes,
        palette=palette,
        noise=noise,
        radius=noise.radius(settings["tau"]),
        method=method.name,
        certifier=method,
        certified=row_name(method, settings["num_samples"]),
        settings=settings,
        made_with=_mapping(record["made_with"]),
        samples=samples,
        parts=_parts(record["parts"], len(classes)),
        seed=record["seed"],
        percentile=record["percentile"],
        non_robust=None if record["non_robust"] is None else _text(record["non_robust"]),
        thinned=None if record["thinned"] is None else _text(record["thinned"]),
        contradictions=tuple(contradictions(record, noise)),
        **{name: _text(record[name]) for name in ("model", "data", "seed_origin")},
    )
    for sizes in {(planned.size, planned.category): planned for planned in samples}.values():
        _check_sample(found, sizes)
    return found


def _check_settings(settings: Mapping[str, Any]) -> None:
    for name in ("num_samples", "selection_samples"):
        if type(settings[name]) is not int or settings[name] < 1:
            raise ValueError(f"{name} {settings[name]!r:.60}")
    if settings["selection"] not in ("pooled", "split"):
        raise ValueError(f"selection {settings['selection']!r:.60}")
    grid = settings["grid"]
    if grid is not None and not (type(grid) is int and grid >= 1):
        raise ValueError(f"grid {grid!r:.60}")


def _check_sample(manifest: Manifest, planned: Planned) -> None:
    """Refuses what no run could have planned for a sample of this size and category."""
    manifest.allowed(planned)
    if isinstance(manifest.certifier, Sequential):
        manifest.looks(planned)
    known = [None] if manifest.parts is None else list(manifest.parts)
    if planned.category not in known:
        raise ValueError(f"sample {planned.number} of category {planned.category!r:.60}")


def _planned(number: int, record: Any) -> Planned:
    name = _text(record["name"])
    stem = file_stem(number, name)
    # The stem is made anew, so that no manifest can point outside its folder.
    if record["number"] != number or record["file"] != stem or type(record["kept"]) is not bool:
        raise ValueError(f"sample {number} as {record!r:.80}")
    size = record["size"]
    whole = all(type(side) is int and 0 < side < 2**31 for side in size)
    if not whole or len(size) not in (1, 2, 3) or math.prod(size) > 2**32:
        raise ValueError(f"sample {number} of size {size!r:.60}")
    prints = {key: _text(record[key]) for key in ("input", "truth", "shown", "digest")}
    category = None if record["category"] is None else _text(record["category"])
    return Planned(number, name, stem, record["kept"], category, tuple(size), **prints)


def _parts(value: Any, classes: int) -> Mapping[str, tuple[int, ...]] | None:
    """Of clouds, the labels of each category."""
    if value is None:
        return None
    for labels in _mapping(value).values():
        if not labels or not all(type(label) is int and 0 <= label < classes for label in labels):
            raise ValueError(f"parts {labels!r:.60}")
    return {name: tuple(labels) for name, labels in value.items()}


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
