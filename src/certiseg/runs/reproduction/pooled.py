"""Rows of a table, pooled from the records of its cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from certiseg.datasets.card import Card
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.part_iou import PartIou
from certiseg.metrics.records import counts_from_record
from certiseg.report.reproduction.tables import CloudRow, FalseRow, PictureRow
from certiseg.runs.reproduction.reference import Falsity

_IDENTITY = (
    "scale",
    "model",
    "sigma",
    "tau",
    "n",
    "n0",
    "alpha",
    "radius",
    "unsound",
    "shared_batch",
)


@dataclass(frozen=True)
class Figures:
    """Metrics of one row, pooled by addition. shapes: for clouds."""

    confusion: Confusion
    shapes: PartIou | None
    draws: int
    seconds: float
    samples: int = 1

    def __add__(self, other: Figures) -> Figures:
        shapes = None
        if self.shapes is not None and other.shapes is not None:
            shapes = self.shapes + other.shapes
        return Figures(
            self.confusion + other.confusion,
            shapes,
            self.draws + other.draws,
            self.seconds + other.seconds,
            self.samples + other.samples,
        )


class Pooled:
    """All rows so far. curves: radius curves by (scale, sigma), from the radius map with most
    draws. seeds: of each cell, by sample and sigma."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._figures: dict[PictureRow, Figures] = {}
        self._false: dict[PictureRow, Falsity] = {}
        self.curves: dict[tuple[str, float], RadiusCurve] = {}
        self.seeds: dict[str, dict[float, int]] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Add the record of one cell."""
        for part in record["lines"]:
            row = PictureRow(**part["line"])
            counts, shapes = counts_from_record(Confusion, part["confusion"]), None
            if self._card.parts is not None:
                category = record["category"]
                shapes = PartIou.of(counts, self._card.parts[category], category)
            _add(self._figures, row, Figures(counts, shapes, part["draws"], part["seconds"]))
            if part["false"] is not None:
                _add(self._false, row, Falsity(**part["false"]))
        if record["curve"] is not None:
            place = (record["scale"], record["sigma"])
            _add(self.curves, place, counts_from_record(RadiusCurve, record["curve"]))
        self.seeds.setdefault(record["name"], {})[record["sigma"]] = int(record["seed"])

    def rows(self) -> list[PictureRow] | list[CloudRow]:
        """Rows with metrics, and bounds on them where the row certifies (theory T9)."""
        if self._card.parts is not None:
            return [_cloud_row(row, figures) for row, figures in self._figures.items()]
        return self.picture_rows()

    def picture_rows(self) -> list[PictureRow]:
        """Rows of a table of images."""
        return [_picture_row(row, figures) for row, figures in self._figures.items()]

    def false_rows(self) -> list[FalseRow]:
        return [_false_row(row, falsity) for row, falsity in self._false.items()]


def _add(total: dict[Any, Any], key: object, part: Any) -> None:
    total[key] = total[key] + part if key in total else part


def identity(row: PictureRow) -> dict[str, Any]:
    """The values that identify a row, as plain JSON values."""
    return {name: getattr(row, name) for name in _IDENTITY}


def _picture_row(row: PictureRow, figures: Figures) -> PictureRow:
    confusion = figures.confusion
    plain = replace(
        row,
        accuracy=confusion.accuracy,
        miou=confusion.miou,
        draws=figures.draws / figures.samples,
        seconds=figures.seconds / figures.samples,
    )
    if row.tau is None:
        return plain
    abstaining = replace(
        plain, abstention=confusion.abstention, abstention_all=confusion.abstention_all
    )
    if row.unsound:
        # Rows that certify nothing have no bounds.
        return abstaining
    return replace(
        abstaining,
        certified_accuracy=confusion.certified_accuracy,
        certified_miou=confusion.certified_miou,
    )


def _cloud_row(row: PictureRow, figures: Figures) -> CloudRow:
    """A row of a table of clouds, in which n counts all draws."""
    confusion, shapes = figures.confusion, figures.shapes
    assert shapes is not None
    plain = CloudRow(
        row.model.replace("SegCertify", "split"),
        row.sigma,
        row.tau,
        None if row.n is None or row.n0 is None else row.n + row.n0,
        row.n0,
        row.radius,
        accuracy=confusion.accuracy,
        instance_miou=shapes.instance_miou,
        category_miou=shapes.category_miou,
        seconds=figures.seconds / figures.samples,
    )
    if row.radius is None:
        return plain
    return replace(
        plain,
        abstention=confusion.abstention,
        certified_accuracy=confusion.certified_accuracy,
        certified_instance_miou=shapes.certified_instance_miou,
        certified_category_miou=shapes.certified_category_miou,
    )


def _false_row(row: PictureRow, falsity: Falsity) -> FalseRow:
    names = ("scale", "model", "sigma", "tau", "n", "n0", "alpha", "unsound", "shared_batch")
    return FalseRow(**{name: getattr(row, name) for name in names}, **asdict(falsity))
