"""Atomic and durable writes, and output folders."""

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
"""Names of temporary files: process id of the writer, and a random part."""


def output_folder(path: str | Path) -> Path:
    """Create the folder if necessary and return it.

    Raises InputError if it is a symbolic link or cannot be written to.
    """
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
    """Raise InputError for a symbolic link: writing would change its target or replace it."""
    if path.is_symlink():
        raise InputError(
            f"expected a file or folder to write, got the symbolic link {path}; name what it leads "
            f"to ({path.readlink()}), or remove the link"
        )


def check_names(folder: Path, names: Iterable[str]) -> None:
    """Raise InputError for file names that the folder's file system does not allow.

    The folder need not exist.
    """
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
    """Replace the content of a file atomically and durably.

    Readers see the old file or the new one, never a part. Once this returns, the new file survives
    a power failure. Raises InputError for a symbolic link, and OSError (with path as its file name)
    if the write fails; the old file is then unchanged.
    """
    target = Path(path)
    refuse_link(target)
    try:
        _replace(target, data)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(target)) from None


def sweep(folder: Path) -> None:
    """Remove temporary files that ended processes left in the folder."""
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
        # Report the first error, even if the clean-up fails too.
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _settle(target.parent)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _settle(folder.parent)


_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF, errno.EISDIR}
"""Errors of systems on which a folder cannot be synced, or not opened for it."""


def _settle(folder: Path) -> None:
    """Sync the folder's entries to disk, where the file system supports it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
