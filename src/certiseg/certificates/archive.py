"""Strict npz reader: redundant fields of zip and npy headers must agree, and no byte is unused."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 4 * 1024**3
"""Largest total size in bytes of the uncompressed arrays of a file."""
LARGEST_FILE = 2**31 - 1
"""Largest size in bytes of a file; above it the zip directory would be in zip64 format."""

_LOCAL = struct.Struct("<4s5H3I2H")
_LONG = struct.Struct("<2H2Q")
"""Zip64 extra field with 64-bit sizes; NumPy writes it and puts ``_IN_LONG`` as 32-bit sizes."""
_IN_LONG = 2**32 - 1
_END = struct.Struct("<4s4H2IH")
"""End of central directory: number of members, size and offset of the directory."""
_SIDE = rb"(?:0|[1-9]\d{0,18})"
_ARRAY = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)(?P<header>\{'descr': '(?P<type>[<>|][iuf][1248])', "
    rb"'fortran_order': (?P<fortran>False|True), "
    rb"'shape': \((?P<shape>|%b,|%b(?:, %b){1,31})\), \} *\n)" % (_SIDE, _SIDE, _SIDE),
    re.DOTALL,
)


def read_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Read the arrays of an npz file by name. Raises ValueError, or what zipfile and zlib raise.

    Also refuses duplicate members, bytes outside any member, headers that contradict the directory
    or the data, bytes after an array's data, and non-numeric arrays.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members, directory = archive.infolist(), archive.start_dir
    size = sum(member.file_size for member in members)
    if size > LARGEST:
        raise ValueError(f"it would unpack to {size} bytes")
    end = 0
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            raise ValueError(f"the member {name!r:.40}, which is no array")
        if name in arrays:
            raise ValueError(f"the member {name!r:.40} twice")
        if member.header_offset != end:
            raise ValueError(f"bytes before {name!r:.40} that belong to no member")
        data, end = _member(content, member)
        arrays[name] = _array(data, name)
    last, number = len(content) - _END.size, len(members)
    if directory != end or _END.unpack(content[last:]) != (
        *(b"PK\5\6", 0, 0, number, number),
        *(last - end, end, 0),
    ):
        raise ValueError("a directory that is not all there is after the last member")
    return arrays


def _member(content: bytes, member: zipfile.ZipInfo) -> tuple[bytes, int]:
    """The uncompressed data of a member, and the offset of its end."""
    start = member.header_offset + _LOCAL.size
    mark, _, flags, method, _, _, crc, packed, size, name_length, extra = _LOCAL.unpack(
        content[member.header_offset : start]
    )
    name = content[start : start + name_length]
    start += name_length + extra
    if extra == _LONG.size:
        *kind, long_size, long_packed = _LONG.unpack(content[start - extra : start])
        if kind == [1, 16] and (size, packed) == (_IN_LONG, _IN_LONG):
            size, packed, extra = long_size, long_packed, 0
    local = (mark, name, flags, method, crc, packed, size, extra)
    listed = (
        *(b"PK\3\4", member.filename.encode(), 0, member.compress_type, member.CRC),
        *(member.compress_size, member.file_size, 0),
    )
    # The directory has the zip64 field for members of more than 2 GiB.
    more = member.extra in (b"", _LONG.pack(1, 16, member.file_size, member.compress_size))
    if local != listed or member.flag_bits or member.comment or not more:
        raise ValueError(f"a header of {member.filename!r:.40} that contradicts the directory")
    data = _unpacked(content[start : start + packed], member.compress_type, size)
    if len(data) != size or zlib.crc32(data) != crc:
        raise ValueError(f"data of {member.filename!r:.40} other than its header says")
    return data, start + packed


def _unpacked(raw: bytes, method: int, size: int) -> bytes:
    """Decompress at most size + 1 bytes, enough to detect data longer than ``size``."""
    if method == zipfile.ZIP_STORED:
        return raw
    if method != zipfile.ZIP_DEFLATED:
        raise ValueError(f"compression by method {method}")
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    data = stream.decompress(raw, size + 1)
    if not stream.eof or stream.unused_data:
        raise ValueError("compressed data that ends elsewhere than its header says")
    return data


def _array(data: bytes, name: str) -> NDArray[Any]:
    """The array in a version 1 npy file."""
    found = _ARRAY.match(data)
    if found is None or int.from_bytes(found["length"], "little") != len(found["header"]):
        raise ValueError(f"{name!r:.40}, which is no plain array of numbers")
    shape = tuple(int(side) for side in found["shape"].split(b",") if side.strip())
    # frombuffer alone would return a read-only array.
    values = np.frombuffer(data, found["type"].decode(), offset=found.end()).copy()
    return values.reshape(shape, order="F" if found["fortran"] == b"True" else "C")
