"""Writing the folder of a run as it goes: it can be looked at, and continued, at every moment."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os.path import lexists
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import Sample
from certiseg.documents import read_document
from certiseg.errors import ClaimError, InputError
from certiseg.files import atomic_write, make_folder, refuse_link, sweep
from certiseg.folders import locked
from certiseg.reading import RECORD
from certiseg.runfolder.evidence import open_kept
from certiseg.runfolder.layout import (
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
from certiseg.runfolder.view import LABELS, shown
from certiseg.runs.output import write_text
from certiseg.runs.run_manifest import check_same

_NAMES = (*TABLES, RESULTS, *CURVE_FILES, PAGE, MANIFEST)


@dataclass(frozen=True)
class Keep:
    """What stays of single samples. samples: how many are kept for the report, evenly spread,
    None for all; certificates: of all samples, not only of those."""

    samples: int | None = 20
    certificates: bool = False


class RunFolder:
    """A run in the making below ``out``; every file is written whole.

    record: its manifest, once it has one; certificates: whether those of all samples are kept.
    """

    def __init__(self, out: Path, certificates: bool = False) -> None:
        self.layout = Layout(out)
        self.record: Mapping[str, Any] = {}
        self._certificates = certificates

    def begin(self, record: Mapping[str, Any], overwrite: bool = False) -> None:
        """Remove the files of an earlier run that is being replaced, then write the manifest.

        Raises InputError where there are such files and they are not to be, and for files that no
        run wrote.
        """
        with locked(self.layout.root, _NAMES, overwrite) as outputs:
            self._prepare()
            earlier = self._earlier()
            for planned in record["samples"]:
                for file in self.layout.of_sample(planned["file"]):
                    if lexists(file) and file not in earlier:
                        raise InputError(
                            f"expected nothing of others in the way, got {file}, which is of no "
                            "run here; move it away or choose another folder with -o"
                        )
            # The results first: what is left of a removed run is an unfinished one.
            outputs.remove(name for name in _NAMES if name != MANIFEST)
            for file in earlier:
                file.unlink(missing_ok=True)
            write_text(self.layout.manifest, json.dumps(record, indent=1) + "\n")
        self.record = record

    def resume(self, asked: Mapping[str, Any]) -> None:
        """Go on with the run that is there. Raises InputError where that asks for anything else."""
        contradictions = read_manifest(self.layout.root).contradictions
        if contradictions:
            raise ClaimError(
                f"{self.layout.manifest}: {contradictions[0]}; begin anew with --overwrite"
            )
        begun = read_document(self.layout.manifest, RECORD)
        check_same(begun, asked, str(self.layout.root))
        self._prepare()
        self.record = begun

    def keeps(self, number: int) -> tuple[bool, bool]:
        """Whether the view of this sample is kept, and whether its certificate is."""
        kept = self.record["samples"][number]["kept"]
        return kept, kept or self._certificates

    def write(
        self,
        number: int,
        record: Mapping[str, Any],
        view: bytes | None = None,
        certificate: bytes | None = None,
    ) -> None:
        """All files of a sample, its record last: with it the sample is done."""
        stem = self._stem(number)
        for path, content in (
            (self.layout.view(stem), view),
            (self.layout.certificate(stem), certificate),
            (
                self.layout.sample(stem),
                f"{json.dumps({'number': number, 'run': self.record['run'], **record})}\n".encode(),
            ),
        ):
            if content is not None:
                make_folder(path.parent)
                atomic_write(path, content)

    def done(self, number: int) -> bool:
        """Whether the sample is whole and of this run: its record can be pooled, and what is kept
        of it bears the record out."""
        stem, (view, certificate) = self._stem(number), self.keeps(number)
        try:
            record = self._read(number)
            if view:
                open_kept(self.layout, self._manifest, record)
        except (InputError, ClaimError, OSError):
            return False
        return self.layout.certificate(stem).exists() or not certificate

    def pooled(self) -> Pooled:
        """The figures of all samples, in their order, one record at a time."""
        pooled = Pooled(self._manifest)
        for number in range(len(self.record["samples"])):
            pooled.add(self._read(number))
        return pooled

    @cached_property
    def _manifest(self) -> Manifest:
        return manifest_of(json.loads(json.dumps(self.record)))

    def _read(self, number: int) -> Record:
        path = self.layout.sample(self._stem(number))
        try:
            return read_record(path, self._manifest, self._manifest.samples[number])
        except (InputError, ClaimError) as error:
            raise type(error)(f"{path}: {error}; remove it") from None

    def _stem(self, number: int) -> str:
        return str(self.record["samples"][number]["file"])

    def _prepare(self) -> None:
        """Remove what a process that was killed had begun to write. Raises InputError for folders
        that lead elsewhere."""
        for name in FOLDERS:
            refuse_link(self.layout.root / name)
            sweep(self.layout.root / name)

    def _earlier(self) -> set[Path]:
        """Files of the samples of the run that is there; none where its manifest does not tell."""
        try:
            samples = read_manifest(self.layout.root).samples
        except InputError:
            return set()
        return {file for planned in samples for file in self.layout.of_sample(planned.file)}


def view_content(sample: Sample, noisy: NDArray[Any], labels: Mapping[str, NDArray[Any]]) -> bytes:
    """The file of a view: x, truth, noisy (one draw) and what the models say, by the name of their
    row, each on its own grid."""
    narrow = {
        LABELS[name]: values.astype(np.uint8 if values.max() < 255 else np.int32)
        for name, values in labels.items()
    }
    arrays = {"x": shown(sample.x), "truth": sample.labels, "noisy": shown(noisy), **narrow}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
