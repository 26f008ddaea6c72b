"""Untrusted files: regular, of bounded size, opened once and without blocking (docs/limits.md)."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

KIB, MIB, GIB = 1024, 1024**2, 1024**3

DOCUMENT = 256 * KIB
"""Largest size in bytes of a description written by hand: data sheets, hierarchies."""
CARD = 4 * MIB
"""Model cards and configurations."""
LIST = 16 * MIB
"""Lists of files or of names."""
RECORD = 64 * MIB
"""Records that a run wrote."""
PICTURE = 512 * MIB
CLOUD = 256 * MIB
VOLUME = 4 * GIB
"""Also of a decompressed .nii.gz."""
ARRAYS = 2 * GIB
"""The npz file of a sample in a run folder."""
MODEL = 8 * GIB
CHECKPOINT = 64 * GIB
"""Weights, which are read tensor by tensor."""


def in_words(size: int) -> str:
    """A number of bytes in KiB, MiB or GiB, rounded down."""
    for unit, word in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size // unit} {word}"
    return f"{size} bytes"


def open_bounded(path: str | Path, largest: int) -> BinaryIO:
    """Open a regular file of at most `largest` bytes for reading.

    Raises OSError for others, such as pipes and devices; its strerror says what was got.
    """
    # Checked before opening too, since opening a device can have effects.
    _check(os.stat(path), path, largest)
    file = open(path, "rb", opener=_open)  # noqa: SIM115
    try:
        _check(os.fstat(file.fileno()), path, largest)
    except OSError:
        file.close()
        raise
    return file


def read_bounded(path: str | Path, largest: int) -> bytes:
    """Read a regular file of at most `largest` bytes. Raises OSError as ``open_bounded`` does."""
    with open_bounded(path, largest) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1)
    if len(content) != size:
        raise OSError(errno.EIO, "a file that changed while it was read", str(path))
    return content


def _open(path: str, flags: int) -> int:
    # Between the two checks a pipe may have replaced the file, and opening it would block.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check(status: os.stat_result, path: str | Path, largest: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "a pipe or device, no regular file", str(path))
    if status.st_size > largest:
        raise OSError(errno.EFBIG, f"more than {in_words(largest)} (docs/limits.md)", str(path))
