"""Tables of a reproduced experiment: base models and certified clouds, line by line."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from certiseg.report.latex import booktabs
from certiseg.rounding import down, exact, share_down, share_up
from certiseg.runfolder.rows import seconds_text

FILES = ("table.md", "table.csv", "table.tex", "results.json")


@dataclass(frozen=True)
class Line:
    """One model or one method over all clouds. Shares in [0, 1]; None where it has no meaning.

    n: draws in all, n0: those of them that only choose candidates. radius: l2, or an angle in
    radians. accuracy: of points, an abstention counting as wrong; instance_miou, category_miou:
    as the benchmark defines them, abstention being a label of its own; certified_...: what is left
    of them in the worst case (theory T9). seconds: mean a cloud, drawing included.
    """

    model: str
    sigma: float | None = None
    tau: float | None = None
    n: int | None = None
    n0: int | None = None
    radius: float | None = None
    accuracy: float | None = None
    instance_miou: float | None = None
    category_miou: float | None = None
    abstention: float | None = None
    certified_accuracy: float | None = None
    certified_instance_miou: float | None = None
    certified_category_miou: float | None = None
    seconds: float | None = None


_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("model", "model", str),
    ("sigma", "sigma", exact),
    ("tau", "tau", exact),
    ("n", "n", str),
    ("n0", "n0", str),
    ("radius", "radius", down),
    ("accuracy", "accuracy", share_down),
    ("instance mIoU", "instance_miou", share_down),
    ("category mIoU", "category_miou", share_down),
    ("abstention", "abstention", share_up),
    ("certified accuracy", "certified_accuracy", share_down),
    ("certified instance mIoU", "certified_instance_miou", share_down),
    ("certified category mIoU", "certified_category_miou", share_down),
    ("s / cloud", "seconds", seconds_text),
)
_NARROW = {
    "model": "model",
    "sigma": "sigma",
    "tau": "tau",
    "n": "n",
    "radius": "radius",
    "accuracy": "accuracy",
    "abstention": "abstains",
    "certified_accuracy": "certified",
}
"""Columns for the terminal and their headings; the files have all."""


def cells(line: Line) -> list[str]:
    """The line in words, as long as the columns; "-" where there is no value."""
    values = ((getattr(line, name), show) for _, name, show in _COLUMNS)
    return ["-" if value is None else show(value) for value, show in values]


def markdown(lines: Sequence[Line], notes: Sequence[str]) -> str:
    """The lines as a Markdown table, a paragraph for each note below."""
    rows = [[heading for heading, _, _ in _COLUMNS], ["---"] + ["---:"] * (len(_COLUMNS) - 1)]
    rows += [cells(line) for line in lines]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n\n".join([table, *notes]) + "\n"


def latex(lines: Sequence[Line], notes: Sequence[str]) -> str:
    """The lines as a booktabs table, the notes as its caption."""
    head = ["", *(heading for heading, _, _ in _COLUMNS[1:])]
    return booktabs(head, [cells(line) for line in lines], " ".join(notes))


def rich_table(lines: Sequence[Line], title: str) -> Table:
    """The main figures for the terminal."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = [index for index, (_, name, _) in enumerate(_COLUMNS) if name in _NARROW]
    for index in shown:
        table.add_column(
            _NARROW[_COLUMNS[index][1]], justify="right" if index else "left", no_wrap=True
        )
    for line in lines:
        whole = cells(line)
        table.add_row(whole[0].removesuffix(" of noise"), *(whole[index] for index in shown[1:]))
    return table


def records(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The lines as plain JSON values; NaN becomes None."""
    return [
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(line).items()
        }
        for line in lines
    ]
