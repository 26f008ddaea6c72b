"""Archives made to harm, which tests then read."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

Files = dict[str, bytes]


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def two_tables(seen: Files, hidden: Files) -> bytes:
    """An archive whose end names the files `seen`, and whose ZIP64 locator those `hidden`. Python's
    zipfile looks for the locator's record where it belongs and finds none; torch's reader goes
    where the locator says."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in hidden.items():
            archive.writestr(name, content)
    count, size, offset = struct.unpack("<HII", buffer.getvalue()[-22:][10:20])
    where = buffer.seek(0, io.SEEK_END)
    record = (b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    buffer.write(struct.pack("<4sQ2H2L4Q", *record))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, where, 1)
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in seen.items():
            info = zipfile.ZipInfo(name)
            # The last bytes before the archive's end.
            info.comment = locator if name == list(seen)[-1] else b""
            archive.writestr(info, content)
    return buffer.getvalue()
