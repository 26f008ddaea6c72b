"""Pairs that a text file lists, one name a line, as the Pascal data sets do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from certiseg.datasets.layout import bases, contents
from certiseg.datasets.pairs import Pair
from certiseg.errors import InputError
from certiseg.reading import LIST, read_bounded

_NAME = re.compile(r"[\w.-]+")


def listed_pairs(
    root: str | Path,
    list_file: str,
    label_folders: Sequence[str],
    inner: Sequence[str],
    remedy: str,
) -> list[Pair]:
    """JPEGImages/NAME.jpg with FOLDER/NAME.png in the first of label_folders that has it, in the
    order of the list.

    list_file: below the root, or below one of the inner folders of the archive. remedy: how to get
    what is missing. Raises InputError that says what was looked for.
    """
    needed = ("JPEGImages", list_file, label_folders[-1])
    for base in bases(root, inner):
        if all((base / name).exists() for name in needed):
            break
    else:
        raise InputError(
            f"{root}: expected {', '.join(needed[:-1])} and {needed[-1]}, got {contents(root)}; "
            f"{remedy}"
        )
    pairs, lacking = [], []
    for name in _names(base / list_file):
        image = base / "JPEGImages" / f"{name}.jpg"
        places = [base / folder / f"{name}.png" for folder in label_folders]
        labels = next((place for place in places if place.is_file()), places[-1])
        lacking += [path for path in (image, labels) if not path.is_file()]
        pairs.append(Pair(name, image, labels))
    if lacking:
        more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        raise InputError(
            f"{base}: expected every image of {list_file} and its labels, got no "
            f"{lacking[0].relative_to(base)}{more}; {remedy}"
        )
    return pairs


def _names(path: Path) -> list[str]:
    """The names in a list, each once."""
    try:
        lines = read_bounded(path, LIST).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"{path}: expected a text file with one name a line, got an unreadable one; "
            "unpack it again"
        ) from None
    names: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name:
            continue
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{path}, line {number}: expected one name such as 2007_000033, got {name!r:.60}; "
                "use the list of the data set itself"
            )
        if name in names:
            raise InputError(
                f"{path}, line {number}: expected each name once, got {name} as in line "
                f"{names[name]}; remove one"
            )
        names[name] = number
    if not names:
        raise InputError(f"{path}: expected one name a line, got none; unpack it again")
    return list(names)
