"""Arrays from outside: npy files, bounded and without pickle."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.reading import read_bounded


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
