"""Untrusted npy files, of bounded size and without pickle."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import first_line
from certiseg.files.reading import open_bounded, read_bounded


def read_npy(path: str | Path, largest: int) -> NDArray[Any]:
    """Read the array in an npy file of at most `largest` bytes.

    Raises OSError as ``read_bounded`` does, and a one-line ValueError if it is not an npy file.
    """
    content = read_bounded(path, largest)
    with _one_line():
        # np.load would also open archives and pickles.
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def npy_axes(path: str | Path, largest: int) -> int:
    """Number of axes in the header of an npy file. Raises as ``read_npy`` does."""
    with open_bounded(path, largest) as file, _one_line():
        first = np.lib.format.read_magic(file) == (1, 0)
        names = ("read_array_header_1_0", "read_array_header_2_0")
        return len(getattr(np.lib.format, names[0 if first else 1])(file)[0])


@contextmanager
def _one_line() -> Iterator[None]:
    """Convert the various errors of NumPy's header parser to a one-line ValueError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise ValueError(first_line(error)) from None
