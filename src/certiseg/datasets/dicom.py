"""A volume from a folder with one DICOM series, read by SimpleITK."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.itk import placed
from certiseg.datasets.libraries import reader
from certiseg.datasets.nifti import check_voxels
from certiseg.errors import InputError, refusing
from certiseg.files.reading import VOLUME, read_bounded

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_MAGIC, _PREAMBLE = b"DICM", 128
_UNEVEN = 0.01
"""Slices whose distances differ by more than this share are no even grid."""
_CONVERT = "convert it: pip install dcm2niix, then dcm2niix -z y -o OUT FOLDER"


def is_series(folder: Path) -> bool:
    """Whether a folder holds DICOM slices, by suffix or, without suffixes, by their first bytes."""
    return folder.is_dir() and any(_is_slice(path) for path in folder.iterdir())


def read_dicom(
    folder: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], Any, tuple[str, ...]]:
    """Read the one series in a folder, its intensities rescaled as it says (CT: Hounsfield units).

    Returns:
        Values (C, X, Y, Z), axes as in NIfTI; affine to RAS millimetres; a NIfTI header of the
        same space; no notes.

    Raises:
        InputError: For no or several series, slices at uneven distances, and errors of SimpleITK.
    """
    sitk = reader("SimpleITK", "itk", "DICOM series")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    wanted = f"{folder}: expected a folder with one DICOM series"
    slices = sorted(path for path in folder.iterdir() if _is_slice(path))
    left = VOLUME
    # SimpleITK reads from paths only: it gets copies, so that it reads what was checked.
    with tempfile.TemporaryDirectory() as copies:
        for number, path in enumerate(slices):
            with refusing(OSError, expected=wanted, remedy="check the path"):
                content = read_bounded(path, left)
            left -= len(content)
            Path(copies, f"{number:06d}.dcm").write_bytes(content)
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(copies)
        if len(series) != 1:
            raise InputError(
                f"{wanted}, got {len(series) or 'none that can be read'}; put each series into a "
                f"folder of its own, or {_CONVERT}"
            )
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(copies, series[0])
        if len(names) != len(slices):
            raise InputError(
                f"{wanted}, got {len(slices)} files of which {len(names)} can be read; copy the "
                f"series again, or {_CONVERT}"
            )
        _check_places(sitk, names, wanted)
        file = sitk.ImageSeriesReader()
        file.SetFileNames(names)
        with refusing(Exception, expected=wanted, remedy=_CONVERT, got="one that it cannot read"):
            image = file.Execute()
            stored = sitk.GetArrayFromImage(image)
    if stored.ndim != 3:
        raise InputError(f"{wanted} of one number a voxel, got shape {stored.shape}; {_CONVERT}")
    return (*placed(image, stored, folder), ())


def _is_slice(path: Path) -> bool:
    if path.suffix.lower() in DICOM_SUFFIXES:
        return not path.name.startswith(".")
    if path.suffix or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC
    except OSError:
        return False


def _check_places(sitk: Any, names: tuple[str, ...], wanted: str) -> None:
    """Raise InputError unless the slices lie at one distance along their normal."""
    places = []
    sizes, turns = set(), set()
    for name in names:
        file = sitk.ImageFileReader()
        file.SetImageIO("GDCMImageIO")
        file.SetFileName(name)
        with refusing(Exception, expected=wanted, remedy=_CONVERT, got="one that it cannot read"):
            file.ReadImageInformation()
        turn = np.reshape(file.GetDirection(), (3, 3))
        turns.add(tuple(np.round(turn, 4).ravel()))
        sizes.add(tuple(file.GetSize()))
        places.append(float(np.asarray(file.GetOrigin()) @ turn[:, 2]))
    gaps = np.diff(places)
    uneven = len(gaps) > 0 and not np.all(np.abs(gaps - gaps.mean()) <= _UNEVEN * abs(gaps.mean()))
    with refusing(ValueError, expected=wanted, remedy=_CONVERT):
        check_voxels((*max(sizes), len(names)))
    if len(sizes) != 1 or len(turns) != 1 or uneven or (len(gaps) > 0 and gaps.mean() == 0):
        raise InputError(
            f"{wanted} of parallel slices of one size at one distance, got others (a slice is "
            f"missing, or several scans share the series); {_CONVERT}"
        )
