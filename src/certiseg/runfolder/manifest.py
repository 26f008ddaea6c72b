"""``Manifest``: what a run fixed before its first draw, read from run.json and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certiseg.binary import BinaryOutput
from certiseg.certificates.method import Method
from certiseg.certifiers.segcertify import checked_budget
from certiseg.certifiers.sequential import Sequential
from certiseg.certifiers.sequential_regions import SequentialRegions
from certiseg.datasets.card import IGNORE, KINDS, Colour
from certiseg.errors import InputError, first_line
from certiseg.files.documents import parse_json
from certiseg.files.fields import (
    ANY,
    TEXT,
    TRUTH,
    Fields,
    checked,
    dict_of,
    list_of,
    one_of,
    optional,
    whole,
)
from certiseg.files.fields import RECORD as OBJECT
from certiseg.files.reading import RECORD, read_bounded
from certiseg.noise import Noise, noise_from_record
from certiseg.runfolder.comparison import BASE_CLEAN, BASE_NOISE, NON_ROBUST
from certiseg.runfolder.derived import certifier, components, contradictions, row_name
from certiseg.runfolder.layout import FORMAT, MANIFEST, Layout, file_stem
from certiseg.runfolder.metrics import allowed_pixels
from certiseg.runfolder.under_attack import epsilons_of
from certiseg.stats.pvalues import MOST_TRIALS
from certiseg.votes import SEED_BITS

_SAMPLE: Fields = {
    "number": whole(0, 2**31),
    "name": TEXT,
    "file": TEXT,
    "kept": TRUTH,
    "category": optional(TEXT),
    "size": list_of(whole(1, 2**31 - 1), 1, 3),
    "input": TEXT,
    "truth": TEXT,
    "shown": TEXT,
    "digest": TEXT,
}
_SETTINGS: Fields = {
    "num_samples": whole(1, MOST_TRIALS),
    "selection_samples": whole(1, MOST_TRIALS),
    "selection": one_of("pooled", "split"),
    "grid": optional(whole(1, 2**31)),
}
# Values that follow from others may be anything here: ``contradictions`` names them.
_MANIFEST: Fields = {
    **dict.fromkeys(("method", "certified", "norm", "radius"), ANY),
    **dict.fromkeys(("run", "model", "data", "seed_origin"), TEXT),
    **dict.fromkeys(("non_robust", "thinned"), optional(TEXT)),
    **dict.fromkeys(("model_fingerprint", "non_robust_fingerprint"), optional(TEXT)),
    **dict.fromkeys(("settings", "noise", "made_with"), OBJECT),
    "format": one_of(FORMAT),
    "kind": one_of(*KINDS),
    "classes": list_of(TEXT, 1, IGNORE - 1),
    "palette": list_of(list_of(whole(0, 255), 3, 3), 1, IGNORE - 1),
    **dict.fromkeys(("reading", "binary", "non_robust_binary"), optional(OBJECT)),
    "parts": optional(dict_of(list_of(whole(0, IGNORE), 1, IGNORE))),
    "percentile": TRUTH,
    "attacks": optional(OBJECT),
    "seed": whole(0, 2**SEED_BITS - 1),
    "samples": list_of(OBJECT, 0, 2**31),
}
_AS_WRITTEN = (
    *("run", "kind", "model", "non_robust", "data", "thinned", "reading", "settings", "made_with"),
    *("seed", "seed_origin", "percentile"),
)


@dataclass(frozen=True)
class Planned:
    """A sample of the run.

    file: stem of its file names. kept: True if it is kept for the report. category: of a cloud.
    size: shape of the truth. input: fingerprint, as in certificates. truth, shown: digests of the
    arrays in its view. digest: of input, truth and category.
    """

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
    """Content of run.json.

    run: identity (``run_id``). certifier, method (its name), certified (name of the comparison's
    last row), radius (of the comparison) and noise follow from the settings. epsilons: norms of the
    attacks, or None. contradictions: a line for each value in the file that does not follow.
    reading: how files were read, or None.
    """

    run: str
    kind: str
    model: str
    non_robust: str | None
    data: str
    thinned: str | None
    reading: Mapping[str, Any] | None
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
    epsilons: tuple[float, ...] | None
    contradictions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the comparison's rows of models without certificates."""
        return (*((NON_ROBUST,) if self.non_robust is not None else ()), BASE_CLEAN, BASE_NOISE)

    @property
    def draws(self) -> tuple[int, int]:
        """Smallest and largest number of draws that a sample can have."""
        settings = self.settings
        chosen = settings["selection_samples"] if settings["selection"] == "split" else 0
        most = settings["num_samples"] + chosen
        return (1 if self.certifier.stops_early else most), most

    def grid(self, planned: Planned) -> tuple[int, ...]:
        """Shape of the labels in this sample's certificate."""
        return components(planned.size, self.settings["grid"])

    def budget(self, planned: Planned) -> int | None:
        """Error budget k of this sample, or None."""
        given = self.settings["budget"]
        return None if given is None else checked_budget(given, math.prod(self.grid(planned)))

    def looks(self, planned: Planned) -> tuple[tuple[int, float], ...]:
        """Planned looks of early stopping for this sample."""
        assert isinstance(self.certifier, (Sequential, SequentialRegions))
        size, most = math.prod(self.grid(planned)), self.settings["num_samples"]
        return self.certifier.plan(size, most, len(self.classes))

    def allowed(self, planned: Planned) -> int:
        """Number of false certificates among this sample's pixels that the guarantee allows."""
        return allowed_pixels(self.budget(planned), self.grid(planned), planned.size)


def read_manifest(root: Path) -> Manifest:
    """Read and check run.json. Raises InputError if it is missing or invalid."""
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
        raise InputError(
            f"{path}: expected a manifest of format {FORMAT}, got another or a damaged one "
            f"({first_line(error)[:200]}); run certiseg evaluate again, with --overwrite"
        ) from None


def manifest_of(record: Any) -> Manifest:
    """Build the manifest from plain values. Raises ValueError, TypeError or LookupError."""
    values = checked(record, _MANIFEST, "a manifest")
    classes, parts, settings = values["classes"], values["parts"], values["settings"]
    checked({name: settings[name] for name in _SETTINGS}, _SETTINGS, "the settings")
    if len(classes) != len(values["palette"]):
        raise ValueError(f"{len(classes)} classes and {len(values['palette'])} colours")
    if any(label >= len(classes) for labels in (parts or {}).values() for label in labels):
        raise ValueError(f"parts beyond the {len(classes)} classes")
    for binary in (values["binary"], values["non_robust_binary"]):
        if binary is not None:
            BinaryOutput.from_record(binary)
    noise, method = noise_from_record(values["noise"]), certifier(settings)
    found = Manifest(
        classes=tuple(classes),
        palette=tuple((red, green, blue) for red, green, blue in values["palette"]),
        noise=noise,
        radius=noise.radius(settings["tau"]),
        method=method.name,
        certifier=method,
        certified=row_name(method, settings["num_samples"]),
        samples=tuple(_planned(n, sample) for n, sample in enumerate(values["samples"])),
        parts=None if parts is None else {name: tuple(labels) for name, labels in parts.items()},
        epsilons=epsilons_of(values["attacks"]),
        contradictions=tuple(contradictions(record, noise)),
        **{name: values[name] for name in _AS_WRITTEN},
    )
    for sizes in {(planned.size, planned.category): planned for planned in found.samples}.values():
        _check_sample(found, sizes)
    return found


def _check_sample(manifest: Manifest, planned: Planned) -> None:
    """Raise ValueError unless budget, looks and category are possible for this sample."""
    manifest.allowed(planned)
    if isinstance(manifest.certifier, (Sequential, SequentialRegions)):
        manifest.looks(planned)
    known = [None] if manifest.parts is None else list(manifest.parts)
    if planned.category not in known:
        raise ValueError(f"sample {planned.number} of category {planned.category!r:.60}")


def _planned(number: int, record: Any) -> Planned:
    values = checked(record, _SAMPLE, f"sample {number}")
    # The file name must follow from number and name, so that it cannot lead out of the folder.
    if (values["number"], values["file"]) != (number, file_stem(number, values["name"])):
        raise ValueError(f"sample {number} as {record!r:.80}")
    if math.prod(values["size"]) > 2**32:
        raise ValueError(f"sample {number} of size {values['size']!r:.60}")
    return Planned(**{**values, "size": tuple(values["size"])})
