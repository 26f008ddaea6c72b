"""A folder of pictures beside a folder of label maps, paired by file stem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, Card, Sample, Samples
from certiseg.datasets.images import IMAGE_SUFFIXES, read_image, read_labels
from certiseg.errors import InputError


class Folder:
    """Pictures `image_dir/STEM.{png,jpg,jpeg}` with truth `label_dir/STEM.png`, sorted by stem.

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
        self.card = card
        images = _by_stem(Path(image_dir), IMAGE_SUFFIXES)
        labels = _by_stem(Path(label_dir), (".png",))
        _same_stems(images, labels, Path(image_dir), Path(label_dir))
        self._pairs = [(images[stem], labels[stem]) for stem in sorted(images)]
        self._table = _lookup(card.num_classes, ignore, label_map)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        image_path, label_path = self._pairs[index]
        image = read_image(image_path, self.card.channels)
        raw = read_labels(label_path)
        if raw.shape != image.shape[1:]:
            raise InputError(
                f"{label_path}: expected labels of {image.shape[1]} x {image.shape[2]} pixels as "
                f"in {image_path.name}, got {raw.shape[0]} x {raw.shape[1]}; "
                "export image and labels at one size"
            )
        labels = self._table[raw]
        outside = np.unique(raw[labels < 0])
        if outside.size:
            raise InputError(
                f"{label_path}: expected label ids 0..{self.card.num_classes - 1} or ignored ones, "
                f"got {', '.join(map(str, outside[:5]))}; map or ignore these ids"
            )
        return Sample(image_path.stem, image, labels.astype(np.uint8))


class Thinned:
    """Chosen samples of a larger set; note says which (not what that set itself lacks)."""

    def __init__(self, samples: Samples, indices: Sequence[int], note: str) -> None:
        self.indices = list(indices)
        self.note = note
        self.card = samples.card
        self._samples = samples

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[self.indices[index]]


def every(samples: Samples, limit: int | None) -> Samples:
    """At most `limit` samples at an even stride; the set itself where that is no fewer."""
    check_limit(limit)
    total = len(samples)
    if limit is None or limit >= total:
        return samples
    note = f"{limit} of {total} samples, at an even stride"
    return Thinned(samples, even_stride(total, limit), note)


def even_stride(total: int, limit: int) -> list[int]:
    """The middle of each of `limit` equal stretches: no end of the sequence is favoured."""
    return [(2 * i + 1) * total // (2 * limit) for i in range(limit)]


def check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise InputError(
            f"expected a limit of at least 1 sample, got {limit}; leave it out for all"
        )


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder, got nothing of that name; check the path")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in found:
            raise InputError(
                f"{folder}: expected one file a stem, got {found[path.stem].name} and {path.name}; "
                "remove or rename one"
            )
        found[path.stem] = path
    if not found:
        raise InputError(
            f"{folder}: expected {', '.join(suffixes)} files, got none; check the path"
        )
    return found


def _same_stems(
    images: dict[str, Path], labels: dict[str, Path], image_dir: Path, label_dir: Path
) -> None:
    for have, lack, folder, what in (
        (images, labels, label_dir, "labels"),
        (labels, images, image_dir, "image"),
    ):
        lonely = sorted(set(have) - set(lack))
        if lonely:
            more = f" (and {len(lonely) - 1} more)" if len(lonely) > 1 else ""
            raise InputError(
                f"{folder}: expected the {what} of {have[lonely[0]].name} under the same stem, got "
                f"none{more}; add it or remove its partner"
            )


def _lookup(
    num_classes: int, ignore: Sequence[int], label_map: Mapping[int, int] | None
) -> NDArray[np.int16]:
    """Table raw id -> class id, 255, or -1 for an id that must not occur."""
    table = np.full(256, -1, dtype=np.int16)
    mapping = {i: i for i in range(num_classes)} if label_map is None else label_map
    for raw, target in {**mapping, **dict.fromkeys((*ignore, IGNORE), IGNORE)}.items():
        if not 0 <= raw <= 255 or not (0 <= target < num_classes or target == IGNORE):
            raise InputError(
                f"expected label ids 0..255 mapped to 0..{num_classes - 1} or {IGNORE}, "
                f"got {raw} -> {target}; correct the ignore list or the label map"
            )
        table[raw] = target
    return table
