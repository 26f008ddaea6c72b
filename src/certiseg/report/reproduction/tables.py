"""Tables of the paper's experiments on images and clouds, and counts of false certificates."""

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
    """One model or method over all images. Shares in [0, 1]; None if not applicable.

    scale: input scale of the model, "0.5+1" for several. n, n0: testing and selection draws.
    radius: l2, R = sigma PhiInv(tau). unsound: emulates an error of the published code, so that
    nothing is certified; shared_batch: number of draws that share a noise there. accuracy: of
    labelled pixels, abstentions counting as wrong. miou: as in the paper, with abstention as a
    label. abstention, abstention_all: of labelled pixels, of all. certified_...: lower bounds under
    attack (theory T9). draws, seconds: mean per image, sampling included.
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
    """False certificates of one method, over the images that have reference draws.

    certified, false: numbers of pixels; false ones have a label whose probability is surely below
    tau. with_false: images with at least one. images: number of images.
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
    images: int
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
    """One model or method over all clouds. Shares in [0, 1]; None if not applicable.

    n: all draws, n0: those of them used for selection. radius: l2, or an angle in radians.
    accuracy: of points, abstentions counting as wrong. instance_miou, category_miou: as the
    benchmark defines them, with abstention as a label. certified_...: lower bounds under attack
    (theory T9). seconds: mean per cloud, sampling included.
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
    Column("seconds", "s / image", seconds_text, ""),
)
_FALSE = (
    Column("model", "model"),
    Column("scale", "scale", terminal=""),
    Column("sigma", "sigma", exact),
    Column("tau", "tau", exact),
    Column("n", "n"),
    Column("alpha", "alpha", exact, ""),
    Column("images", "images", terminal=""),
    Column("certified", "certified pixels", terminal="pixels"),
    Column("false", "surely false", terminal="false"),
    Column("share", "share of certified", lambda share: significant(share, 3, share_up), ""),
    Column("with_false", "images with one", terminal="images"),
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
    """The tables of an experiment: for images one for each scale and alpha, and one of false
    certificates if they were counted; for clouds one.

    rows: PictureRow or CloudRow. notes: below the tables, and in captions of LaTeX.
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
        """The main rows for the terminal: for images those at the first alpha with Holm's
        correction. title: of the table for clouds."""
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
        for scale, alpha, rows in sections(self.rows):
            yield Table(_PICTURES, rows, f"scale {scale}, alpha = {exact(alpha)}")
        if self.false:
            yield Table(_FALSE, self.false, "false certificates")


def sections(rows: Iterable[PictureRow]) -> list[tuple[str, float, list[PictureRow]]]:
    """(scale, alpha, rows) for each scale and alpha; rows without alpha are in all of a scale."""
    listed = list(rows)
    scales = dict.fromkeys(row.scale for row in listed)
    alphas = dict.fromkeys(row.alpha for row in listed if row.alpha is not None)
    return [
        (scale, alpha, [x for x in listed if x.scale == scale and x.alpha in (None, alpha)])
        for scale in scales
        for alpha in alphas
    ]


def counted(images: int) -> str:
    """Text such as "1 image" or "26 images"."""
    return f"{images} image{'' if images == 1 else 's'}"


def _noted(rows: Sequence[Any], notes: Sequence[str]) -> list[str]:
    unsound = any(getattr(row, "unsound", False) for row in rows)
    return [*([UNSOUND_NOTE] if unsound else []), *notes]
