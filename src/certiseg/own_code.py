"""Tell the user's code from libraries, and locate its errors."""

from __future__ import annotations

import functools
import sysconfig
import traceback
from pathlib import Path

SHOWN = " (--traceback shows the whole traceback)"
_HERE = Path(__file__).parent


@functools.cache
def is_installed(file: str) -> bool:
    """Whether a file of code belongs to Python or to an installed package."""
    if file.startswith("<frozen"):
        return True
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    packages = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return bool(packages) or any(Path(place) in Path(file).parents for place in places)


def failed_at(error: BaseException) -> str | None:
    """``FILE:LINE`` of the last line of the user's code in an error's traceback, or None. Files in

    the current folder have relative paths.
    """
    if isinstance(error, SyntaxError) and error.filename and not is_installed(error.filename):
        return f"{_seen_from_here(error.filename)}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = frame.filename
        if not (file.startswith("<") or is_installed(file) or _HERE in Path(file).parents):
            return f"{_seen_from_here(file)}:{frame.lineno}"
    return None


def _seen_from_here(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def reason(error: BaseException) -> str:
    """One line on an error: type, message, and the last line of the user's code if that raised
    it."""
    lines = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    place = failed_at(error)
    return said if place is None else f"{said} ({place})"


def own_failure(error: BaseException) -> str | None:
    """One line on an error raised by the user's code; None for other errors."""
    if failed_at(error) is None:
        return None
    return f"expected your code to run, got {reason(error)}; correct it{SHOWN}"
