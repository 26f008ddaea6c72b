"""The comparison non-robust / base / certified, for the screen and for files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from certiseg.rounding import down, nearest, share_down, share_up, trimmed


@dataclass(frozen=True)
class Row:
    """One model's figures over a data set. Shares in [0, 1]; None where it has no meaning.

    accuracy: correct / labelled pixels, an abstention counting as wrong. miou: the paper's, with
    abstention as an extra label. certified_accuracy, certified_miou: what is left of accuracy and
    mIoU under the worst perturbation within radius (theory T9).
    instance_miou, category_miou: of point clouds, means over shapes and over categories as the
    ShapeNet part benchmark defines them, and what is left of them in the worst case.
    correct_where_certified: correct / (certified and labelled). certified_node: labelled pixels
    with a certified class or group of classes, where there is a hierarchy; in all other figures
    groups count as abstentions. cig, class_cig: certified
    information gain, and its mean over the classes (T8). radius: in the norm of the noise.
    draws: of noise, mean per image, where it is no constant.
    """

    model: str
    accuracy: float
    miou: float | None
    certified_accuracy: float | None = None
    certified_miou: float | None = None
    instance_miou: float | None = None
    category_miou: float | None = None
    certified_instance_miou: float | None = None
    certified_category_miou: float | None = None
    correct_where_certified: float | None = None
    certified_node: float | None = None
    cig: float | None = None
    class_cig: float | None = None
    abstention: float | None = None
    abstention_all: float | None = None
    radius: float | None = None
    draws: float | None = None
    seconds: float | None = None


def draws_text(value: float | None) -> str:
    return trimmed(nearest(value, 1))


def seconds_text(value: float | None) -> str:
    return nearest(value, 2)


_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("model", "model", str),
    ("accuracy", "accuracy", share_down),
    ("mIoU", "miou", share_down),
    ("certified accuracy", "certified_accuracy", share_down),
    ("certified mIoU", "certified_miou", share_down),
    ("instance mIoU", "instance_miou", share_down),
    ("category mIoU", "category_miou", share_down),
    ("certified instance mIoU", "certified_instance_miou", share_down),
    ("certified category mIoU", "certified_category_miou", share_down),
    ("correct where certified", "correct_where_certified", share_down),
    ("certified, class or group", "certified_node", share_down),
    ("CIG", "cig", share_down),
    ("CIG (classes)", "class_cig", share_down),
    ("abstention (labelled)", "abstention", share_up),
    ("abstention (all)", "abstention_all", share_up),
    ("radius", "radius", down),
    ("draws", "draws", draws_text),
    ("s / input", "seconds", seconds_text),
)

_HOLDS = (
    "hold under perturbation, what abstains becoming anything: each input's certificate with "
    "confidence 1 - alpha, all of them together with 1 - inputs x alpha."
)


def footnote(rows: Sequence[Row]) -> str:
    """What the figures mean, in words: of pictures, or of point clouds."""
    if any(row.instance_miou is not None for row in rows):
        return (
            "Accuracy is over all points and counts an abstention as wrong; mIoU is the mean over "
            "the parts of a shape's category, then over shapes (instance) or categories, "
            "abstention being a label of its own. Only the certified figures "
        ) + _HOLDS
    return (
        "Accuracy is over all that the truth labels and counts an abstention as wrong; mIoU pools "
        "all inputs and treats abstention as an extra label, as the paper does. Only certified "
        "accuracy and certified mIoU (over the classes in truth or certificate) "
    ) + _HOLDS


def rich_table(rows: Sequence[Row], title: str = "") -> Table:
    """The rows as a table for the terminal, transposed, one column per model: models side by side
    fit 80 columns, figures side by side do not. Figures that no row has are left out."""
    table = Table(
        title=title or None,
        caption=footnote(rows),
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_column(row.model, justify="right")
    for heading, field, show in _COLUMNS[1:]:
        values = [getattr(row, field) for row in rows]
        if any(value is not None for value in values):
            table.add_row(heading, *map(show, values))
    return table


def cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows as text. Figures that no row has are left out."""
    shown = [c for c in _COLUMNS if any(getattr(row, c[1]) is not None for row in rows)]
    head = [heading for heading, _, _ in shown]
    return head, [[show(getattr(row, field)) for _, field, show in shown] for row in rows]


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, with the footnote. Figures that no row has are left out."""
    head, body = cells(rows)
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{footnote(rows)}\n"


def csv_text(rows: Sequence[Row], **same: str) -> str:
    """The rows as CSV: field names as headings, full precision, empty where there is no value.
    same: further columns before them, with one value for all rows."""
    text = io.StringIO()
    names = [*same, *(field for _, field, _ in _COLUMNS)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**same, **record} for record in records(rows))
    return text.getvalue()


def json_text(rows: Sequence[Row]) -> str:
    """The rows as a JSON list."""
    return json.dumps(records(rows), indent=2, allow_nan=False) + "\n"


def records(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as plain JSON values; NaN (no labelled pixel) becomes None."""
    return [
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(row).items()
        }
        for row in rows
    ]
