"""Writing without half-written files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from certiseg.errors import InputError


def output_folder(path: str | Path) -> Path:
    """Create the folder if need be and return it. Raises InputError when it cannot be written."""
    folder = Path(path)
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


def atomic_write(path: str | Path, data: bytes) -> None:
    """Write data to path so that readers see the old file or the new one, never a part.

    Raises OSError that names path, not the temporary file.
    """
    target = Path(path)
    try:
        _replace(target, data)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(target)) from None


def _replace(target: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
