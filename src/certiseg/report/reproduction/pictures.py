"""Tables of the paper's experiment on pictures: line by line, and false certificates counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from certiseg.report.latex import booktabs
from certiseg.rounding import down, exact, share_down, share_up, significant
from certiseg.runfolder.rows import draws_text, seconds_text

UNSOUND = "UNSOUND"
UNSOUND_NOTE = (
    "UNSOUND: lines so marked emulate the paper's published code, in which all draws of a batch "
    "share one noise and count as many. They certify nothing."
)


@dataclass(frozen=True)
class Line:
    """One model or one method over all pictures. Shares in [0, 1]; None where it has no meaning.

    scale: at which the model looks at the picture, "0.5+1" for several. n: draws that test; n0:
    others that only choose candidates. radius: l2, R = sigma PhiInv(tau). unsound: emulates a fault
    of published code, so that nothing is certified; shared_batch: draws that share a noise there.
    accuracy: of labelled pixels, an abstention counting as wrong; miou: the paper's, abstention
    being a label of its own; abstention: of the labelled pixels, abstention_all: of all;
    certified_...: what is left in the worst case (theory T9). draws, seconds: mean a picture,
    drawing included.
    """

    scale: str
    model: str
    sigma: float | None = None
    tau: float | None = None
    n: int | None = None
    n0: int | None = None
    alpha: float | None = None
    radius: float | None = None
    unsound: bool = False
    shared_batch: int | None = None
    accuracy: float | None = None
    miou: float | None = None
    abstention: float | None = None
    abstention_all: float | None = None
    certified_accuracy: float | None = None
    certified_miou: float | None = None
    draws: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class FalseLine:
    """False certificates of one line, over the pictures that have a reference set of draws.

    certified, false: pixels; false: certified although the label's probability surely is below
    tau. with_false: pictures with at least one.
    """

    scale: str
    model: str
    sigma: float
    tau: float
    n: int
    n0: int
    alpha: float
    unsound: bool
    shared_batch: int | None
    pictures: int
    pixels: int
    certified: int
    false: int
    with_false: int

    @property
    def share(self) -> float | None:
        """False / certified."""
        return self.false / self.certified if self.certified else None


def _rate(value: float) -> str:
    return significant(value, 3, share_up)


_Columns = tuple[tuple[str, str, Callable[[Any], str]], ...]
_COLUMNS: _Columns = (
    ("model", "model", str),
    ("sigma", "sigma", exact),
    ("tau", "tau", exact),
    ("n", "n", str),
    ("n0", "n0", str),
    ("radius", "radius", down),
    ("accuracy", "accuracy", share_down),
    ("mIoU", "miou", share_down),
    ("abstains", "abstention", share_up),
    ("abstains (all)", "abstention_all", share_up),
    ("certified accuracy", "certified_accuracy", share_down),
    ("certified mIoU", "certified_miou", share_down),
    ("draws", "draws", draws_text),
    ("s / picture", "seconds", seconds_text),
)
_FALSE_COLUMNS: _Columns = (
    ("model", "model", str),
    ("scale", "scale", str),
    ("sigma", "sigma", exact),
    ("tau", "tau", exact),
    ("n", "n", str),
    ("alpha", "alpha", exact),
    ("pictures", "pictures", str),
    ("certified pixels", "certified", str),
    ("surely false", "false", str),
    ("share of certified", "share", _rate),
    ("pictures with one", "with_false", str),
)
_NARROW = {
    "model": "model",
    "sigma": "sigma",
    "tau": "tau",
    "n": "n",
    "radius": "radius",
    "accuracy": "acc.",
    "miou": "mIoU",
    "abstention": "abst.",
}
_FALSE_NARROW = {
    "model": "model",
    "sigma": "sigma",
    "tau": "tau",
    "n": "n",
    "certified": "pixels",
    "false": "false",
    "with_false": "pictures",
}
"""Columns for the terminal and their headings; the files have all."""


def cells(row: object, columns: _Columns = _COLUMNS) -> list[str]:
    """The row in words, as long as the columns; "-" where there is no value."""
    values = ((getattr(row, name), show) for _, name, show in columns)
    return ["-" if value is None else show(value) for value, show in values]


def sections(lines: Iterable[Line]) -> list[tuple[str, float, list[Line]]]:
    """(scale, alpha, lines): each scale at each level, the lines without a level in all of them."""
    listed = list(lines)
    scales = dict.fromkeys(line.scale for line in listed)
    alphas = dict.fromkeys(line.alpha for line in listed if line.alpha is not None)
    return [
        (scale, alpha, [x for x in listed if x.scale == scale and x.alpha in (None, alpha)])
        for scale in scales
        for alpha in alphas
    ]


def markdown(lines: Sequence[Line], false: Sequence[FalseLine], notes: Sequence[str]) -> str:
    """One Markdown table a scale and level, then the false certificates, then the notes."""
    parts = []
    for scale, alpha, own in sections(lines):
        parts += [f"## scale {scale}, alpha = {exact(alpha)}", _table(own, _COLUMNS)]
    if false:
        parts += ["## false certificates", _table(false, _FALSE_COLUMNS)]
    return "\n\n".join([*parts, *_noted(lines, notes)]) + "\n"


def latex(lines: Sequence[Line], false: Sequence[FalseLine], notes: Sequence[str]) -> str:
    """The same as booktabs tables, with the notes in each caption."""
    tables = []
    for scale, alpha, own in sections(lines):
        caption = " ".join([f"Scale {scale}, alpha = {exact(alpha)}.", *_noted(own, notes)])
        tables.append(booktabs(_head(_COLUMNS), [cells(line) for line in own], caption))
    if false:
        caption = " ".join(["False certificates.", *_noted(lines, notes)])
        body = [cells(line, _FALSE_COLUMNS) for line in false]
        tables.append(booktabs(_head(_FALSE_COLUMNS), body, caption))
    return "\n".join(tables)


def rich_tables(lines: Sequence[Line], false: Sequence[FalseLine]) -> list[Table]:
    """The main figures at the first level with Holm's correction, then the false certificates;
    the files have all."""
    tables = []
    level = next((line.alpha for line in lines if line.alpha is not None), None)
    for scale, alpha, own in sections(lines):
        if alpha == level:
            shown = [line for line in own if _main(line)]
            tables.append(_rich(shown, _COLUMNS, _NARROW, f"scale {scale}, alpha = {exact(alpha)}"))
    counted = [line for line in false if line.alpha == level and _main(line)]
    if counted:
        title = "pixels called certified whose p is surely below tau, by further draws"
        tables.append(_rich(counted, _FALSE_COLUMNS, _FALSE_NARROW, title))
    return tables


def counted(pictures: int) -> str:
    """ "1 picture", "26 pictures"."""
    return f"{pictures} picture{'' if pictures == 1 else 's'}"


def _main(line: Line | FalseLine) -> bool:
    return not line.model.endswith("bonferroni")


def records(rows: Sequence[Line] | Sequence[FalseLine]) -> list[dict[str, Any]]:
    """The rows as plain JSON values; NaN becomes None."""
    return [
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(row).items()
        }
        for row in rows
    ]


def _noted(lines: Sequence[Line], notes: Sequence[str]) -> list[str]:
    return [*([UNSOUND_NOTE] if any(line.unsound for line in lines) else []), *notes]


def _head(columns: _Columns) -> list[str]:
    return ["", *(heading for heading, _, _ in columns[1:])]


def _table(rows: Sequence[object], columns: _Columns) -> str:
    whole = [[heading for heading, _, _ in columns], ["---"] + ["---:"] * (len(columns) - 1)]
    whole += [cells(row, columns) for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in whole)


def _rich(
    rows: Sequence[Line] | Sequence[FalseLine],
    columns: _Columns,
    narrow: Mapping[str, str],
    title: str,
) -> Table:
    table = Table(
        title=title,
        caption=UNSOUND_NOTE if any(row.unsound for row in rows) else None,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    shown = [index for index, (_, name, _) in enumerate(columns) if name in narrow]
    for index in shown:
        table.add_column(narrow[columns[index][1]], justify="right" if index else "left")
    for row in rows:
        whole = cells(row, columns)
        table.add_row(*(whole[index] for index in shown))
    return table
