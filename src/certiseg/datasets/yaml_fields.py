"""The fields of a YAML file that describes a data set, each taken with its checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from certiseg.documents import Lines, read_with_lines
from certiseg.errors import InputError
from certiseg.fields import Field, list_of, whole


class YamlFields:
    """A mapping of known fields. Errors name the file, the line and the field."""

    def __init__(self, path: Path, needed: Sequence[str], known: Sequence[str]) -> None:
        self.path = path
        try:
            content, self._lines = read_with_lines(path)
        except ValueError as error:
            raise InputError(
                f"{path}: expected a YAML file that describes a data set, got {error}; "
                "see docs/datasets.md, or check the path"
            ) from None
        if not isinstance(content, dict):
            self.fail("a mapping of fields", "none", "see docs/datasets.md")
        self._content: dict[Any, Any] = content
        for name in content:
            if name not in known:
                self.fail(f"fields among {', '.join(known)}", repr(name), "correct it", name)
        for name in needed:
            if name not in content:
                self.fail(f"the field {name}", f"only {', '.join(content)}", "add it")

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def take(self, name: str, field: Field, default: Any = None) -> Any:
        """The checked value of a field, default where it is absent."""
        if name not in self._content:
            return default
        value = self._content[name]
        if not field.holds(value):
            self.refuse(name, field.words, value)
        return value

    def refuse(self, name: str, words: str, got: object, *within: object) -> NoReturn:
        """Raise the error that a value is not as expected."""
        self.fail(f"{name} as {words}", f"{got!r:.60}", "see docs/datasets.md", name, *within)

    def fail(self, expected: str, got: str, remedy: str, *at: object) -> NoReturn:
        line = _line(self._lines, at) if hasattr(self, "_lines") else None
        where = f"{self.path}, line {line}" if line else f"{self.path}"
        raise InputError(f"{where}: expected {expected}, got {got}; {remedy}")


def _line(lines: Lines, at: Sequence[object]) -> int | None:
    """The line of the innermost value on the way that has one; None without a way."""
    place = tuple(map(str, at))
    return next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)


TEXT = Field("text", lambda value: isinstance(value, str) and bool(value.strip()))
MAPPING = Field("a mapping", lambda value: isinstance(value, dict) and bool(value))
COLOUR = list_of(whole(0, 255), 3, 3)


def many(item: Field, words: str) -> Field:
    """A list, every value of which is as the item. words: what is expected."""
    return Field(words, lambda value: isinstance(value, list) and all(map(item.holds, value)))
