"""Locked output folders: one writer at a time, which replaces only files that certiseg wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path

from filelock import SoftFileLock, Timeout

from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write, output_folder, refuse_link, sweep
from certiseg.files.documents import parse_json
from certiseg.files.reading import LIST as LIST_SIZE
from certiseg.files.reading import read_bounded

LOCK = ".certiseg.lock"
LIST = ".certiseg-files"
_PATIENCE = 0.5
"""Timeout in seconds for a lock: enough to take over one whose process has ended."""
_UNNAMED = 6.0
"""Timeout in seconds for a lock file without a process id, left by a process that was killed while
creating it. filelock takes it over once it has been unchanged for some seconds."""


@dataclass(frozen=True)
class Outputs:
    """An output folder with its list (file ``LIST``) of the files that certiseg wrote there."""

    folder: Path

    def claim(self, names: Iterable[str], overwrite: bool) -> None:
        """Enter files that are about to be written into the list.

        Raises InputError, with the list unchanged, if a file of such a name exists that certiseg
        did not write, or that it wrote and overwrite is False.
        """
        wanted, ours = list(names), self.ours()
        there = [name for name in wanted if lexists(self.folder / name)]
        for name in there:
            refuse_link(self.folder / name)
            if name not in ours:
                raise InputError(
                    f"expected no other file in the way, got {self.folder / name}, which certiseg "
                    "did not write there; move it away or choose another folder"
                )
        if there and not overwrite:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise InputError(
                f"expected no earlier results, got {self.folder / there[0]}{more}; "
                "pass --overwrite or choose another folder with -o"
            )
        if not ours.issuperset(wanted):
            listed = json.dumps(sorted(ours.union(wanted)), indent=0)
            atomic_write(self.folder / LIST, f"{listed}\n".encode())

    def remove(self, names: Iterable[str]) -> None:
        """Delete the named files, except those that certiseg did not write."""
        for name in sorted(self.ours().intersection(names)):
            refuse_link(self.folder / name)
            (self.folder / name).unlink(missing_ok=True)

    def ours(self) -> set[str]:
        """Names of the files that certiseg wrote or was about to write."""
        path = self.folder / LIST
        refuse_link(path)
        try:
            names = parse_json(read_bounded(path, LIST_SIZE))
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError
        except FileNotFoundError:
            return set()
        except (ValueError, OSError):
            raise InputError(
                f"{path}: expected the list of what certiseg wrote, got something else; remove it, "
                "and move away what it listed, or choose another folder"
            ) from None
        return set(names)


@contextmanager
def locked(
    path: str | Path, names: Iterable[str] = (), overwrite: bool = False
) -> Iterator[Outputs]:
    """Lock an output folder, created if necessary, and claim the names in it (``Outputs.claim``).

    The lock is a file, since not all file systems support locks; it is reentrant within a process.
    A lock whose process has ended on this machine is taken over, and its temporary files are
    removed. A folder that was created here and stays empty is removed again. Raises InputError if
    another process holds the lock, and as ``output_folder`` does.
    """
    made = not Path(path).exists()
    folder = output_folder(path)
    lock = SoftFileLock(folder.resolve() / LOCK, timeout=_PATIENCE, is_singleton=True)
    try:
        try:
            lock.acquire()
        except Timeout:
            if _holder(folder / LOCK):
                raise
            _mark(folder / LOCK)
            lock.acquire(timeout=_UNNAMED)
    except Timeout:
        holder = _holder(folder / LOCK) or "an unknown process"
        raise InputError(
            f"expected {folder} to be free, got {holder} writing into it; wait until it has ended "
            "or choose another folder (if it ended on another machine, remove "
            f"{folder / LOCK})"
        ) from None
    try:
        sweep(folder)
        outputs = Outputs(folder)
        outputs.claim(names, overwrite)
        yield outputs
    finally:
        with suppress(OSError):
            if made and {path.name for path in folder.iterdir()} <= {LOCK, LIST}:
                (folder / LIST).unlink(missing_ok=True)
        lock.release()
        if made:
            with suppress(OSError):
                folder.rmdir()


def _mark(lock: Path) -> None:
    """Write a byte into an empty lock file, since filelock never takes over an empty one.

    A process that is about to write its id there overwrites the byte.
    """
    with suppress(OSError):
        file = os.open(lock, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            if os.fstat(file).st_size == 0:
                os.write(file, b"?")
        finally:
            os.close(file)


def _holder(lock: Path) -> str:
    """Process and host in a lock file, as "process 1 on host"; empty if the file holds neither."""
    try:
        with lock.open(encoding="utf-8", errors="replace") as file:
            process, host = (file.readline(300).strip() for _ in range(2))
    except OSError:
        process, host = "", ""
    # "?" and the process-id name space may follow the host's name.
    named = process.isdecimal() and host and host.isprintable()
    return f"process {process} on {host.partition('?')[0]}" if named else ""
