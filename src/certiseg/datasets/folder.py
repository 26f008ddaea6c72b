"""A folder of pictures beside a folder of label maps, and even samples of any data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from certiseg.datasets.card import Card, Sample, Samples
from certiseg.datasets.images import IMAGE_SUFFIXES
from certiseg.datasets.pairs import Paired, paired_by_stem
from certiseg.datasets.truth import Ids
from certiseg.errors import InputError


class Folder(Paired):
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
        pairs = paired_by_stem(Path(image_dir), Path(label_dir), IMAGE_SUFFIXES, (".png",))
        super().__init__(pairs, card, Ids(card.num_classes, ignore, label_map))


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
