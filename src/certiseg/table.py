"""``Table``: rows of records, formatted by columns as Markdown, LaTeX, CSV, JSON or rich text."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}


@dataclass(frozen=True)
class Column:
    """One field of every row.

    Args:
        field: name of the field or property of the rows.
        heading: heading of the column.
        show: formats a value; None is shown as "-".
        terminal: heading on the terminal; None: ``heading``; "": the column is omitted there.
        text: align left, as text; the first column always is.
    """

    field: str
    heading: str
    show: Callable[[Any], str] = str
    terminal: str | None = None
    text: bool = False


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Args:
        columns: in order.
        rows: at least one; dataclasses or mappings with the same fields.
        title: title on the terminal, and default caption in LaTeX.
        notes: paragraphs below the table.
        sparse: omit columns without any value.
    """

    columns: Sequence[Column]
    rows: Sequence[Any]
    title: str = ""
    notes: Sequence[str] = ()
    sparse: bool = False

    def records(self) -> list[dict[str, Any]]:
        """All fields of all rows as plain JSON values; NaN becomes None."""
        return [
            {
                name: None if isinstance(value, float) and math.isnan(value) else value
                for name, value in _record(row).items()
            }
            for row in self.rows
        ]

    def json(self) -> str:
        """The records as a JSON list."""
        return json.dumps(self.records(), indent=2, allow_nan=False) + "\n"

    def csv(self, **same: str) -> str:
        """The records at full precision; None is an empty cell.

        Args:
            same: constant columns to put first.
        """
        text = io.StringIO()
        records = [{**same, **record} for record in self.records()]
        writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return text.getvalue()

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and the formatted rows."""
        shown = self._shown()
        body = [[_text(column, row) for column in shown] for row in self.rows]
        return [column.heading for column in shown], body

    def markdown(self) -> str:
        """A Markdown table, with the notes as paragraphs below."""
        head, body = self.cells()
        sides = ["---" if column.text else "---:" for column in self._shown()]
        lines = [head, ["---", *sides[1:]], *body]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([table, *self.notes]) + "\n"

    def latex(self, caption: str | None = None) -> str:
        r"""A table environment for booktabs (needs \usepackage{booktabs})."""
        head, body = self.cells()
        sides = "".join("l" if column.text else "r" for column in self._shown()[1:])
        lines = [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{latex_text(self.title if caption is None else caption)}}}",
            rf"  \begin{{tabular}}{{l{sides}}}",
            r"    \toprule",
            f"    {_latex_line(['', *head[1:]])}",
            r"    \midrule",
            *(f"    {_latex_line(line)}" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def rich(self, *, transposed: bool = False, wrap: bool = True) -> RichTable:
        """Table for the terminal, without the columns whose ``terminal`` is "". Text is literal.

        Args:
            transposed: show each row as a column, for few rows with many fields.
            wrap: allow headings and cells of several lines.
        """
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable

        from certiseg.screen import literal

        table = RichTable(
            title=literal(self.title) if self.title else None,
            caption=literal("\n".join(self.notes)) if self.notes else None,
            title_justify="left",
            caption_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
        )
        shown = [column for column in self._shown() if column.terminal != ""]
        heads = [c.heading if c.terminal is None else c.terminal for c in shown]
        body = [[_text(column, row) for column in shown] for row in self.rows]
        sides: list[Literal["left", "right"]] = ["left" if c.text else "right" for c in shown]
        if transposed:
            names = [line[0] for line in body]
            sides = ["right"] * (len(names) + 1)
            heads, body = ["", *names], [list(line) for line in zip(heads, *body, strict=True)][1:]
        table.add_column(literal(heads[0]), no_wrap=True)
        for heading, side in zip(heads[1:], sides[1:], strict=True):
            table.add_column(literal(heading), justify=side, no_wrap=not wrap)
        for line in body:
            table.add_row(*map(literal, line))
        return table

    def __rich__(self) -> RichTable:
        return self.rich()

    def _shown(self) -> list[Column]:
        if not self.sparse:
            return list(self.columns)
        return [c for c in self.columns if any(_value(row, c) is not None for row in self.rows)]


def latex_text(text: str) -> str:
    """Escape text for LaTeX, on one line."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    # A leading bracket would be read as an option of the preceding line end.
    start, rest = ("{[}", plain[1:]) if plain.startswith("[") else ("", plain)
    return start + "".join(_LATEX.get(letter, letter) for letter in rest)


def _latex_line(line: Sequence[str]) -> str:
    shown = ["--" if text == "-" else latex_text(text) for text in line]
    return " & ".join(shown) + r" \\"


def _record(row: Any) -> dict[str, Any]:
    return asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row)


def _value(row: Any, column: Column) -> Any:
    return row[column.field] if isinstance(row, Mapping) else getattr(row, column.field)


def _text(column: Column, row: Any) -> str:
    value = _value(row, column)
    return "-" if value is None else column.show(value)
