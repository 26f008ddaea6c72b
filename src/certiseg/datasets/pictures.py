"""A folder of pictures without truth, for what learns from pictures alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.images import IMAGE_SUFFIXES, read_image
from certiseg.errors import InputError


class Pictures:
    """The PNG and JPEG files of a folder, sorted by name: float32 (channels, H, W) in [0, 1].

    Raises InputError: at once for a folder that is missing or holds none; on access as
    ``read_image`` does.
    """

    def __init__(self, folder: str | Path, channels: int = 3) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(
                f"{folder}: expected a folder, got nothing of that name; check the path"
            )
        self.channels = channels
        self._paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        )
        if not self._paths:
            raise InputError(
                f"{folder}: expected {', '.join(IMAGE_SUFFIXES)} files, got none; check the path"
            )

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        return read_image(self._paths[index], self.channels)
