"""Parsing of numbers on the command line: shares with a percent sign, budgets, lists, sizes."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from certiseg.errors import InputError


def share_of(option: str, text: str) -> float:
    """ "0.1%" or "0.001" as 0.001. Raises InputError for anything else, and outside (0, 1]."""
    value = _number(text[:-1]) / 100 if text.endswith("%") else _number(text)
    if not 0.0 < value <= 1.0:
        hint = f"for a share write {text}%" if 1.0 < value <= 100.0 else "it must be above 0"
        raise InputError(
            f"expected a share such as 0.1% or 0.001 with {option}, got {text!r}; {hint}, at most "
            "100%"
        )
    return value


def budget_of(text: str) -> int | float:
    """ "5" as a number of components, "0.1%" or "0.001" as a share of them (theory T5)."""
    if text.isdecimal():
        return int(text)
    value = _number(text[:-1]) / 100 if text.endswith("%") else _number(text)
    if not 0.0 < value < 1.0:
        raise InputError(
            f"expected a whole number, or a share above 0% and below 100% such as 0.1%, with "
            f"--budget, got {text!r}; with budget K up to K - 1 labels may be wrong"
        )
    return value


def spending_of(text: str) -> str | tuple[float, ...]:
    """The name of a rule, or "0.2,0.8" as a table of shares of alpha (theory T7)."""
    return numbers_of("--spending", text) if text[:1].isdigit() or text[:1] == "." else text


def numbers_of(option: str, text: str) -> tuple[float, ...]:
    """ "0,0,0.25" as numbers. Raises InputError for anything else."""
    values = tuple(_number(part) for part in text.split(","))
    if not all(math.isfinite(value) for value in values):
        raise InputError(
            f"expected numbers with commas between with {option}, got {text!r}; write them as 0.5,1"
        )
    return values


def norms_of(option: str, text: str, radius: float) -> tuple[float, ...]:
    """ "0.1,0.5R,R" as norms, R being the radius; the norm R itself is the one just below it, since
    certificates hold strictly below. Raises InputError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    factors = [_number(part[:-1] or "1") if part.endswith("R") else None for part in parts]
    values = tuple(
        _number(part)
        if factor is None
        else min(factor * radius, math.nextafter(radius, 0.0))
        if factor <= 1
        else factor * radius
        for part, factor in zip(parts, factors, strict=True)
    )
    if not all(0 < value < math.inf for value in values):
        raise InputError(
            f"expected norms > 0 with commas between with {option}, got {text!r}; write them as "
            "0.1,0.5 or, in units of the certified radius, as 0.5R,R,2R"
        )
    return values


def whole_numbers_of(option: str, text: str) -> tuple[int, ...]:
    """ "24,32" as whole numbers. Raises InputError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"expected {option} as whole numbers, got {text!r}; write them as 1,2,3")
    return tuple(int(part) for part in parts)


def size_of(text: str | None, option: str = "--crop") -> tuple[int, int] | None:
    """ "288x384" as (288, 384), None as None. Raises InputError for anything else."""
    if text is None:
        return None
    height, width = sides_of(text, option)
    return height, width


def sides_of(text: str, option: str, axes: Collection[int] = (2,)) -> tuple[int, ...]:
    """ "288x384" as (288, 384). axes: the numbers of sides allowed. Raises InputError."""
    parts = text.strip().lower().split("x")
    if len(parts) not in axes or not all(re.fullmatch("[1-9][0-9]{0,5}", p) for p in parts):
        volumes = ", or DEPTHxHEIGHTxWIDTH of a volume," if 3 in axes else ""
        raise InputError(
            f"expected {option} as HEIGHTxWIDTH{volumes} in numbers of at most six digits, got "
            f"{text!r}; for example 288x384"
        )
    return tuple(map(int, parts))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
