"""Whether the folders of two runs hold the same, all but what says when and how quickly."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from certiseg.runfolder.layout import FOLDERS

_TIMED = ("seconds", "made_with")


def content(folder: Path) -> dict[str, Any]:
    """What each file of a run's folder holds, by its name below it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if path.name != "status.json"]
    return {str(path.relative_to(folder)): _content(path) for path in files}


def of_samples(folder: Path) -> list[Path]:
    """The files of all samples that are there."""
    return [p for part in FOLDERS for p in sorted((folder / part).glob("*"))]


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return timeless(json.loads(path.read_text()))
    if path.name in ("table.md", "table.csv"):
        # The last column is the time an input took.
        return [re.split(r"[|,]", line.rstrip(" |"))[:-1] for line in path.read_text().splitlines()]
    return path.read_bytes()


def timeless(value: Any) -> Any:
    """A record without what says when and how quickly."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in _TIMED}
    return [timeless(item) for item in value] if isinstance(value, list) else value
