"""Atomic writes, which stay after a power failure; output folders."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path

from certiseg.errors import InputError

_TEMPORARY = re.compile(r"\.certiseg-(\d+)-[0-9a-f]{16}\.tmp")
"""Names of files in the making: the process that makes one, and which."""


def output_folder(path: str | Path) -> Path:
    """Create the folder if need be and return it. Raises InputError when it cannot be written, or
    is a symbolic link."""
    folder = Path(path)
    refuse_link(folder)
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"expected a writable output folder, got {folder} ({reason}); choose another with -o"
        ) from None
    return folder


def refuse_link(path: Path) -> None:
    """Raise InputError where the path is a symbolic link: what is written would land elsewhere, or
    take the link's place."""
    if path.is_symlink():
        raise InputError(
            f"expected a file or folder to write, got the symbolic link {path}; name what it leads "
            f"to ({path.readlink()}), or remove the link"
        )


def check_names(folder: Path, names: Iterable[str]) -> None:
    """Raise InputError for a name that the file system of the folder, made or not, cannot hold."""
    there = next(found for found in (folder, *folder.absolute().parents) if found.is_dir())
    for name in names:
        try:
            os.lstat(there / name)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise InputError(
                f"expected a name that {there} can hold, got {name!r} ({error.strerror}); rename "
                "the input"
            ) from None


def atomic_write(path: str | Path, data: bytes) -> None:
    """Write data to path so that readers see the old file or the new one, never a part, even where
    the power fails: once this returns the new one is there to stay.

    Raises InputError for a symbolic link; OSError that names path, not the temporary file: the old
    file is as it was.
    """
    target = Path(path)
    refuse_link(target)
    try:
        _replace(target, data)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(target)) from None


def sweep(folder: Path) -> None:
    """Remove what a process that is no more had begun to write into the folder."""
    for path in folder.glob(".certiseg-*.tmp"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and not path.is_symlink() and path.is_file() and not _alive(int(found[1])):
            path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".certiseg-{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        # A disk that vanished says so again; the first word is the one to report.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _settle(target.parent)


def make_folder(folder: Path) -> None:
    """Create the folder and those above it where they are not there, to stay as files do."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _settle(folder.parent)


_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF, errno.EISDIR}
"""What systems say that cannot sync a folder, or where it cannot be opened for that."""


def _settle(folder: Path) -> None:
    """Wait until the names in the folder are on the disk, where its file system can tell."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
