"""The folder of a table in the making: one record a picture, scale and sigma, whole or not there.

An interrupted run goes on where it stopped: what it fixed before the first draw stands in
run.json, and only cells without a record are drawn.
"""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path
from typing import Any

import numpy as np

from certiseg.documents import read_document
from certiseg.errors import InputError
from certiseg.files import atomic_write, make_folder, refuse_link, sweep
from certiseg.folders import locked
from certiseg.reading import RECORD
from certiseg.rounding import exact
from certiseg.runfolder.identity import digest
from certiseg.runfolder.layout import file_stem
from certiseg.runs.output import write_text
from certiseg.votes import VoteCounts

MANIFEST = "run.json"
TABLES = ("table.md", "table.csv", "table.tex", "false.csv", "results.json")
FIGURES = ("radius.png", "radius.svg", "shared-noise.png", "shared-noise.svg")
_NAMES = (MANIFEST, *TABLES, *FIGURES)
_FOLDERS = ("cells", "votes")
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
        return f"{file_stem(self.number, self.name)}-scale{self.scale}-sigma{exact(self.sigma)}"


class Cells:
    """Records below ``folder``. run: the identity that all of them have, once it is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.run = ""

    def open(self, fixed: Mapping[str, Any], cells: Sequence[Cell], *, overwrite: bool) -> None:
        """Begin, or go on with a run that fixed the same. Raises InputError for another one's
        files, unless they are to be replaced, and for files that no run wrote.

        Two runs have one identity only if they have the same seed, given by the caller.
        """
        stems = [cell.stem for cell in cells]
        wanted = json.loads(json.dumps({"format": _FORMAT, **fixed, "cells": stems}))
        for folder in _FOLDERS:
            refuse_link(self._folder / folder)
            sweep(self._folder / folder)
        manifest = self._folder / MANIFEST
        if manifest.exists() and not overwrite:
            self.run = self._go_on(manifest, wanted)
            return
        with locked(self._folder, _NAMES, overwrite) as outputs:
            earlier = self._files(self._earlier(manifest))
            for file in self._files(stems) - earlier:
                if lexists(file):
                    raise InputError(
                        f"expected nothing of others in the way, got {file}, which is of no run "
                        "here; move it away or choose another folder with -o"
                    )
            # The manifest last: what is left of a removed run is an unfinished one.
            outputs.remove((*TABLES, *FIGURES))
            for file in earlier:
                file.unlink(missing_ok=True)
            own = None if fixed.get("seed") is not None else secrets.token_hex(16)
            self.run = digest({**wanted, "own": own})
            write_text(manifest, json.dumps({**wanted, "run": self.run}, indent=1) + "\n")

    def _go_on(self, manifest: Path, wanted: Mapping[str, Any]) -> str:
        try:
            found = read_document(manifest, RECORD)
            differ = [name for name in wanted if found.get(name) != wanted[name]]
            run = found.get("run")
        except (ValueError, AttributeError):
            differ, run = ["format"], None
        if differ or not isinstance(run, str):
            raise InputError(
                f"expected an empty folder or one of the same run, got {manifest} of another "
                f"{', '.join(differ) or 'version'}; pass --overwrite or choose another folder with "
                "-o"
            )
        return run

    def _earlier(self, manifest: Path) -> list[str]:
        """Stems of the run that is there; none where its manifest does not tell."""
        try:
            stems = read_document(manifest, RECORD)["cells"]
            return [stem for stem in stems if Path(stem).name == stem]
        except (ValueError, TypeError, KeyError):
            return []

    def _files(self, stems: Sequence[str]) -> set[Path]:
        """All files that cells of these stems may have."""
        kinds = zip(_FOLDERS, ("json", "npz"), strict=True)
        return {self._folder / name / f"{stem}.{kind}" for name, kind in kinds for stem in stems}

    def __contains__(self, cell: Cell) -> bool:
        return self._path("cells", cell, "json").exists()

    def get(self, cell: Cell) -> dict[str, Any] | None:
        """The record, if the cell is done. Raises InputError for a damaged file."""
        if cell not in self:
            return None
        path = self._path("cells", cell, "json")
        try:
            record = read_document(path, RECORD)
            if not isinstance(record, dict) or record.pop("digest", None) != digest(record):
                raise ValueError
            if (record["run"], record["name"]) != (self.run, cell.name):
                raise ValueError
        except (ValueError, KeyError):
            raise InputError(
                f"expected this run's record of {cell.name} in {path}, got something else; remove "
                "the file, and it is made again"
            ) from None
        return record

    def put(self, cell: Cell, record: Mapping[str, Any]) -> None:
        """Write the record: with it the cell is done."""
        path = self._path("cells", cell, "json")
        make_folder(path.parent)
        whole = {"run": self.run, **record}
        write_text(path, json.dumps({**whole, "digest": digest(whole)}) + "\n")

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
