"""The point clouds a run is asked for: generated ones, or ShapeNet part."""

from __future__ import annotations

from pathlib import Path

from certiseg.datasets.card import Sample, Samples, note_of
from certiseg.datasets.categories import Clouds, even_categories
from certiseg.datasets.shapenet import shapenet
from certiseg.datasets.solids import solids
from certiseg.errors import InputError

CLOUDS = ("solids", "shapenet")
POINTS = 2048


class Joined:
    """Samples with the notes of everything that left some of them out.

    skipped: files that were left out, one "FILE: reason" each.
    """

    def __init__(self, samples: Samples, notes: tuple[str | None, ...], skipped: tuple[str, ...]):
        self.card, self.skipped = samples.card, skipped
        self.note = "; ".join(note for note in notes if note)
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


def open_clouds(
    data: str,
    *,
    channels: int,
    root: Path | None = None,
    split: str = "test",
    points: int | None = None,
    limit: int | None = None,
    skip_bad: bool = False,
) -> Joined:
    """Clouds of "solids" or "shapenet" (under root) with 3 channels, or 6 with normals.

    At most limit of them, spread evenly over the categories. points: each is resampled to, default
    2048. skip_bad: leave out files that are absent or damaged. Raises InputError.
    """
    if channels not in (3, 6):
        raise InputError(
            f"expected a model for 3 channels (x, y, z) or 6 (and normals), got one for "
            f"{channels}; {data} has point clouds"
        )
    clouds: Clouds
    skipped: tuple[str, ...] = ()
    points, normals = POINTS if points is None else points, channels == 6
    if data == "solids":
        if root is not None:
            raise InputError(f"expected no --root with --data solids, got {root}; it is generated")
        if skip_bad:
            raise InputError("expected no --skip-bad with --data solids, got it; it has no files")
        clouds = solids(split, points=points, normals=normals)
    else:
        if root is None:
            raise InputError(
                "expected --root with --data shapenet, got none; name the unpacked folder of "
                "shapenetcore_partanno_segmentation_benchmark_v0_normal.zip (Yi et al. 2016)"
            )
        clouds = found = shapenet(root, split, points=points, normals=normals, skip_bad=skip_bad)
        skipped = found.skipped
    chosen = even_categories(clouds, limit)
    notes = dict.fromkeys((note_of(clouds), note_of(chosen)))
    return Joined(chosen, tuple(notes), skipped)
