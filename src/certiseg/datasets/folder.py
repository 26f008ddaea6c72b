"""A folder of images beside a folder of label maps, and images alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, Card, customary_palette
from certiseg.datasets.image_file import IMAGE_SUFFIXES
from certiseg.datasets.images import PLAIN, Reading
from certiseg.datasets.labels import BinaryMasks, Ids
from certiseg.datasets.pairs import Paired, files_in, paired_by_stem, read_lines
from certiseg.errors import InputError

LABEL_SUFFIXES = (".png", ".tif", ".tiff")
_LICENCE = "as stated by the owner of the data"


class Folder(Paired):
    """Images `image_dir/STEM.{png,jpg,jpeg,tif,tiff,webp}` with labels `label_dir/STEM.png` (or
    .tif), sorted by stem.

    Args:
        image_dir: Folder of images.
        label_dir: Folder of label maps.
        card: Card with the classes.
        ignore: Label ids that become 255; 255 itself is ignored unless it is mapped.
        label_map: Raw id -> class id (or 255), applied first; ids it does not name are errors.
        binary: Label files are masks of 0 and 255 (or 1), see ``labels.BinaryMasks``.
        reading: How image files are read.

    Raises:
        InputError: On construction for folders that are missing, empty or do not pair; on access
            for sizes that differ and label ids outside the classes.
    """

    def __init__(
        self,
        image_dir: str | Path,
        label_dir: str | Path,
        card: Card,
        ignore: Sequence[int] = (),
        label_map: Mapping[int, int] | None = None,
        *,
        binary: bool = False,
        reading: Reading = PLAIN,
    ) -> None:
        pairs = paired_by_stem(Path(image_dir), Path(label_dir), IMAGE_SUFFIXES, LABEL_SUFFIXES)
        if binary and label_map is not None:
            raise InputError("expected binary masks or a label map, got both; keep one")
        labels = (
            BinaryMasks(card.num_classes, ignore)
            if binary
            else Ids(card.num_classes, ignore, label_map)
        )
        super().__init__(pairs, card, labels, reading)


class ImageFolder:
    """The image files of a folder, without labels, sorted by name: float32 (channels, H, W) in
    [0, 1]. reading: how they are read.

    Raises InputError on construction for a folder that is missing or without images; on access as
    in ``Reading.read``.
    """

    source, licence = "folders given by the user", _LICENCE

    def __init__(self, folder: str | Path, channels: int = 3, reading: Reading = PLAIN) -> None:
        folder = Path(folder)
        self.name, self.channels = folder.resolve().name, channels
        self.remarks: dict[str, dict[str, str]] = {}
        self.chosen, self._reading = reading.record(), reading
        self._paths = [path for path, _ in files_in(folder, IMAGE_SUFFIXES)]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        found = self._reading.read(self._paths[index], self.channels)
        if notes := found.notes():
            self.remarks[str(self._paths[index])] = notes
        return found.x


def folder_card(name: str, classes: str, channels: int = 3) -> Card:
    """Card of a folder pair. classes: "7" (class 0 .. class 6) or a text file, one name a line.

    Raises InputError unless classes is a number in 2..254 or a readable file with that many
    distinct names.
    """
    names = _names(classes)
    if not 2 <= len(names) < IGNORE:
        raise InputError(
            f"expected 2 to {IGNORE - 1} classes, got {len(names)} from {classes!r}; "
            "label 255 is kept for ignored pixels"
        )
    return Card(
        name=name,
        classes=names,
        palette=customary_palette(len(names)),
        channels=channels,
        source="folder pair given by the user",
        licence=_LICENCE,
    )


def _names(classes: str) -> tuple[str, ...]:
    if classes.isdecimal():
        # Checked before as many names are made.
        return tuple(f"class {i}" for i in range(min(int(classes), IGNORE)))
    return tuple(line for _, line in read_lines(Path(classes)))
