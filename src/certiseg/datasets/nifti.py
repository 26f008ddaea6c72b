"""NIfTI files: values with the scaling of their header, and new ones in the same space."""

from __future__ import annotations

import gzip
import io
import logging
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.libraries import reader
from certiseg.errors import InputError, refusing
from certiseg.files.reading import MIB, VOLUME, in_words, read_bounded

NIFTI_SUFFIXES = (".nii", ".nii.gz")
MOST_VOXELS = 1024**3
"""Values of a volume, over all channels."""
_GZIP = b"\x1f\x8b"
_SIZES = {348: "Nifti1Image", 540: "Nifti2Image"}
"""Bytes of a header, its own first field, and the class of nibabel that reads it."""
_SPACE = (
    *("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z"),
    "xyzt_units",
)
"""Fields of a header that place voxels in the world, beside the first four of pixdim."""


def read_nifti(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], Any, tuple[str, ...]]:
    """Values (C, X, Y, Z), scaled as the header says; affine; header as stored; and notes on it.
    For NIfTI-1 and NIfTI-2 of either byte order. Channels lie along the one axis after the third
    that is longer than 1. Notes
    name fields that do not follow the format, which nibabel reads with a default in their place,
    and forms that place the volume differently. Raises InputError.
    """
    nibabel = _nibabel()
    wanted = f"{path}: expected a readable NIfTI file"
    with refusing(OSError, expected=wanted, remedy="check the path"):
        content = read_bounded(path, VOLUME)
    packed = path.name.lower().endswith(".gz")
    if content and packed != content.startswith(_GZIP):
        was, ending = ("not packed", ".nii") if packed else ("packed by gzip", ".nii.gz")
        raise InputError(
            f"{path}: expected a file {'packed by gzip' if packed else 'that is not packed'}, as "
            f"its name says, got one that is {was}; if it is NIfTI, rename it to end in {ending}"
        )
    # nibabel's own errors share no base class.
    wanted = f"{path}: expected a NIfTI file"
    with refusing(Exception, zlib.error, expected=wanted, remedy="write or download it again"):
        if packed:
            content = _unpacked(content)
        kind = _class(nibabel, content)
        header = kind.header_class(content[: kind.header_class.sizeof_hdr], check=False)
        if header["magic"].item() == header.pair_magic:
            raise ValueError("the header of a pair, whose voxels are in an .img file")
        faults = kind.header_class.diagnose_binaryblock(header.binaryblock).splitlines()
        image = kind.from_bytes(content)
        # The header's size is checked against that of the file.
        if not 0 < math.prod(image.shape) * image.get_data_dtype().itemsize <= len(content):
            raise ValueError(f"{len(content)} bytes for a volume of {image.shape}")
        check_voxels(image.shape)
    channels = _channels(path, image.shape)
    if image.get_data_dtype().kind not in "fiu":
        raise InputError(
            f"{path}: expected one number a voxel, got {header.get_value_label('datatype')}; write "
            "its parts as channels, (X, Y, Z, channels), or as files of their own"
        )
    with refusing(Exception, expected=wanted, remedy="write or download it again"):
        values = np.asarray(image.dataobj, dtype=np.float64).reshape(*image.shape[:3], channels)
    affine = np.asarray(image.affine, np.float64)
    notes = [*_disagreement(nibabel, image.header, affine)]
    if faults:
        notes.append(
            f"its header does not follow the format ({'; '.join(faults)}); read with the format's "
            "default there"
        )
    return np.moveaxis(values, -1, 0), affine, header, tuple(notes)


def _class(nibabel: Any, content: bytes) -> Any:
    """The class that reads a file with these first bytes. Raises ValueError if there is none."""
    for order in ("<", ">"):
        name = _SIZES.get(int(np.frombuffer(content[:4].ljust(4, b"\0"), f"{order}i4")[0]))
        if name is not None:
            return getattr(nibabel, name)
    raise ValueError("a file that does not begin as one")


def _channels(path: Path, shape: tuple[int, ...]) -> int:
    """Number of channels. Raises InputError for anything but a single volume."""
    if len(shape) < 3:
        raise InputError(
            f"{path}: expected a volume (X, Y, Z), got an image of {shape}; give it a third axis "
            "of length 1, or write it as PNG"
        )
    longer = [side for side in shape[3:] if side > 1]
    if len(longer) > 1:
        raise InputError(
            f"{path}: expected a volume (X, Y, Z) or (X, Y, Z, channels), got {shape}; take one "
            "volume out of the series (in nibabel image.slicer[:, :, :, 0])"
        )
    return longer[0] if longer else 1


def _disagreement(nibabel: Any, header: Any, affine: NDArray[np.float64]) -> tuple[str, ...]:
    """Description of contradictions between qform, sform and pixdim."""
    both = int(header["qform_code"]) > 0 and int(header["sform_code"]) > 0
    if both and not np.allclose(header.get_qform(), header.get_sform(), rtol=1e-3, atol=1e-3):
        return ("its qform and sform place it differently; outputs carry both as they are",)
    stated, sides = header.get_zooms()[:3], nibabel.affines.voxel_sizes(affine)
    if not np.allclose(stated, sides, rtol=1e-3):
        words = (" x ".join(f"{side:.4g}" for side in found) for found in (stated, sides))
        return ("its voxels are {} by pixdim and {} by sform; outputs carry both".format(*words),)
    return ()


def check_voxels(shape: Sequence[int]) -> None:
    """Raise ValueError for more values, in 8 bytes each, than are read for a volume."""
    if math.prod(shape) > MOST_VOXELS:
        raise ValueError(f"{shape}, more than {MOST_VOXELS} values (docs/limits.md)")


def _unpacked(content: bytes) -> bytes:
    """The content of a gzip file. Raises ValueError if it is larger than VOLUME bytes."""
    pieces, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        while piece := file.read(MIB):
            pieces.append(piece)
            size += len(piece)
            if size > VOLUME:
                raise ValueError(f"a file that unpacks to more than {in_words(VOLUME)}")
    return b"".join(pieces)


def nifti_bytes(values: NDArray[Any], header: Any) -> bytes:
    """A .nii.gz file of values (X, Y, Z), labels int16 or radii float32, where the input lay.

    header: the input's as stored. Both forms with their codes, voxel sizes and units are taken over
    field by field; its scaling of intensities, its description and its extensions are not.
    """
    nibabel = _nibabel()
    image = getattr(nibabel, _SIZES[int(header["sizeof_hdr"])])(values, None)
    # Not through a new image, whose header nibabel would correct.
    for name in _SPACE:
        image.header[name] = header[name]
    image.header["pixdim"][:4] = header["pixdim"][:4]
    content: bytes = image.to_bytes()
    # Without a time stamp, so that equal certificates give equal files.
    return gzip.compress(content, mtime=0)


def header_at(affine: NDArray[np.float64]) -> Any:
    """A header that places voxels by this affine, in millimetres of the scanner."""
    header = _nibabel().Nifti1Header()
    header.set_xyzt_units("mm")
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    if not np.allclose(header.get_qform(), affine, rtol=1e-4, atol=1e-4):
        # A qform cannot represent shears.
        header["qform_code"] = 0
    return header


def _nibabel() -> Any:
    nibabel = reader("nibabel", "monai", "NIfTI")
    # nibabel would print remarks on the header beside our one-line error.
    nibabel.imageglobals.logger.setLevel(logging.CRITICAL)
    return nibabel
