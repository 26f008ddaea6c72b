"""``CellStore``: the run folder of a table, one record per sample, scale and sigma."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from certiseg.errors import InputError
from certiseg.files.documents import read_document
from certiseg.files.reading import RECORD
from certiseg.rounding import exact
from certiseg.runfolder.identity import digest
from certiseg.runfolder.layout import MANIFEST, file_stem
from certiseg.runfolder.store import ResultStore
from certiseg.votes import VoteCounts

FIGURES = ("radius.png", "radius.svg", "shared-noise.png", "shared-noise.svg")
_TABLES = ("table.md", "table.csv", "table.tex", "false.csv", "results.json")
_FORMAT = "certiseg-table-1"


@dataclass(frozen=True)
class Cell:
    """A sample (number and name) at one scale and sigma."""

    number: int
    name: str
    scale: str
    sigma: float

    @property
    def stem(self) -> str:
        return f"{file_stem(self.number, self.name)}-scale{self.scale}-sigma{exact(self.sigma)}"


def table_manifest(fixed: Mapping[str, Any], cells: Sequence[Cell]) -> dict[str, Any]:
    """The manifest of a table, with the run's identity, which all its records repeat.

    Args:
        fixed: everything fixed before the first draw, including "seed". Without a seed the identity
            is random, so that two runs never share it.
        cells: in the order in which they are pooled.
    """
    stems = [cell.stem for cell in cells]
    plain = json.loads(json.dumps({"format": _FORMAT, **fixed, "cells": stems}))
    token = None if fixed.get("seed") is not None else secrets.token_hex(16)
    return {**plain, "run": digest({**plain, "own": token})}


class CellStore(ResultStore):
    """Results of a table below ``root``. A damaged record, or one of another run, is an error; once
    the file is removed, the cell is computed again."""

    NAMES: ClassVar = (MANIFEST, *_TABLES, *FIGURES)
    FOLDERS: ClassVar = {"cells": ".json", "votes": ".npz"}

    def begun(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """See ``ResultStore``."""
        found: Any = None
        try:
            found = read_document(self.manifest, RECORD)
            differ = [name for name in asked if name != "run" and found.get(name) != asked[name]]
            known = isinstance(found.get("run"), str)
        except (ValueError, AttributeError):
            differ, known = ["format"], False
        if differ or not known:
            raise InputError(
                f"expected an empty folder or one of the same run, got {self.manifest} of another "
                f"{', '.join(differ) or 'version'}; pass --overwrite or choose another folder with "
                "-o"
            )
        return dict(found)

    def done(self, number: int) -> bool:
        """True if the cell has a record. Raises InputError if it is damaged."""
        return self.get(number) is not None

    def get(self, number: int) -> dict[str, Any] | None:
        """The record of a cell, None if it is not done. Raises InputError for a damaged file."""
        stem = self.stem(number)
        path = self.path("cells", stem)
        if not path.exists():
            return None
        try:
            record = read_document(path, RECORD)
            if not isinstance(record, dict) or record.pop("digest", None) != digest(record):
                raise ValueError
            cell = Cell(record["number"], record["name"], record["scale"], record["sigma"])
            if (record["run"], cell.stem) != (self.record["run"], stem):
                raise ValueError
        except (ValueError, KeyError, TypeError, ArithmeticError):
            raise InputError(
                f"expected this run's record of {stem} in {path}, got something else; remove "
                "the file, and it is made again"
            ) from None
        return record

    def write(self, number: int, record: Mapping[str, Any], *others: bytes | None) -> None:
        """Write the record of a cell, and its votes if they are kept."""
        whole = {"run": self.record["run"], **record}
        super().write(number, {**whole, "digest": digest(whole)}, *others)

    def _earlier(self) -> list[str]:
        try:
            stems = read_document(self.manifest, RECORD)["cells"]
            return [stem for stem in stems if Path(stem).name == stem]
        except (ValueError, TypeError, KeyError):
            return []


def votes_content(parts: Sequence[VoteCounts]) -> bytes:
    """Serialize the votes of a cell, in the order of the draws, as npz without pickle."""
    meta = [
        {"trials": p.trials, "source": None if p.source is None else p.source.record()}
        for p in parts
    ]
    arrays = {f"counts{number}": part.counts for number, part in enumerate(parts)}
    text = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, meta=text, **arrays)
    return buffer.getvalue()
