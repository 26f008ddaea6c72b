"""``ResultStore``: a run folder being written, with a manifest and the files of each cell."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from os.path import lexists
from pathlib import Path
from typing import Any, ClassVar

from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write, make_folder, refuse_link, sweep
from certiseg.files.folders import locked
from certiseg.runfolder.layout import MANIFEST


class ResultStore(ABC):
    """A run folder ``root``, locked by the caller; files are written atomically.

    A run is a grid of cells. The manifest run.json holds what is fixed before the first draw. The
    record of a cell is written last: a cell with a record is done, and a resumed run computes the
    others.

    record: the manifest, once begun. NAMES: files of the run other than those of cells. FOLDERS:
    subfolders of files of cells, records first, with the suffix of the files.
    """

    NAMES: ClassVar[tuple[str, ...]]
    FOLDERS: ClassVar[Mapping[str, str]]

    def __init__(self, root: Path) -> None:
        self.root = root
        self.record: Mapping[str, Any] = {}

    @property
    def manifest(self) -> Path:
        return self.root / MANIFEST

    def begin(self, record: Mapping[str, Any], overwrite: bool = False) -> None:
        """Write the manifest, and with overwrite remove the files of an earlier run first.

        Raises InputError if there is an earlier run and overwrite is False, and for files in the
        way that no run wrote.
        """
        with locked(self.root, self.NAMES, overwrite) as outputs:
            self._prepare()
            earlier = self._files(self._earlier())
            for file in self._files(map(_stem, self._cells(record))):
                if lexists(file) and file not in earlier:
                    raise InputError(
                        f"expected no other file in the way, got {file}, which no run wrote here; "
                        "move it away or choose another folder with -o"
                    )
            # Results first, so that an interrupted removal leaves an unfinished run.
            outputs.remove(name for name in self.NAMES if name != MANIFEST)
            for file in earlier:
                file.unlink(missing_ok=True)
            atomic_write(self.manifest, f"{json.dumps(record, indent=1)}\n".encode())
        self.record = record

    def resume(self, asked: Mapping[str, Any]) -> None:
        """Resume the run in the folder.

        Raises InputError if it differs from what is asked for, ClaimError if its manifest
        contradicts itself.
        """
        begun = self.begun(asked)
        self._prepare()
        self.record = begun

    @abstractmethod
    def begun(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """The existing manifest, checked against ``asked`` as described in ``resume``."""

    @abstractmethod
    def done(self, number: int) -> bool:
        """True if the files of this cell are complete and of this run."""

    @abstractmethod
    def _earlier(self) -> list[str]:
        """Stems of the cells of the existing run; empty if its manifest is unreadable."""

    def write(self, number: int, record: Mapping[str, Any], *others: bytes | None) -> None:
        """Write all files of a cell, its record last.

        Args:
            number: of the cell.
            record: plain JSON values.
            others: contents for the other folders, in order; None for no file.
        """
        records, *folders = self.FOLDERS
        content = f"{json.dumps(record)}\n".encode()
        for name, data in (*zip(folders, others, strict=False), (records, content)):
            if data is not None:
                path = self.path(name, self.stem(number))
                make_folder(path.parent)
                atomic_write(path, data)

    def stem(self, number: int) -> str:
        """File name of this cell, without suffix."""
        return _stem(self._cells(self.record)[number])

    def __len__(self) -> int:
        """The number of cells."""
        return len(self._cells(self.record))

    def _cells(self, record: Mapping[str, Any]) -> Sequence[Any]:
        """The manifest's entries for cells, whose key is the name of the records' folder."""
        return record[next(iter(self.FOLDERS))]  # type: ignore[no-any-return]

    def path(self, folder: str, stem: str) -> Path:
        """Path of a cell's file in one of the folders."""
        return self.root / folder / f"{stem}{self.FOLDERS[folder]}"

    def _files(self, stems: Iterable[str]) -> dict[Path, None]:
        """Paths of all files that cells with these stems can have."""
        return {self.path(name, stem): None for stem in stems for name in self.FOLDERS}

    def _prepare(self) -> None:
        """Remove temporary files of killed processes. Raises InputError for symbolic links."""
        for name in self.FOLDERS:
            refuse_link(self.root / name)
            sweep(self.root / name)


def _stem(cell: Any) -> str:
    return str(cell["file"] if isinstance(cell, Mapping) else cell)
