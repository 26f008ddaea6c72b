"""Table of certificates, one row per input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from certiseg.rounding import down, nearest, percent_down, percent_up
from certiseg.table import Column, Table

_KINDS = {1: "cloud", 2: "image", 3: "volume"}
_NAMED = 3
"""Number of classes named in a row."""


def certified_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Table of records as in results.jsonl: size, abstention, allowed errors under a budget,
    radius, seconds and the largest certified classes."""
    kinds = {len(record["size"]) for record in records}
    angle = any(record.get("norm") == "rotation" for record in records)
    columns = (
        Column("name", _KINDS[kinds.pop()] if len(kinds) == 1 else "input"),
        Column("size", "size", _size),
        Column("abstention", "abstains", percent_up),
        Column("may_be_wrong", "may be wrong", str),
        Column("radius", "angle (rad)" if angle else "radius", _radius),
        Column("seconds", "s", lambda seconds: nearest(seconds, 1)),
        Column("largest", "largest certified", text=True),
    )
    rows = [
        {
            **record,
            "may_be_wrong": record.get("may_be_wrong") or None,
            "largest": _largest(record["labels"], math.prod(record["size"])),
        }
        for record in records
    ]
    return Table(columns, rows, sparse=True)


def _size(sides: Sequence[int]) -> str:
    return f"{sides[0]} points" if len(sides) == 1 else " x ".join(map(str, sides))


def _radius(value: float | Sequence[float]) -> str:
    """The radius, or for a radius map the smallest and the largest."""
    if not isinstance(value, Sequence):
        return down(value)
    return f"{down(value[0])} to {down(value[-1])}" if value else "-"


def _largest(histogram: Mapping[str, Any], components: int) -> str:
    """Share of label 1 in each of several overlapping maps."""
    histogram = {
        name: [*count.values()][-1] if isinstance(count, Mapping) else count
        for name, count in histogram.items()
    }
    ranked = sorted(histogram.items(), key=lambda entry: -entry[1])
    named = [
        f"{name} {percent_down(Fraction(count, components), 0)}"
        for name, count in ranked[:_NAMED]
        if count
    ]
    return ", ".join(named) or "none"
