"""The folder of a table in the making: one record a picture, scale and sigma, whole or not there.

An interrupted run goes on where it stopped: what it fixed before the first draw stands in
run.json, and only cells without a record are drawn.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certiseg.errors import InputError
from certiseg.files import atomic_write, make_folder, output_folder
from certiseg.report.folder.layout import file_stem
from certiseg.runs.output import write_text
from certiseg.votes import VoteCounts

MANIFEST = "run.json"
TABLES = ("table.md", "table.csv", "table.tex", "false.csv", "results.json")
FIGURES = ("radius.png", "radius.svg", "shared-noise.png", "shared-noise.svg")
_FORMAT = "certiseg-table-1"


@dataclass(frozen=True)
class Cell:
    """One picture at one scale and sigma. number, name: of the picture."""

    number: int
    name: str
    scale: str
    sigma: float

    @property
    def stem(self) -> str:
        return f"{file_stem(self.number, self.name)}-scale{self.scale}-sigma{self.sigma:g}"


class Cells:
    """Records below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, fixed: Mapping[str, Any], *, overwrite: bool) -> None:
        """Begin, or go on with a run that fixed the same. Raises InputError for another one's
        files, unless they are to be replaced."""
        manifest = self._folder / MANIFEST
        wanted = json.loads(json.dumps({"format": _FORMAT, **fixed}))
        if overwrite:
            for file in self._files():
                file.unlink()
        elif manifest.exists():
            self._go_on(manifest, wanted)
            return
        elif there := next(self._files(), None):
            raise InputError(
                f"expected no earlier results, got {there}; pass --overwrite or choose another "
                "folder with -o"
            )
        output_folder(self._folder)
        write_text(manifest, json.dumps(wanted, indent=1) + "\n")

    def _go_on(self, manifest: Path, wanted: Mapping[str, Any]) -> None:
        try:
            found = json.loads(manifest.read_text())
            differ = [name for name in wanted if found.get(name) != wanted[name]]
        except (ValueError, AttributeError, RecursionError):
            differ = ["format"]
        if differ:
            raise InputError(
                f"expected an empty folder or one of the same run, got {manifest} of another "
                f"{', '.join(differ)}; pass --overwrite or choose another folder with -o"
            )

    def _files(self) -> Iterator[Path]:
        """What a run may have left, the manifest first: what is left of a removed run is none."""
        for name in (MANIFEST, *TABLES, *FIGURES):
            if (self._folder / name).exists():
                yield self._folder / name
        yield from sorted((self._folder / "cells").glob("*.json"))
        yield from sorted((self._folder / "votes").glob("*.npz"))

    def __contains__(self, cell: Cell) -> bool:
        return self._path("cells", cell, "json").exists()

    def get(self, cell: Cell) -> dict[str, Any] | None:
        """The record, if the cell is done. Raises InputError for a damaged file."""
        if cell not in self:
            return None
        path = self._path("cells", cell, "json")
        try:
            record = json.loads(path.read_text())
            if not isinstance(record, dict) or record.get("name") != cell.name:
                raise ValueError
        except (ValueError, RecursionError):
            raise InputError(
                f"expected a record of {cell.name} in {path}, got something else; remove the file, "
                "and it is made again"
            ) from None
        return record

    def put(self, cell: Cell, record: Mapping[str, Any]) -> None:
        """Write the record: with it the cell is done."""
        path = self._path("cells", cell, "json")
        make_folder(path.parent)
        write_text(path, json.dumps(record) + "\n")

    def keep_votes(self, cell: Cell, parts: Sequence[VoteCounts]) -> None:
        """The votes of the draws in the order they were made, npz without pickle."""
        meta = [
            {"trials": p.trials, "source": None if p.source is None else p.source.record()}
            for p in parts
        ]
        arrays = {f"counts{number}": part.counts for number, part in enumerate(parts)}
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
        np.savez_compressed(buffer, allow_pickle=False, meta=text, **arrays)
        path = self._path("votes", cell, "npz")
        make_folder(path.parent)
        atomic_write(path, buffer.getvalue())

    def _path(self, folder: str, cell: Cell, kind: str) -> Path:
        return self._folder / folder / f"{cell.stem}.{kind}"
