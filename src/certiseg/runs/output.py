"""The files of a run: pictures and JSON lines."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from certiseg.errors import InputError
from certiseg.files import atomic_write

RESULTS = "results.jsonl"


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a PNG atomically."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    atomic_write(path, buffer.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    atomic_write(path, text.encode())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Records of a JSON-lines file; none where there is no file."""
    if not path.exists():
        return []
    try:
        records = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        names = [record["name"] for record in records]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(
            f"{path}: expected JSON lines written by certiseg, got something else "
            f"({type(error).__name__}); move it away or choose another folder with -o"
        ) from None
    assert len(names) == len(records)
    return records


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write records as JSON lines, the whole file at once: readers never see half a line."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))
