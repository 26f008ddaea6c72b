"""Untrusted npy files, of bounded size and without pickle."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import first_line
from certiseg.files.reading import in_words, open_bounded, read_bounded


def read_npy(path: str | Path, largest: int) -> NDArray[Any]:
    """Read the array in an npy file of at most `largest` bytes.

    Raises OSError as ``read_bounded`` does, and a one-line ValueError if it is not an npy file.
    """
    content = read_bounded(path, largest)
    with _one_line():
        # np.load would also open archives and pickles.
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def read_npz(path: str | Path, largest: int) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file by name, of at most `largest` bytes, packed and unpacked.

    Raises OSError as ``read_bounded`` does, ValueError for members that are no arrays of numbers,
    and what zipfile and zlib raise.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(read_bounded(path, largest))) as archive:
        for member in archive.infolist():
            if sum(array.nbytes for array in arrays.values()) + member.file_size > largest:
                raise ValueError(f"a file that unpacks to more than {in_words(largest)}")
            # At most as many bytes as the directory states are unpacked.
            with _one_line(), archive.open(member) as file:
                content = io.BytesIO(file.read(member.file_size))
                name = member.filename.removesuffix(".npy")
                arrays[name] = np.lib.format.read_array(content, allow_pickle=False)
    return arrays


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
