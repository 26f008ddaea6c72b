"""Point clouds in binary and library formats: npy, npz, ply, las and laz."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.cloud_table import CloudTable, customary_names
from certiseg.datasets.libraries import reader
from certiseg.errors import InputError, refusing
from certiseg.files.arrays import read_npy, read_npz
from certiseg.files.reading import CLOUD, read_bounded

_AGAIN = "write the file again"
_LAS = struct.Struct("<25xB74xI3xI")
"""Minor version, number of records of variables, number of points, in the header of a LAS file."""
_LAS_4 = struct.Struct("<243xIQ")
"""Numbers of extended records and of points, in that of version 1.4."""
_ELEMENT = re.compile(rb"^\s*element\s+(\S+)\s+(\S+)", re.MULTILINE)


def read_array(path: Path, stated: Sequence[str] | None = None) -> CloudTable:
    """The table of an npy file, or of an npz file of one array: floats (N, 3) or (N, 6), with
    stated columns (N, as many), or with the columns first."""
    packed = path.suffix.lower() == ".npz"
    wanted = f"{path}: expected an {path.suffix.lower()[1:]} file of numbers"
    remedy = "write it with np.save, as floats"
    with refusing(OSError, ValueError, BadZipFile, zlib.error, expected=wanted, remedy=remedy):
        array = _only(path, read_npz(path, CLOUD)) if packed else read_npy(path, CLOUD)
    widths = (3, 6) if stated is None else (len(stated),)
    if array.dtype.kind != "f" or array.ndim != 2 or not set(widths) & set(array.shape):
        several = " or ".join(f"(N, {width})" for width in widths)
        columns = "" if stated is not None else "; columns of other meaning need --columns"
        raise InputError(
            f"{path}: expected a float array {several}, or channels first, got {array.dtype} "
            f"{array.shape}; np.save its columns as float32{columns}"
        )
    values = array.astype(np.float64)
    # If both axes could be channels, there are too few points in any case.
    if values.shape[1] not in widths:
        values = values.T
    return _table(path, values)


def read_ply(path: Path, stated: Sequence[str] | None = None) -> CloudTable:
    """The vertices of a PLY file, text or binary, their properties as columns."""
    plyfile = reader("plyfile", "clouds", "PLY files")
    content = _content(path, "PLY")
    with refusing(Exception, expected=f"{path}: expected a PLY file", remedy=_AGAIN):
        for name, count in _ELEMENT.findall(content[: content.find(b"end_header")]):
            # The header's number is checked against the file's size.
            if not 0 <= int(count) <= len(content):
                raise ValueError(f"{len(content)} bytes for {int(count)} of {name.decode():.20}")
        data = plyfile.PlyData.read(io.BytesIO(content))
        vertex = next((e for e in data.elements if e.name == "vertex"), None)
        if vertex is None:
            raise ValueError("no vertices")
        plain = [p.name for p in vertex.properties if not isinstance(p, plyfile.PlyListProperty)]
        values = np.stack([np.asarray(vertex[name], np.float64) for name in plain], axis=1)
    return _table(path, values, plain)


def read_las(path: Path, stated: Sequence[str] | None = None) -> CloudTable:
    """The points of a LAS or LAZ file: x, y, z scaled as its header says, then its other fields."""
    laspy = reader("laspy", "clouds", "LAS files")
    content = _content(path, "LAS")
    with refusing(Exception, expected=f"{path}: expected a LAS or LAZ file", remedy=_AGAIN):
        _check_las(content)
        with laspy.open(io.BytesIO(content)) as file:
            count = int(file.header.point_count)
            points = file.read()
        if len(points.points) != count:
            raise ValueError(f"{len(points.points)} points of {count}")
        # x, y, z are scaled from the stored integers X, Y, Z.
        others = [n for n in points.point_format.dimension_names if n not in ("X", "Y", "Z")]
        scalars = [n for n in others if np.ndim(points[n]) == 1]
        names = ["x", "y", "z", *scalars]
        values = np.stack([np.asarray(points[name], np.float64) for name in names], axis=1)
    return _table(path, values, names)


def _check_las(content: bytes) -> None:
    """Raise ValueError for a header that states more records than the file can hold, which laspy
    would read one by one."""
    if len(content) < _LAS.size or not content.startswith(b"LASF"):
        raise ValueError("a file that does not begin as one")
    minor, records, legacy = _LAS.unpack_from(content)
    extended = points = 0
    if minor >= 4:
        if len(content) < _LAS_4.size:
            raise ValueError("a header cut short")
        extended, points = _LAS_4.unpack_from(content)
    # A variable record has at least 54 bytes, an extended one 60, a packed point 1.
    for number, least, words in (
        (records, 54, "records"),
        (extended, 60, "extended records"),
        (max(legacy, points), 1, "points"),
    ):
        if number * least > len(content):
            raise ValueError(f"{len(content)} bytes for {number} {words}")


READERS: dict[str, Callable[[Path, Sequence[str] | None], CloudTable]] = {
    ".npy": read_array,
    ".npz": read_array,
    ".ply": read_ply,
    ".las": read_las,
    ".laz": read_las,
}


def _only(path: Path, arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    if len(arrays) != 1:
        raise InputError(
            f"{path}: expected one array, got {len(arrays)} ({', '.join(arrays)[:80]}); write the "
            "points alone with np.save"
        )
    return next(iter(arrays.values()))


def _content(path: Path, kind: str) -> bytes:
    wanted = f"{path}: expected a readable {kind} file"
    with refusing(OSError, expected=wanted, remedy="check the path"):
        return read_bounded(path, CLOUD)


def _table(path: Path, values: NDArray[np.float64], names: Sequence[str] = ()) -> CloudTable:
    """The table, if all its numbers are finite. Raises InputError otherwise."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise InputError(
            f"{path}, point {bad[0]}: expected finite numbers, got NaN or infinity; "
            "leave the point out"
        )
    stated = customary_names(names) if names else None
    return CloudTable(path, np.ascontiguousarray(values), range(len(values)), stated, "point")
