"""Tables of the paper's experiments, of pictures and of clouds, and false certificates counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from certiseg.rounding import down, exact, share_down, share_up, significant
from certiseg.runfolder.comparison import draws_text, seconds_text
from certiseg.table import Column, Table

UNSOUND = "UNSOUND"
UNSOUND_NOTE = (
    "UNSOUND: lines so marked emulate the paper's published code, in which all draws of a batch "
    "share one noise and count as many. They certify nothing."
)


@dataclass(frozen=True)
class PictureRow:
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
class FalseRow:
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


@dataclass(frozen=True)
class CloudRow:
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


def _rate(value: float) -> str:
    return significant(value, 3, share_up)


_PICTURES = (
    Column("model", "model"),
    Column("sigma", "sigma", exact),
    Column("tau", "tau", exact),
    Column("n", "n"),
    Column("n0", "n0", terminal=""),
    Column("radius", "radius", down),
    Column("accuracy", "accuracy", share_down, "acc."),
    Column("miou", "mIoU", share_down),
    Column("abstention", "abstains", share_up, "abst."),
    Column("abstention_all", "abstains (all)", share_up, ""),
    Column("certified_accuracy", "certified accuracy", share_down, ""),
    Column("certified_miou", "certified mIoU", share_down, ""),
    Column("draws", "draws", draws_text, ""),
    Column("seconds", "s / picture", seconds_text, ""),
)
_FALSE = (
    Column("model", "model"),
    Column("scale", "scale", terminal=""),
    Column("sigma", "sigma", exact),
    Column("tau", "tau", exact),
    Column("n", "n"),
    Column("alpha", "alpha", exact, ""),
    Column("pictures", "pictures", terminal=""),
    Column("certified", "certified pixels", terminal="pixels"),
    Column("false", "surely false", terminal="false"),
    Column("share", "share of certified", _rate, ""),
    Column("with_false", "pictures with one", terminal="pictures"),
)
_CLOUDS = (
    Column("model", "model"),
    Column("sigma", "sigma", exact),
    Column("tau", "tau", exact),
    Column("n", "n"),
    Column("n0", "n0", terminal=""),
    Column("radius", "radius", down),
    Column("accuracy", "accuracy", share_down),
    Column("instance_miou", "instance mIoU", share_down, ""),
    Column("category_miou", "category mIoU", share_down, ""),
    Column("abstention", "abstention", share_up, "abstains"),
    Column("certified_accuracy", "certified accuracy", share_down, "certified"),
    Column("certified_instance_miou", "certified instance mIoU", share_down, ""),
    Column("certified_category_miou", "certified category mIoU", share_down, ""),
    Column("seconds", "s / cloud", seconds_text, ""),
)


@dataclass(frozen=True)
class Tables:
    """The rows of an experiment as tables: of pictures one for each scale and level, then one of
    false certificates where they were counted; of clouds one.

    rows: PictureRow or CloudRow. notes: below the tables, and in the captions of LaTeX.
    """

    rows: Sequence[Any]
    false: Sequence[FalseRow] = ()
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """Tables under headings, then the notes."""
        parts = []
        for table in self._all():
            parts += [f"## {table.title}"] if table.title else []
            parts.append(table.markdown().rstrip("\n"))
        return "\n\n".join([*parts, *_noted(self.rows, self.notes)]) + "\n"

    def latex(self) -> str:
        """The same for booktabs, with the notes in each caption."""
        tables = []
        for table in self._all():
            title = f"{table.title[:1].upper()}{table.title[1:]}." if table.title else ""
            rows = self.rows if table.columns is _FALSE else table.rows
            caption = " ".join(filter(None, [title, *_noted(rows, self.notes)]))
            tables.append(table.latex(caption))
        return "\n".join(tables)

    def csv(self) -> str:
        """All rows at full precision."""
        return Table((), self.rows).csv()

    def false_csv(self) -> str:
        """All counts of false certificates."""
        return Table((), self.false).csv()

    def records(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The rows, and the counts of false certificates, as plain JSON values."""
        return Table((), self.rows).records(), Table((), self.false).records()

    def screen(self, title: str = "") -> list[Table]:
        """The main figures for the terminal: of pictures those at the first level with Holm's
        correction. title: of a table of clouds."""
        tables = list(self._all())
        if not isinstance(self.rows[0], PictureRow):
            return [Table(table.columns, table.rows, title) for table in tables]
        level = next((row.alpha for row in self.rows if row.alpha is not None), None)
        shown = []
        for table in tables:
            of_level = [row.alpha for row in table.rows if row.alpha is not None]
            rows = [
                row
                for row in table.rows
                if row.alpha in (None, level) and not row.model.endswith("bonferroni")
            ]
            counted = table.columns is _FALSE
            if not rows or level not in of_level:
                continue
            named = "pixels called certified whose p is surely below tau, by further draws"
            notes = _noted(rows, ())
            shown.append(Table(table.columns, rows, named if counted else table.title, notes))
        return shown

    def _all(self) -> Iterable[Table]:
        if not isinstance(self.rows[0], PictureRow):
            yield Table(_CLOUDS, self.rows)
            return
        for scale, alpha, own in sections(self.rows):
            yield Table(_PICTURES, own, f"scale {scale}, alpha = {exact(alpha)}")
        if self.false:
            yield Table(_FALSE, self.false, "false certificates")


def sections(rows: Iterable[PictureRow]) -> list[tuple[str, float, list[PictureRow]]]:
    """(scale, alpha, rows): each scale at each level, the rows without a level in all of them."""
    listed = list(rows)
    scales = dict.fromkeys(row.scale for row in listed)
    alphas = dict.fromkeys(row.alpha for row in listed if row.alpha is not None)
    return [
        (scale, alpha, [x for x in listed if x.scale == scale and x.alpha in (None, alpha)])
        for scale in scales
        for alpha in alphas
    ]


def counted(pictures: int) -> str:
    """ "1 picture", "26 pictures"."""
    return f"{pictures} picture{'' if pictures == 1 else 's'}"


def _noted(rows: Sequence[Any], notes: Sequence[str]) -> list[str]:
    unsound = any(getattr(row, "unsound", False) for row in rows)
    return [*([UNSOUND_NOTE] if unsound else []), *notes]
