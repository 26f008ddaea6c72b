"""Writing images, text and JSON lines of a run."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from certiseg.errors import InputError, first_line
from certiseg.files.atomic import atomic_write
from certiseg.files.documents import parse_json
from certiseg.files.reading import RECORD, read_bounded

RESULTS = "results.jsonl"


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a PNG atomically."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    atomic_write(path, buffer.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; undecodable bytes of file names are escaped."""
    atomic_write(path, text.encode(errors="backslashreplace"))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Records of a JSON-lines file; empty without a file."""
    try:
        lines = read_bounded(path, RECORD).decode("utf-8").splitlines()
        records = [parse_json(line) for line in lines if line.strip()]
        if not all(isinstance(r, dict) and isinstance(r.get("name"), str) for r in records):
            raise ValueError("a line without a name")
    except FileNotFoundError:
        return []
    except (ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(
            f"{path}: expected JSON lines written by certiseg, got something else ({reason}); "
            "move it away or choose another folder with -o"
        ) from None
    return records


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write records as JSON lines, atomically: readers never see a partial line."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))
