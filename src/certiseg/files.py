"""Writing without half-written files."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
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
        folder.mkdir(parents=True, exist_ok=True)
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


def atomic_write(path: str | Path, data: bytes) -> None:
    """Write data to path so that readers see the old file or the new one, never a part.

    Raises InputError for a symbolic link; OSError that names path, not the temporary file.
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
        temporary.unlink(missing_ok=True)
        raise
