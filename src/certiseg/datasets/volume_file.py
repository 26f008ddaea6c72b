"""Strict reader of volumes, with intensities mapped to [0, 1] by a window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.dicom import is_series, read_dicom
from certiseg.datasets.itk import ITK_SUFFIXES, read_itk
from certiseg.datasets.nifti import NIFTI_SUFFIXES, check_voxels, read_nifti
from certiseg.errors import InputError, refusing
from certiseg.files.arrays import npy_axes, read_npy
from certiseg.files.reading import VOLUME
from certiseg.rounding import against

VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, *ITK_SUFFIXES, ".npy")


@dataclass(frozen=True)
class Window:
    """Intensities mapped to 0 and 1; values outside are clipped.

    low, high: in the file's units; or with percentiles=True in percent of the values of the file
    itself. Then the window is computed once from the file and taken as fixed: a certificate says
    nothing of perturbations of the file that would move it. Raises InputError unless low < high.
    """

    low: float
    high: float
    percentiles: bool = False

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        if not finite or not self.low < self.high:
            raise InputError(
                f"expected a window of two numbers, the lower first, got {self.low:g} and "
                f"{self.high:g}; -160 240 is a usual one of soft tissue in CT"
            )
        if self.percentiles and not (self.low >= 0 and self.high <= 100):
            raise InputError(
                f"expected percentiles in [0, 100], got {self.low:g} and {self.high:g}; "
                "0.5 99.5 is usual"
            )

    def apply(
        self, values: NDArray[Any], name: str
    ) -> tuple[NDArray[np.float32], tuple[float, float], float]:
        """Values of the file of that name brought to [0, 1], the window in the file's units, and
        the share of values outside it. Raises InputError for values that are not finite, and for
        percentiles that are equal."""
        _check_finite(values, name)
        low, high = self.low, self.high
        if self.percentiles:
            low, high = (float(v) for v in np.percentile(values, (low, high)))
            if not low < high:
                raise InputError(
                    f"{name}: expected intensities that differ, got {low:g} at both percentiles; "
                    "give the window itself (--window LOW HIGH)"
                )
        clipped = float(np.mean((values < low) | (values > high)))
        scaled = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
        return scaled.astype(np.float32), (low, high), clipped


def _check_finite(values: NDArray[Any], name: str) -> None:
    if not np.isfinite(values).all():
        raise InputError(
            f"{name}: expected finite intensities, got NaN or infinity; set them to a number of "
            "the background"
        )


def window_of(
    values: tuple[float, float] | None, percentiles: tuple[float, float] | None
) -> Window | None:
    """The window of the two command-line options. Raises InputError if both are given."""
    if values is not None and percentiles is not None:
        raise InputError("expected --window or --window-percentiles, got both; leave one out")
    if percentiles is not None:
        return Window(*percentiles, percentiles=True)
    return None if values is None else Window(*values)


@dataclass(frozen=True, eq=False)
class VolumeFile:
    """A volume as it is certified, and facts about its file.

    x: float32 (C, D, H, W) in [0, 1], axes in the file's order. window: (low, high) in the file's
    units, None if values are not mapped. clipped: share of values outside. affine: 4 x 4 to
    millimetres, None for npy. header: of NIfTI, as stored or of the same space, for outputs.
    notes: remarks on the header.
    """

    x: NDArray[np.float32]
    window: tuple[float, float] | None
    clipped: float
    affine: NDArray[np.float64] | None = None
    header: Any = None
    notes: tuple[str, ...] = ()


def is_volume_file(path: Path) -> bool:
    """Whether a file holds a volume, by its suffix or, for npy, by its number of axes; or whether a
    folder holds a DICOM series.

    False for an npy file that cannot be read, which the reader of point clouds refuses.
    """
    name = path.name.lower()
    if path.is_dir():
        return is_series(path)
    if name.endswith((*NIFTI_SUFFIXES, *ITK_SUFFIXES)):
        return True
    if not name.endswith(".npy"):
        return False
    try:
        return npy_axes(path, VOLUME) >= 3
    except (OSError, ValueError):
        return False


def volume_stem(path: Path) -> str:
    """The file's name without its suffix, such as .nii.gz; the name of a folder."""
    name = path.name or path.resolve().name
    if path.is_dir():
        return name
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else path.stem


def read_volume(path: str | Path, window: Window | None = None) -> VolumeFile:
    """Read a volume as float32 (C, D, H, W) in [0, 1].

    Voxels are taken as they are stored: nothing is resampled or reoriented.

    Args:
        path: NIfTI (X, Y, Z) or (X, Y, Z, C), with the scaling of its header; NRRD or MetaImage,
            axes in the same order; npy (D, H, W) or (C, D, H, W).
        window: Intensities mapped to 0 and 1; None for values in [0, 1].

    Returns:
        The volume and facts about its file.

    Raises:
        InputError: For another kind of file, other axes, values that are not finite, values outside
            [0, 1] without a window, and a constant volume.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "volume.npy")
        >>> np.save(path, np.linspace(-1000, 1000, 60).reshape(3, 4, 5))
        >>> found = read_volume(path, Window(-160, 240))
        >>> found.x.shape, round(found.clipped, 2)
        ((1, 3, 4, 5), 0.8)
    """
    path = Path(path)
    values, affine, header, notes = read_voxels(path)
    _check_finite(values, str(path))
    if window is None:
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 1:
            raise InputError(
                f"{path}: expected intensities in [0, 1], got "
                f"[{against(low, 0, 1)}, {against(high, 0, 1)}]; say "
                "which become 0 and 1 (--window LOW HIGH, as in training)"
            )
        return VolumeFile(values.astype(np.float32), None, 0.0, affine, header, notes)
    scaled, bounds, clipped = window.apply(values, str(path))
    return VolumeFile(scaled, bounds, clipped, affine, header, notes)


def read_voxels(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, Any, tuple[str, ...]]:
    """Values (C, D, H, W) as the file has them, and of all but npy affine, header and notes. Raises
    InputError."""
    if path.is_dir():
        return read_dicom(path)
    if path.name.lower().endswith(NIFTI_SUFFIXES):
        return read_nifti(path)
    if path.name.lower().endswith(ITK_SUFFIXES):
        return read_itk(path)
    return _npy(path), None, None, ()


def _npy(path: Path) -> NDArray[np.float64]:
    """Values (C, D, H, W)."""
    wanted, remedy = f"{path}: expected an npy file of numbers", "write it with np.save, as floats"
    with refusing(OSError, ValueError, expected=wanted, remedy=remedy):
        array = read_npy(path, VOLUME)
        check_voxels(array.shape)
    if array.dtype.kind not in "fiu" or array.ndim not in (3, 4) or array.size == 0:
        raise InputError(
            f"{path}: expected a volume (D, H, W) or (C, D, H, W) of numbers, got {array.dtype} "
            f"{array.shape}; np.save it so"
        )
    return (array[None] if array.ndim == 3 else array).astype(np.float64)


def window_facts(volume: VolumeFile, window: Window | None) -> Mapping[str, Any]:
    """The window, for the record of a certificate."""
    if volume.window is None or window is None:
        return {"window": None, "window_percentiles": None, "clipped": 0.0}
    percentiles = [window.low, window.high] if window.percentiles else None
    return {
        "window": list(volume.window),
        "window_percentiles": percentiles,
        "clipped": volume.clipped,
    }
