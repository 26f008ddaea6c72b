"""Standard streams whose failure does not end a run."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO


class Reader(io.FileIO):
    """A raw standard stream that drops what cannot be written, so that work continues.

    lost: the error, unless the reader merely closed the pipe (``| head``).
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
    """Replace the standard streams by ones that accept all output.

    A closed stream leads nowhere, and its file descriptor cannot be reused by a file opened later.
    Characters missing from the encoding are escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _taking(sys.stdout), _taking(sys.stderr)


def lost_output() -> OSError | None:
    """The error by which standard output was lost, if it matters."""
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
    # Leave streams set by a caller in Python.
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
