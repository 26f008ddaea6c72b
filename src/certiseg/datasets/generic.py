"""Cards for data that has none: classes from a count or from a file with one name a line."""

from __future__ import annotations

from certiseg.datasets.card import IGNORE, Card, customary_palette
from certiseg.errors import InputError
from certiseg.reading import LIST, read_bounded


def generic_card(name: str, classes: str, channels: int = 3) -> Card:
    """Card of a folder pair. classes: "7" (class 0 .. class 6) or a text file, one name a line.

    Raises InputError: neither a count in 2..255 nor a readable file with that many names.
    """
    names = _names(classes)
    if not 2 <= len(names) <= IGNORE:
        raise InputError(
            f"expected 2 to {IGNORE} classes, got {len(names)} from {classes!r}; "
            "label 255 is kept for ignored pixels"
        )
    return Card(
        name=name,
        classes=names,
        palette=customary_palette(len(names)),
        channels=channels,
        source="folder pair given by the user",
        licence="as stated by the owner of the data",
    )


def _names(classes: str) -> tuple[str, ...]:
    if classes.isdecimal():
        # A huge count must fail by its number, not by filling the memory with names.
        return tuple(f"class {i}" for i in range(min(int(classes), IGNORE + 1)))
    try:
        text = read_bounded(classes, LIST).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"expected a number of classes or a text file with one class name a line, "
            f"got {classes!r}; write the number or check the path"
        ) from None
    return tuple(line.strip() for line in text.splitlines() if line.strip())
