"""The MNI152 brain template as a small segmentation data set from a PyPI package.

Images: axial slices of the skull-stripped T1 template. Labels: background, grey matter, white
matter, from the probability maps beside it. nilearn's wheel carries all three; nothing is fetched.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import Card, Sample, check_split
from certiseg.errors import InputError

WINDOW = (0.35, 0.95)
"""Template intensities (0..1) shown as 0 and 1, cut off beyond; the same for all slices."""

CARD = Card(
    name="MNI152",
    classes=("background", "grey matter", "white matter"),
    palette=((0, 0, 0), (70, 130, 180), (240, 200, 90)),
    channels=1,
    source=(
        "ICBM 2009a nonlinear symmetric template, 1 mm (Fonov et al. 2009), as packaged by "
        "nilearn; axial slices cut to the brain's bounding box, padded with 0 to a multiple of 8; "
        f"intensity = clip((T1 / max(T1) - {WINDOW[0]}) / ({WINDOW[1]} - {WINDOW[0]}), 0, 1); "
        "labels = most probable of 1 - grey - white, grey, white"
    ),
    licence=(
        "(C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological "
        "Institute, McGill University; use, copying and distribution permitted with this notice"
    ),
)

SPLITS: dict[str, tuple[range, ...]] = {
    "train": (range(20, 58), range(98, 140)),
    "val": (range(63, 75),),
    "demo": (range(80, 93),),
}
"""Axial slice numbers (1 mm each). Disjoint blocks, 5 mm apart, since neighbours look alike."""

_MULTIPLE = 8


class Slices:
    """Chosen axial slices: image float32 (1, H, W) in [0, 1], labels uint8 (H, W), front on top."""

    card = CARD

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = tuple(numbers)
        self._t1, self._labels = _volumes()

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Sample:
        z = self.numbers[index]
        return Sample(
            name=f"mni152-z{z:03d}",
            x=np.ascontiguousarray(self._t1[None, ..., z]),
            labels=np.ascontiguousarray(self._labels[..., z]),
        )


def mni152(split: str) -> Slices:
    """Slices of `split`: "train", "val" or "demo" (see SPLITS).

    Raises InputError for an unknown split, or if nilearn is not installed.
    """
    check_split(split, SPLITS, CARD.name)
    return Slices([z for block in SPLITS[split] for z in block])


@functools.lru_cache(maxsize=1)
def _volumes() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Windowed T1 and labels, (H, W, Z) each, front on top and the subject's left at the left."""
    t1, grey, white = (_load(kind) for kind in ("t1", "gm", "wm"))
    brain = np.nonzero(t1.any(axis=2))
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in brain)
    windowed = np.clip((t1[box] - WINDOW[0]) / (WINDOW[1] - WINDOW[0]), 0, 1)
    grey, white = grey[box], white[box]
    labels = np.argmax(np.stack([1 - grey - white, grey, white]), axis=0).astype(np.uint8)
    return _upright(windowed.astype(np.float32)), _upright(labels)


def _upright(volume: NDArray[Any]) -> NDArray[Any]:
    """(x, y, z) with x to the right and y to the front -> rows from front to back, padded."""
    rotated = np.rot90(volume)
    pad = [(0, -rotated.shape[axis] % _MULTIPLE) for axis in (0, 1)]
    return np.pad(rotated, [(p // 2, p - p // 2) for _, p in pad] + [(0, 0)])


def _load(kind: str) -> NDArray[np.float32]:
    """One packaged volume divided by its maximum (as nilearn's own loaders do)."""
    # nilearn itself takes seconds to import; only its data files are needed.
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None or importlib.util.find_spec("nibabel") is None:
        raise InputError(
            "expected the package nilearn, which carries the MNI152 template, got none installed; "
            "pip install 'certiseg[demo]'"
        )
    name = f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
    path = Path(spec.origin).parent / "datasets" / "data" / name
    if not path.is_file():
        raise InputError(
            f"expected {name} inside the installed nilearn, got none; "
            "pip install -U 'certiseg[demo]'"
        )
    import nibabel

    volume = np.asanyarray(nibabel.load(path).dataobj).astype(np.float32)  # type: ignore[attr-defined]
    scaled: NDArray[np.float32] = volume / volume.max()
    return scaled
