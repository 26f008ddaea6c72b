"""The result of a benchmark (rows, goals, provenance), as files and as tables."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table as RichTable

from certiseg.bench.timing import Spread
from certiseg.files.atomic import atomic_write
from certiseg.rounding import exact, nearest, share_down, share_up
from certiseg.runs.environment import environment, low_precision
from certiseg.runs.output import write_text
from certiseg.table import Column, Table

Value = str | int | float | bool | Spread | None
Row = Mapping[str, Value]


@dataclass(frozen=True)
class Goal:
    """A figure with its limit, which it should reach (at_least) or not exceed."""

    words: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        side, way = ("at least", share_down) if self.at_least else ("at most", share_up)
        verdict = "met" if self.met else "MISSED"
        return (
            f"{self.words}: {number(self.value, way)}, goal {side} {exact(self.limit)}: {verdict}"
        )


@dataclass(frozen=True)
class Result:
    """Result of a benchmark.

    name: of the files. rows: all with the same columns. notes: remarks shown below the table.
    settings: sizes, numbers of draws, seed, as plain JSON values. figures: as (suffix, bytes).
    """

    name: str
    question: str
    rows: Sequence[Row]
    made_with: Mapping[str, Any]
    settings: Mapping[str, Any]
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()
    figures: Sequence[tuple[str, bytes]] = field(default=(), repr=False)

    def record(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {
            "benchmark": self.name,
            "question": self.question,
            "settings": dict(self.settings),
            "rows": _flat(self.rows),
            "goals": [
                {
                    "goal": goal.words,
                    "value": goal.value,
                    "at least" if goal.at_least else "at most": goal.limit,
                    "met": goal.met,
                }
                for goal in self.goals
            ],
            "notes": list(self.notes),
            "made_with": dict(self.made_with),
        }

    def write(self, folder: Path) -> None:
        """Write NAME.json and NAME.csv, and the figures."""
        write_text(folder / f"{self.name}.json", json.dumps(self.record(), indent=1) + "\n")
        write_text(folder / f"{self.name}.csv", Table((), _flat(self.rows)).csv())
        for suffix, data in self.figures:
            atomic_write(folder / f"{self.name}{suffix}", data)

    def rich(self) -> RichTable:
        """The rows for the terminal, the question above, goals and notes below."""
        notes = [*map(str, self.goals), *self.notes]
        return Table(_columns(self.rows[0], brief), self.rows, self.question, notes).rich()


def timing_environment(command: str, device: torch.device) -> dict[str, Any]:
    """``runs.environment`` with what timings depend on, as plain JSON values.

    load: mean number of busy processes over the last minute, including this one; a load above the
    number of cores means that other processes slowed the timings.
    """
    record = environment(command, str(device))
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    record["machine"] |= {
        "device": str(device),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "low precision": " ".join(low_precision()) or None,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "numpy BLAS": _numpy_blas(),
        "memory (GiB)": _memory(),
        "load": load,
    }
    if device.type == "cuda":
        record["cuda"] = torch.version.cuda
    return record


def _numpy_blas() -> str | None:
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return " ".join(blas[key] for key in ("name", "version") if blas.get(key)) or None


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def markdown(record: Mapping[str, Any]) -> str:
    """The rows of a stored record as a Markdown table."""
    rows = [_gathered(row) for row in record["rows"]]
    return Table(_columns(rows[0], shown), rows).markdown()


def _columns(row: Row, show: Callable[[Value], str]) -> list[Column]:
    return [Column(name, name, show, text=isinstance(value, str)) for name, value in row.items()]


def brief(value: Value) -> str:
    """A value for the terminal; a spread as its median and half its width in per cent."""
    if isinstance(value, Spread):
        half = 50 * (value.highest - value.lowest) / value.median
        return f"{number(value.median)} ±{nearest(half, 0)}%"
    return shown(value)


def shown(value: Value) -> str:
    """A value with three digits; a spread as "median (lowest to highest)"."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Spread):
        low, high = number(value.lowest), number(value.highest)
        return f"{number(value.median)} ({low} to {high})"
    return number(value) if isinstance(value, (int, float)) else value


def number(value: float, way: Callable[[float, int], str] = nearest) -> str:
    """A number with three significant digits and no exponent; integers in full."""
    whole = isinstance(value, int) or value == int(value) or abs(value) >= 100
    return way(value, 0 if whole else max(0, 2 - math.floor(math.log10(abs(value)))))


_LOWEST, _HIGHEST = ", lowest", ", highest"


def _flat(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows in which a column that holds a spread becomes three columns."""
    spreads = {name for row in rows for name, value in row.items() if isinstance(value, Spread)}
    return [
        {key: cell for name, value in row.items() for key, cell in _cells(name, value, spreads)}
        for row in rows
    ]


def _cells(name: str, value: Value, spreads: set[str]) -> list[tuple[str, Any]]:
    names = (name, name + _LOWEST, name + _HIGHEST)
    if isinstance(value, Spread):
        figures = (value.median, value.lowest, value.highest)
        return [(key, _rounded(figure)) for key, figure in zip(names, figures, strict=True)]
    if name in spreads:
        assert value is None, "a column of spreads holds nothing else"
        return [(key, None) for key in names]
    return [(name, _rounded(value) if isinstance(value, float) else value)]


def _gathered(flat: Mapping[str, Any]) -> dict[str, Value]:
    """Inverse of _flat, for one row."""
    row: dict[str, Value] = {}
    for name, value in flat.items():
        if name.endswith((_LOWEST, _HIGHEST)):
            continue
        if value is not None and name + _LOWEST in flat:
            value = Spread(value, flat[name + _LOWEST], flat[name + _HIGHEST])
        row[name] = value
    return row


def _rounded(value: float) -> float:
    """Round to five significant digits; timings are not more precise."""
    return float(f"{value:.5g}")
