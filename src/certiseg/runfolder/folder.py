"""``RunFolder``: the run folder of an evaluation (docs/report.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from certiseg.errors import ClaimError, InputError
from certiseg.files.documents import read_document
from certiseg.files.reading import RECORD
from certiseg.runfolder.evidence import open_kept
from certiseg.runfolder.identity import VERSIONS
from certiseg.runfolder.layout import (
    ATTACKS,
    CURVE_FILES,
    FOLDERS,
    MANIFEST,
    PAGE,
    RESULTS,
    TABLES,
    Layout,
)
from certiseg.runfolder.manifest import Manifest, manifest_of, read_manifest
from certiseg.runfolder.pooled import Pooled
from certiseg.runfolder.record import Record, read_record
from certiseg.runfolder.store import ResultStore


@dataclass(frozen=True)
class Keep:
    """Which files of single samples are kept.

    Args:
        samples: number of samples kept for the report, evenly spaced; None for all.
        certificates: keep the certificates of all samples, not only of those.

    Raises:
        InputError: for a negative number.
    """

    samples: int | None = 20
    certificates: bool = False

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 0:
            raise InputError(f"expected --keep 0 or more, got {self.samples}; 0 keeps no sample")


class RunFolder(ResultStore):
    """Results of an evaluation below ``root``; its cells are the samples.

    certificates: keep the certificates of all samples.
    """

    NAMES: ClassVar = (*TABLES, RESULTS, ATTACKS, *CURVE_FILES, PAGE, MANIFEST)
    FOLDERS: ClassVar = FOLDERS

    def __init__(self, root: Path, certificates: bool = False) -> None:
        super().__init__(root)
        self.layout = Layout(root)
        self._certificates = certificates

    def begun(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """See ``ResultStore``."""
        contradictions = read_manifest(self.root).contradictions
        if contradictions:
            raise ClaimError(f"{self.manifest}: {contradictions[0]}; begin anew with --overwrite")
        found: dict[str, Any] = read_document(self.manifest, RECORD)
        check_same(found, asked, str(self.root))
        return found

    def keeps(self, number: int) -> tuple[bool, bool]:
        """(view, certificate): which of the files of this sample are kept."""
        kept = self.record["samples"][number]["kept"]
        return kept, kept or self._certificates

    def write(self, number: int, record: Mapping[str, Any], *others: bytes | None) -> None:
        """Write all files of a sample: record, view and certificate."""
        super().write(number, {"number": number, "run": self.record["run"], **record}, *others)

    def done(self, number: int) -> bool:
        """True if the record is valid and agrees with the kept files of the sample."""
        view, certificate = self.keeps(number)
        try:
            record = self._read(number)
            if view:
                open_kept(self.layout, self._manifest, record)
        except (InputError, ClaimError, OSError):
            return False
        return self.layout.certificate(self.stem(number)).exists() or not certificate

    def pooled(self) -> Pooled:
        """Pool the records of all samples in order."""
        pooled = Pooled(self._manifest)
        for number in range(len(self)):
            pooled.add(self._read(number))
        return pooled

    @cached_property
    def _manifest(self) -> Manifest:
        return manifest_of(json.loads(json.dumps(self.record)))

    def _read(self, number: int) -> Record:
        path = self.layout.sample(self.stem(number))
        try:
            return read_record(path, self._manifest, self._manifest.samples[number])
        except (InputError, ClaimError) as error:
            raise type(error)(f"{path}: {error}; remove it") from None

    def _earlier(self) -> list[str]:
        try:
            return [planned.file for planned in read_manifest(self.root).samples]
        except InputError:
            return []


def check_same(begun: Mapping[str, Any], asked: Mapping[str, Any], where: str) -> None:
    """Raise InputError if a call to resume differs from the folder's manifest in anything that
    results depend on. Both are plain JSON values."""
    found = list(_differences(begun, asked))
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise InputError(
            f"expected the run at {where} to be resumed as it began, got "
            f"{', '.join(found[:3])}{more}; pass the same options, or begin anew with --overwrite"
        )


def _differences(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Yield a short description of each difference."""
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
