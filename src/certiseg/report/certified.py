"""Certified pictures or point clouds, one line each, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from certiseg.rounding import down, nearest, percent_down, percent_up

_KINDS = {1: "cloud", 2: "picture", 3: "volume"}
_NAMED = 3
"""Classes named in a line; the rest is in the records."""


def certified_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Records of certificates (see results.jsonl): size (height x width, or points), abstention,
    with an error budget how many labels may be wrong, radius (of rotations in radians), main
    classes."""
    table = Table(box=SIMPLE_HEAD)
    kinds = {len(record["size"]) for record in records}
    table.add_column(_KINDS[kinds.pop()] if len(kinds) == 1 else "input")
    turned = any(record.get("norm") == "rotation" for record in records)
    budgets = any(record.get("budget") for record in records)
    wrong = ("may be wrong",) if budgets else ()
    for heading in ("size", "abstains", *wrong, "angle (rad)" if turned else "radius", "s"):
        table.add_column(heading, justify="right")
    table.add_column("largest certified")
    for record in records:
        table.add_row(
            str(record["name"]),
            _size(record["size"]),
            percent_up(record["abstention"]),
            *((f"{record['budget'] - 1}",) if budgets else ()),
            _radius(record["radius"]),
            nearest(record["seconds"], 1),
            _largest(record["labels"], math.prod(record["size"])),
        )
    return table


def _size(sides: Sequence[int]) -> str:
    return f"{sides[0]} points" if len(sides) == 1 else " x ".join(map(str, sides))


def _radius(value: float | Sequence[float]) -> str:
    """Of a radius map the smallest and the largest."""
    if not isinstance(value, Sequence):
        return down(value)
    return f"{down(value[0])} to {down(value[-1])}" if value else "-"


def _largest(histogram: Mapping[str, int], components: int) -> str:
    ranked = sorted(histogram.items(), key=lambda entry: -entry[1])
    named = [
        f"{name} {percent_down(Fraction(count, components), 0)}"
        for name, count in ranked[:_NAMED]
        if count
    ]
    return ", ".join(named) or "none"
