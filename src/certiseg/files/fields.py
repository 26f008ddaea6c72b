"""Schemas for records read from files: exact set of fields, type and range of each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from certiseg.errors import InputError


@dataclass(frozen=True)
class Field:
    """Constraint on a JSON value. words: text for errors; holds: True for valid values."""

    words: str
    holds: Callable[[Any], bool]


Fields = Mapping[str, Field]

ANY = Field("a value", lambda value: True)
"""No constraint here; the reader of the value checks it."""
TEXT = Field("text", lambda value: isinstance(value, str))
TRUTH = Field("true or false", lambda value: type(value) is bool)
RECORD = Field("a record", lambda value: isinstance(value, dict))


def whole(low: int, high: int) -> Field:
    """An integer in [low, high]; not a bool, not a float."""
    return Field(
        f"an integer in [{low}, {high}]", lambda value: type(value) is int and low <= value <= high
    )


def number(low: float, high: float) -> Field:
    """A finite float in [low, high]; not an int."""
    return Field(
        f"a decimal number in [{low:g}, {high:g}]",
        lambda value: type(value) is float and math.isfinite(value) and low <= value <= high,
    )


def one_of(*words: str) -> Field:
    return Field(" or ".join(words), lambda value: isinstance(value, str) and value in words)


def hexadecimal(digits: int) -> Field:
    form = re.compile(rf"[0-9a-f]{{{digits}}}")
    return Field(
        f"{digits} hexadecimal digits",
        lambda value: isinstance(value, str) and form.fullmatch(value) is not None,
    )


def optional(field: Field) -> Field:
    return Field(f"{field.words} or null", lambda value: value is None or field.holds(value))


def list_of(field: Field, low: int, high: int) -> Field:
    """A list of low to high values, each satisfying ``field``."""
    return Field(
        f"a list of {low if low == high else f'{low} to {high}'} values, each {field.words}",
        lambda value: (
            isinstance(value, list) and low <= len(value) <= high and all(map(field.holds, value))
        ),
    )


def dict_of(field: Field) -> Field:
    """A mapping whose values all satisfy ``field``."""
    return Field(
        f"names with {field.words}",
        lambda value: isinstance(value, dict) and all(map(field.holds, value.values())),
    )


def checked(record: object, fields: Fields, what: str) -> dict[str, Any]:
    """The record as a dict. Raises InputError unless it has exactly these fields with valid values.

    what: what the record is, for errors, such as "a source".
    """
    if not isinstance(record, Mapping) or set(record) != set(fields):
        got = sorted(record) if isinstance(record, Mapping) else type(record).__name__
        raise InputError(
            f"expected {what} with {', '.join(sorted(fields))}, got {got!s:.200}; "
            "the file is damaged or of another version"
        )
    for name, field in fields.items():
        if not field.holds(record[name]):
            raise InputError(
                f"expected {field.words} as {name} of {what}, got {record[name]!r:.80}; "
                "the file is damaged or of another version"
            )
    return dict(record)
