"""Standard streams that never decide how a run ends."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO


class Reader(io.FileIO):
    """Where a standard stream leads. What cannot be delivered is dropped; the work continues.

    lost: why, unless its reader merely went away (``| head``).
    """

    lost: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            self.lost = type(error)(error.errno, error.strerror, "standard output")
        return memoryview(data).nbytes


def open_streams() -> None:
    """Give this process streams that take whatever is printed.

    A closed one leads nowhere, and no file that is opened later comes by its number. Characters
    that an encoding lacks are escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _taking(sys.stdout), _taking(sys.stderr)


def lost_output() -> OSError | None:
    """Why standard output did not take all of what was printed, where it matters."""
    sys.stdout.flush()
    raw = _raw(sys.stdout)
    return raw.lost if isinstance(raw, Reader) else None


def _raw(stream: TextIO) -> object:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _taking(stream: TextIO | None) -> TextIO:
    if stream is None:
        return open(os.devnull, "w")
    raw = _raw(stream)
    # Not streams that a caller in Python has put there.
    if not isinstance(stream, io.TextIOWrapper) or type(raw) is not io.FileIO:
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(Reader(raw.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
