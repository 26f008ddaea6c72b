"""The fields of a YAML file that describes a data set, each taken with its checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from certiseg.datasets.card import Colour
from certiseg.documents import Lines, read_with_lines
from certiseg.errors import InputError

T = TypeVar("T")


class Sheet:
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

    def __contains__(self, field: str) -> bool:
        return field in self._content

    def take(self, field: str, check: Callable[[Any], T | None], words: str, default: T) -> T:
        """The checked value of a field, default where it is absent. check: None refuses."""
        if field not in self._content:
            return default
        value = check(self._content[field])
        if value is None:
            self.refuse(field, words, self._content[field])
        return value

    def refuse(self, field: str, words: str, got: object, *within: object) -> NoReturn:
        """Raise the error that a value is not as expected."""
        self.fail(f"{field} as {words}", f"{got!r:.60}", "see docs/datasets.md", field, *within)

    def fail(self, expected: str, got: str, remedy: str, *at: object) -> NoReturn:
        line = _line(self._lines, at) if hasattr(self, "_lines") else None
        where = f"{self.path}, line {line}" if line else f"{self.path}"
        raise InputError(f"{where}: expected {expected}, got {got}; {remedy}")


def _line(lines: Lines, at: Sequence[object]) -> int | None:
    """The line of the innermost value on the way that has one; None without a way."""
    place = tuple(map(str, at))
    return next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)


def anything(value: Any) -> Any:
    return value


def mapping(value: Any) -> dict[Any, Any] | None:
    return value if isinstance(value, dict) and value else None


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def whole(low: int, high: int) -> Callable[[Any], int | None]:
    def check(value: Any) -> int | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return value if fits else None

    return check


def many(check: Callable[[Any], T | None]) -> Callable[[Any], list[T] | None]:
    """Of a list, every item as check has it."""

    def of_all(value: Any) -> list[T] | None:
        if not isinstance(value, list):
            return None
        items = [item for item in map(check, value) if item is not None]
        return items if len(items) == len(value) else None

    return of_all


def colour(value: Any) -> Colour | None:
    parts = many(whole(0, 255))(value)
    return (parts[0], parts[1], parts[2]) if parts is not None and len(parts) == 3 else None
