"""The point clouds that the options of `certiseg train-clouds` name."""

from __future__ import annotations

from pathlib import Path

from certiseg.datasets.card import Samples
from certiseg.datasets.solids import SIZES, solids
from certiseg.errors import InputError

SPLITS = ("train", "val", "test")


def training_clouds(
    data: str, root: Path | None, *, points: int, channels: int, count: int | None
) -> dict[str, Samples]:
    """The three splits of "solids". count: clouds to train on; solids makes any number.

    Raises InputError for options that do not fit together.
    """
    if channels not in (3, 6):
        raise InputError(f"expected --channels 3 or 6, got {channels}; 6 has normals")
    normals = channels == 6
    if root is not None:
        raise InputError(f"expected no --root with --data {data}, got one; solids are generated")
    train = SIZES["train"] if count is None else count
    return {
        split: solids(
            split, points=points, normals=normals, count=train if split == "train" else None
        )
        for split in SPLITS
    }
