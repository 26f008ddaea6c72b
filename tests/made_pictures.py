"""Pictures and label files on disk, for the readers of data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (6, 8)


def picture(path: Path, size: tuple[int, int] = SIZE, mode: str = "RGB") -> Path:
    """A picture (H, W) of plain noise, its seed the path's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(path.name.encode()))
    shape = size if mode == "L" else (*size, 3)
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def labels(path: Path, ids: object, palette: bool = False) -> Path:
    """A label file: ids (H, W), of 8 or 16 bits as their type says, or colours (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = Image.fromarray(np.asarray(ids))
    if palette:
        file = Image.frombytes("P", file.size, file.tobytes())
        file.putpalette([7, 7, 7] * 256)
    file.save(path)
    return path


def filled(value: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full(size, value, dtype=np.uint8)


def every_id(last: int) -> np.ndarray:
    """One row of all ids 0..last and 255."""
    return np.array([[*range(last + 1), 255]], dtype=np.uint8)
