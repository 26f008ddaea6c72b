"""A folder of pictures beside a folder of label maps, and pictures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, Card, customary_palette
from certiseg.datasets.images import IMAGE_SUFFIXES, read_image
from certiseg.datasets.labels import Ids
from certiseg.datasets.pairs import Paired, files_in, paired_by_stem
from certiseg.errors import InputError, refusing
from certiseg.files.reading import LIST, read_bounded

_LICENCE = "as stated by the owner of the data"


class Folder(Paired):
    """Pictures `image_dir/STEM.{png,jpg,jpeg}` with labels `label_dir/STEM.png`, sorted by stem.

    ignore: label ids that become 255 (255 itself always is ignored).
    label_map: raw id -> class id (or 255), applied first; ids it does not name are errors.
    Raises InputError: at once for folders that are missing, empty or do not pair; on access for a
    size mismatch or a label id outside the classes.
    """

    def __init__(
        self,
        image_dir: str | Path,
        label_dir: str | Path,
        card: Card,
        ignore: Sequence[int] = (),
        label_map: Mapping[int, int] | None = None,
    ) -> None:
        pairs = paired_by_stem(Path(image_dir), Path(label_dir), IMAGE_SUFFIXES, (".png",))
        super().__init__(pairs, card, Ids(card.num_classes, ignore, label_map))


class ImageFolder:
    """The PNG and JPEG files of a folder, without labels, sorted by name: float32 (channels, H, W)
    in [0, 1].

    Raises InputError: at once for a folder that is missing or holds none; on access as
    ``read_image`` does.
    """

    source, licence = "folders given by the user", _LICENCE

    def __init__(self, folder: str | Path, channels: int = 3) -> None:
        folder = Path(folder)
        self.name, self.channels = folder.resolve().name, channels
        self._paths = [path for path, _ in files_in(folder, IMAGE_SUFFIXES)]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        return read_image(self._paths[index], self.channels)


def folder_card(name: str, classes: str, channels: int = 3) -> Card:
    """Card of a folder pair. classes: "7" (class 0 .. class 6) or a text file, one name a line.

    Raises InputError: neither a count in 2..255 nor a readable file with that many names.
    """
    names = _names(classes)
    if not 2 <= len(names) <= IGNORE:
        raise InputError(
            f"expected 2 to {IGNORE} classes, got {len(names)} from {classes!r}; "
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
        # A huge count must fail by its number, not by filling the memory with names.
        return tuple(f"class {i}" for i in range(min(int(classes), IGNORE + 1)))
    wanted = "expected a number of classes or a text file with one class name a line"
    remedy = "write the number or check the path"
    with refusing(OSError, UnicodeDecodeError, expected=wanted, got=f"{classes!r}", remedy=remedy):
        text = read_bounded(classes, LIST).decode("utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())
