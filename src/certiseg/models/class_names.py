"""Names and colours of classes, from a text file or from a model's attributes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from certiseg.datasets.card import IGNORE, Colour
from certiseg.errors import InputError
from certiseg.files.documents import small_file

_COLOUR = re.compile(r"\s+(?:#([0-9a-fA-F]{6})|(\d{1,3})\s+(\d{1,3})\s+(\d{1,3}))$")


class ClassNames(NamedTuple):
    """Names in label order, and a colour for each or none."""

    classes: tuple[str, ...]
    palette: tuple[Colour, ...] | None = None


def read_names(path: Path) -> ClassNames:
    """Read a UTF-8 text file: line by line the name of class 0, 1, ..., with a colour behind it on
    all lines or on none: ``road #804080`` or ``road 128 64 128``. For overlapping maps the name of
    map 0, 1, ....

    Raises InputError, with the line, for empty lines, equal names, and colours on some lines.
    """

    def wrong(got: str, remedy: str) -> InputError:
        return InputError(f"{path}: expected the name of a class a line, got {got}; {remedy}")

    try:
        lines = small_file(path).decode("utf-8-sig").splitlines()
    except ValueError as error:
        raise wrong(str(error), "save it as UTF-8 text") from None
    while lines and not lines[-1].strip():
        lines.pop()
    if not 1 <= len(lines) < IGNORE:
        raise wrong(f"{len(lines)} lines", f"name 1 to {IGNORE - 1} classes or maps")
    named = [_read(line.strip()) for line in lines]
    coloured = sum(colour is not None for _, colour in named)
    seen: dict[str, int] = {}
    for number, (name, colour) in enumerate(named, start=1):
        if not name or not name.isprintable():
            raise wrong(f"{name!r} on line {number}", "the number of a line is its label")
        if colour is None and coloured:
            raise wrong(f"no colour on line {number}", "give every class one, or none")
        if colour is not None and max(colour) > 255:
            raise wrong(f"the colour {colour} on line {number}", "give numbers up to 255")
        if name in seen:
            raise wrong(f"{name!r} on lines {seen[name]} and {number}", "tell them apart")
        seen[name] = number
    palette = tuple(colour for _, colour in named if colour is not None)
    return ClassNames(tuple(seen), palette or None)


def stated_names(model: object) -> ClassNames | None:
    """The names and colours in a model's attributes ``classes`` and ``palette``, or None.

    Attributes of other types mean something else. Raises InputError for a palette that does not
    fit the names.
    """
    classes, palette = getattr(model, "classes", None), getattr(model, "palette", None)
    if not isinstance(classes, (list, tuple)) or not classes:
        return None
    if not all(isinstance(name, str) for name in classes):
        return None
    if palette is None:
        return ClassNames(tuple(classes))
    try:
        colours = np.asarray(palette)
    except ValueError:  # of unequal lengths
        colours = np.zeros(0)
    fits = colours.shape == (len(classes), 3) and colours.dtype.kind in "iu"
    if not fits or colours.min() < 0 or colours.max() > 255:
        raise InputError(
            f"expected a palette of {len(classes)} colours (r, g, b) of 0 to 255 beside the "
            f"model's classes, got {type(palette).__name__} of shape {colours.shape}; correct the "
            "attribute or leave it out"
        )
    return ClassNames(tuple(classes), tuple((r, g, b) for r, g, b in colours.tolist()))


def told_apart(classes: Sequence[str]) -> tuple[str, ...]:
    """The names, made distinct by appending the label to repeated ones, since records count by
    name."""
    times = Counter(classes)
    named = [f"{name} ({c})" if times[name] > 1 else name for c, name in enumerate(classes)]
    if len(set(named)) < len(named):
        named = [f"{name} ({c})" for c, name in enumerate(classes)]
    return tuple(named)


def _read(line: str) -> tuple[str, Colour | None]:
    found = _COLOUR.search(line)
    if found is None:
        return line, None
    code, *numbers = found.groups()
    red, green, blue = bytes.fromhex(code) if code else (int(number) for number in numbers)
    return line[: found.start()], (red, green, blue)
