"""Output folders: one command writes at a time, and replaces nothing but what certiseg wrote."""

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
"""Seconds to take over from a process that has ended; no wait for one that has not."""
_UNNAMED = 6.0
"""Seconds for a lock that names nobody: its process was killed before it wrote its name, unless it
does so now. filelock takes such a lock over once it has stayed unchanged for some seconds."""


@dataclass(frozen=True)
class Outputs:
    """A folder and which of its files certiseg wrote, by name, as its file ``LIST`` says."""

    folder: Path

    def claim(self, names: Iterable[str], overwrite: bool) -> None:
        """Enter what is about to be written there.

        Raises InputError, and enters nothing, where there is something of that name: always if
        certiseg did not write it, else unless overwrite.
        """
        wanted, ours = list(names), self.ours()
        there = [name for name in wanted if lexists(self.folder / name)]
        for name in there:
            refuse_link(self.folder / name)
            if name not in ours:
                raise InputError(
                    f"expected nothing of others in the way, got {self.folder / name}, which is "
                    "not known to be written by certiseg; move it away or choose another folder"
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
        """Remove those of these files that certiseg wrote."""
        for name in sorted(self.ours().intersection(names)):
            refuse_link(self.folder / name)
            (self.folder / name).unlink(missing_ok=True)

    def ours(self) -> set[str]:
        """Names of what certiseg wrote there, or was about to."""
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
    """The folder, created if need be, for this thread alone until the end; names: claimed there.

    A lock whose process has ended on this machine is taken over, and what it had begun to write is
    removed. Calls inside others for the same folder share the lock. A folder that was made and
    stays empty is removed. The lock is a file that is created or not, so that it holds where the
    file system knows no locks. Raises InputError where another
    process holds it, and as ``output_folder``.
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
                # Refused before anything was written.
                (folder / LIST).unlink(missing_ok=True)
        lock.release()
        if made:
            with suppress(OSError):
                folder.rmdir()


def _mark(lock: Path) -> None:
    """Write something into an empty lock: filelock never takes over an empty one. Whoever is about
    to write its name there writes over it."""
    with suppress(OSError):
        file = os.open(lock, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            if os.fstat(file).st_size == 0:
                os.write(file, b"?")
        finally:
            os.close(file)


def _holder(lock: Path) -> str:
    """In words; the file holds process and host, each on a line. Empty where it does not."""
    try:
        with lock.open(encoding="utf-8", errors="replace") as file:
            process, host = (file.readline(300).strip() for _ in range(2))
    except OSError:
        process, host = "", ""
    # After ? comes which of the machine's name spaces it runs in.
    named = process.isdecimal() and host and host.isprintable()
    return f"process {process} on {host.partition('?')[0]}" if named else ""
