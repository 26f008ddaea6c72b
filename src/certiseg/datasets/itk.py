"""Volumes in NRRD and MetaImage files, read by SimpleITK."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.libraries import reader
from certiseg.datasets.nifti import check_voxels, header_at
from certiseg.errors import InputError, refusing
from certiseg.files.reading import KIB, VOLUME, read_bounded

_IO = {".nrrd": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}
ITK_SUFFIXES = tuple(_IO)
_HEADER = 64 * KIB
_PACKED = 1100
"""Bytes that one of a file unpacks to at most, by deflate."""
_ELSEWHERE = re.compile(
    rb"^[ \t]*(?:ElementDataFile[ \t]*=|data ?file:)[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE
)
_AGAIN = "write or download it again"


def read_itk(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], Any, tuple[str, ...]]:
    """Values (C, X, Y, Z), axes as in NIfTI; affine to RAS millimetres; a NIfTI header of the same
    space; no notes. Raises InputError."""
    sitk = reader("SimpleITK", "itk", "NRRD and MetaImage files")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    wanted = f"{path}: expected a readable file of a volume"
    with refusing(OSError, expected=wanted, remedy="check the path"):
        contents = {path.name: read_bounded(path, VOLUME)}
        beside = _data_file(path, contents[path.name])
        if beside is not None:
            contents[beside] = read_bounded(path.parent / beside, VOLUME)
    # SimpleITK reads from paths only: it gets a copy, so that it reads what was checked.
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            Path(folder, name).write_bytes(content)
        file = sitk.ImageFileReader()
        file.SetImageIO(_IO[path.suffix.lower()])
        file.SetFileName(str(Path(folder, path.name)))
        wanted = f"{path}: expected an {path.suffix.lower()[1:]} file of a volume"
        with refusing(Exception, expected=wanted, remedy=_AGAIN, got=_GOT):
            file.ReadImageInformation()
        size = (*file.GetSize(), file.GetNumberOfComponents())
        with refusing(ValueError, expected=wanted, remedy=_AGAIN):
            if file.GetDimension() != 3:
                raise ValueError(f"{file.GetDimension()} axes; take one volume out of it")
            check_voxels(size)
            # The header's size is checked against that of the file.
            if math.prod(size) > _PACKED * sum(map(len, contents.values())):
                raise ValueError(f"too few bytes for a volume of {size}")
        with refusing(Exception, expected=wanted, remedy=_AGAIN, got=_GOT):
            image = file.Execute()
            stored = sitk.GetArrayFromImage(image)
    return (*placed(image, stored, path), ())


def placed(
    image: Any, stored: NDArray[Any], path: Path
) -> tuple[NDArray[np.float64], NDArray[np.float64], Any]:
    """Values, affine and header, as ``read_itk`` gives them, of SimpleITK's image and its array."""
    if stored.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected numbers, got {stored.dtype}; write real intensities")
    values = stored.astype(np.float64)
    # (z, y, x) or (z, y, x, channels), reversed.
    values = values.T if values.ndim == 4 else values.T[None]
    affine = np.eye(4)
    direction = np.reshape(image.GetDirection(), (3, 3))
    affine[:3, :3] = direction * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    # ITK's axes point to the left and the back, NIfTI's to the right and the front.
    affine = np.diag([-1.0, -1, 1, 1]) @ affine
    return values, affine, header_at(affine)


_GOT = "one that SimpleITK cannot read"


def _data_file(path: Path, content: bytes) -> str | None:
    """Name of the file with the voxels, None if they follow the header. Raises InputError for a
    file that is not beside the header."""
    found = _ELSEWHERE.search(content[:_HEADER])
    named = "" if found is None else found[1].decode("utf-8", "replace").strip()
    if named in ("", "LOCAL"):
        return None
    beside = path.suffix.lower() == ".mhd" and Path(named).name == named
    if not beside or not (path.parent / named).is_file():
        raise InputError(
            f"{path}: expected its voxels in the same file, or of .mhd in one beside it, got "
            f"{named!r:.60}; write it as one file (.nrrd or .mha)"
        )
    return named
