"""A folder of volumes beside a folder of label volumes, read on demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, Card, Sample
from certiseg.datasets.pairs import Pair, paired_by_stem
from certiseg.datasets.volume_file import VOLUME_SUFFIXES, Window, read_volume, read_voxels
from certiseg.errors import InputError


class VolumeFolder:
    """Volumes `image_dir/STEM.nii.gz` (or another ending of volumes) with labels of the same stem
    in `label_dir`.

    remarks: on the files read so far, by file. chosen: options of reading.

    Args:
        image_dir: Folder of volumes, read as ``read_volume`` does.
        label_dir: Folder of label volumes, each voxel the id of its class; floats that are whole
            numbers count as such.
        card: Of the classes.
        window: Intensities mapped to 0 and 1.
        ignore: Label ids that become 255, the ignored label.

    Raises:
        InputError: At once for folders that are missing, empty or do not pair; on access for labels
            of another size or in another space than their volume, or that are no ids of classes.
    """

    def __init__(
        self,
        image_dir: str | Path,
        label_dir: str | Path,
        card: Card,
        window: Window | None = None,
        ignore: Sequence[int] = (),
    ) -> None:
        assert card.kind == "volumes", "a card of volumes"
        self.card = card
        self.remarks: dict[str, dict[str, str]] = {}
        self._window, self._ignore = window, (*ignore, IGNORE)
        self._pairs = paired_by_stem(
            Path(image_dir), Path(label_dir), VOLUME_SUFFIXES, VOLUME_SUFFIXES
        )

    @property
    def chosen(self) -> dict[str, Any] | None:
        """Options by which files are read, for the record of a run."""
        if self._window is None:
            return None
        ends = [self._window.low, self._window.high]
        return {"window_percentiles" if self._window.percentiles else "window": ends}

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self._pairs[index]
        found = read_volume(pair.image, self._window)
        channels = self.card.channels
        if len(found.x) != channels:
            raise InputError(
                f"{pair.image}: expected {channels} channels, as the model has, got "
                f"{len(found.x)}; pass --channels {len(found.x)} if it takes them"
            )
        if found.notes:
            self.remarks[str(pair.image)] = {"header": "; ".join(found.notes)}
        return Sample(pair.name, found.x, self._labels(pair, found.x.shape[1:], found.affine))

    def _labels(
        self, pair: Pair, size: tuple[int, ...], affine: NDArray[np.float64] | None
    ) -> NDArray[np.uint8]:
        values, own, _, _ = read_voxels(pair.labels)
        where = f"{pair.labels}: expected labels"
        if values.shape != (1, *size):
            got = values.shape[1:] if len(values) == 1 else values.shape
            raise InputError(
                f"{where} of {' x '.join(map(str, size))} voxels as in {pair.image.name}, got "
                f"{' x '.join(map(str, got))}; resample the labels to the volume"
            )
        if affine is not None and own is not None and not np.allclose(affine, own, 1e-3, 1e-2):
            raise InputError(
                f"{where} in the space of {pair.image.name}, got another affine; resample the "
                "labels to the volume (nearest neighbour), or give both one header"
            )
        raw = values[0]
        labels = np.where(np.isin(raw, self._ignore), IGNORE, raw)
        known = (labels == IGNORE) | np.isin(labels, range(self.card.num_classes))
        if not known.all():
            strange = np.unique(raw[~known])
            raise InputError(
                f"{where} 0..{self.card.num_classes - 1} and {IGNORE}, got "
                f"{', '.join(f'{value:g}' for value in strange[:5])}; ignore these ids (--ignore), "
                "or write the ids of the model's classes"
            )
        return labels.astype(np.uint8)
