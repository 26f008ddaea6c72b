"""NIfTI files: values with the scaling of their header, and new ones in the same space."""

from __future__ import annotations

import gzip
import importlib.util
import io
import logging
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError, refusing
from certiseg.files.reading import MIB, VOLUME, in_words, read_bounded

NIFTI_SUFFIXES = (".nii", ".nii.gz")
MOST_VOXELS = 1024**3
"""Values of a volume, over all channels."""
_HEADER = 348
"""Bytes of a NIfTI-1 header."""


def read_nifti(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], Any, tuple[str, ...]]:
    """Values (C, X, Y, Z), scaled as the header says, affine, header, and what is wrong with the
    header as stored, which nibabel reads with a default in its place. Raises InputError."""
    nibabel = _nibabel()
    wanted = f"{path}: expected a readable NIfTI file"
    with refusing(OSError, expected=wanted, remedy="check the path"):
        content = read_bounded(path, VOLUME)
    # nibabel's own errors share no base class.
    wanted = f"{path}: expected a NIfTI-1 file"
    with refusing(Exception, zlib.error, expected=wanted, remedy="write or download it again"):
        if path.name.lower().endswith(".gz"):
            content = _unpacked(content)
        image = nibabel.Nifti1Image.from_bytes(content)
        faults = nibabel.Nifti1Header.diagnose_binaryblock(content[:_HEADER]).splitlines()
        # The header's word, believed only as far as there are bytes for it.
        if not 0 < math.prod(image.shape) * image.get_data_dtype().itemsize <= len(content):
            raise ValueError(f"{len(content)} bytes for a volume of {image.shape}")
        check_voxels(image.shape)
        values = np.asarray(image.dataobj, dtype=np.float64)
    if values.ndim not in (3, 4) or 0 in values.shape:
        raise InputError(
            f"{path}: expected a volume (X, Y, Z) or (X, Y, Z, channels), got {values.shape}; "
            "take one volume out of a series"
        )
    if values.ndim == 3:
        values = values[..., None]
    affine = np.asarray(image.affine, np.float64)
    return np.moveaxis(values, -1, 0), affine, image.header, tuple(faults)


def check_voxels(shape: Sequence[int]) -> None:
    """Raise ValueError for more values than are read of a volume, each in 8 bytes."""
    if math.prod(shape) > MOST_VOXELS:
        raise ValueError(f"{shape}, more than {MOST_VOXELS} values (docs/limits.md)")


def _unpacked(content: bytes) -> bytes:
    """Of a gzip file. Raises ValueError for one that unpacks to more than VOLUME bytes."""
    pieces, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        while piece := file.read(MIB):
            pieces.append(piece)
            size += len(piece)
            if size > VOLUME:
                raise ValueError(f"a file that unpacks to more than {in_words(VOLUME)}")
    return b"".join(pieces)


def nifti_bytes(
    values: NDArray[Any], affine: NDArray[np.float64], header: Any, *, compressed: bool = True
) -> bytes:
    """A NIfTI file of values (D, H, W), labels int16 or radii float32, where the input lay."""
    nibabel = _nibabel()
    image = nibabel.Nifti1Image(values, affine)
    if header is not None:
        # Space and units of the input; its own scaling of intensities is not taken over.
        image.header.set_xyzt_units(*header.get_xyzt_units())
        for name in ("qform", "sform"):
            code = int(header[f"{name}_code"])
            getattr(image, f"set_{name}")(affine if code else None, code)
    content: bytes = image.to_bytes()
    # Without the time of writing, the same certificate makes the same file.
    return gzip.compress(content, mtime=0) if compressed else content


def _nibabel() -> Any:
    if importlib.util.find_spec("nibabel") is None:
        raise InputError(
            "expected the package nibabel to read NIfTI, got none installed; "
            "pip install 'certiseg[monai]'"
        )
    import nibabel

    # It would say on the terminal what it thinks of a header, beside the one line of an error.
    nibabel.imageglobals.logger.setLevel(logging.CRITICAL)
    return nibabel
