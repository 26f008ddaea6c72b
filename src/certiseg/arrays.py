"""Arrays from outside: npy and npz files, bounded and without pickle."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.reading import ARRAYS, in_words, read_bounded


def read_npy(path: str | Path, largest: int) -> NDArray[Any]:
    """The array of an npy file of at most `largest` bytes.

    Raises OSError as ``read_bounded`` does, and ValueError, one line, for another kind of file.
    """
    content = read_bounded(path, largest)
    try:
        # Not np.load, which also opens archives and what it takes for a pickle.
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, TypeError, MemoryError, OverflowError) as error:
        raise ValueError(str(error).strip() or type(error).__name__) from None


def read_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file by name. The file is opened once, and its sizes are added up before
    anything is unpacked.

    Raises OSError as ``read_bounded`` does, and whatever zipfile and NumPy do for a damaged one;
    ValueError for one that would unpack to more than ARRAYS bytes or holds a name twice.
    """
    with zipfile.ZipFile(io.BytesIO(read_bounded(path, ARRAYS))) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > ARRAYS:
            raise ValueError(f"it would unpack to {size} bytes, more than {in_words(ARRAYS)}")
        found = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in found:
                raise ValueError(f"{name} twice")
            with archive.open(member) as file:
                found[name] = np.lib.format.read_array(file, allow_pickle=False)
        return found
