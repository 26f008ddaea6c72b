"""The results of a run in the making: a manifest, and the files of each cell."""

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
    """A run below ``root``, which its caller has locked; every file is written whole.

    A run is a grid of cells. What is fixed before the first draw stands in run.json, and the
    record of a cell is its last file: with it the cell is done, and an interrupted run goes on
    with the others.

    record: the manifest, once there is one. NAMES: files of the run beside those of its cells.
    FOLDERS: where files of cells are, the records first, and how their names end.
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
        """Remove the files of an earlier run that is being replaced, then write the manifest.

        Raises InputError where there are such files and they are not to be replaced, and for files
        that no run wrote.
        """
        with locked(self.root, self.NAMES, overwrite) as outputs:
            self._prepare()
            earlier = self._files(self._earlier())
            for file in self._files(map(_stem, self._cells(record))):
                if lexists(file) and file not in earlier:
                    raise InputError(
                        f"expected nothing of others in the way, got {file}, which is of no run "
                        "here; move it away or choose another folder with -o"
                    )
            # The results first: what is left of a removed run is an unfinished one.
            outputs.remove(name for name in self.NAMES if name != MANIFEST)
            for file in earlier:
                file.unlink(missing_ok=True)
            atomic_write(self.manifest, f"{json.dumps(record, indent=1)}\n".encode())
        self.record = record

    def resume(self, asked: Mapping[str, Any]) -> None:
        """Go on with the run that is there. Raises InputError where that is another one than is
        asked for, ClaimError where its manifest contradicts itself."""
        begun = self.begun(asked)
        self._prepare()
        self.record = begun

    @abstractmethod
    def begun(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """The manifest that is there, checked against what is asked for as ``resume`` says."""

    @abstractmethod
    def done(self, number: int) -> bool:
        """Whether the files of this cell are whole and of this run."""

    @abstractmethod
    def _earlier(self) -> list[str]:
        """Stems of the run that is there; none where its manifest does not tell."""

    def write(self, number: int, record: Mapping[str, Any], *others: bytes | None) -> None:
        """All files of a cell, its record last.

        Args:
            number: of the cell.
            record: plain JSON values.
            others: of the other folders, in their order; None where there is no such file.
        """
        records, *folders = self.FOLDERS
        content = f"{json.dumps(record)}\n".encode()
        for name, data in (*zip(folders, others, strict=False), (records, content)):
            if data is not None:
                path = self.path(name, self.stem(number))
                make_folder(path.parent)
                atomic_write(path, data)

    def stem(self, number: int) -> str:
        """Name of the files of this cell, without the endings."""
        return _stem(self._cells(self.record)[number])

    def __len__(self) -> int:
        """The number of cells."""
        return len(self._cells(self.record))

    def _cells(self, record: Mapping[str, Any]) -> Sequence[Any]:
        """What the manifest says of each, under the name of the folder of their records."""
        return record[next(iter(self.FOLDERS))]  # type: ignore[no-any-return]

    def path(self, folder: str, stem: str) -> Path:
        """The file of a cell in one of the folders."""
        return self.root / folder / f"{stem}{self.FOLDERS[folder]}"

    def _files(self, stems: Iterable[str]) -> dict[Path, None]:
        """All files that cells of these stems may have."""
        return {self.path(name, stem): None for stem in stems for name in self.FOLDERS}

    def _prepare(self) -> None:
        """Remove what a process that was killed had begun to write. Raises InputError for folders
        that lead elsewhere."""
        for name in self.FOLDERS:
            refuse_link(self.root / name)
            sweep(self.root / name)


def _stem(cell: Any) -> str:
    return str(cell["file"] if isinstance(cell, Mapping) else cell)
