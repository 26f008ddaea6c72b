"""Records of single pictures added up to the lines of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.records import counts_from_record
from certiseg.report.reproduction.pictures import FalseLine, Line
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
    """What is pooled for one line, by addition."""

    confusion: Confusion
    draws: int
    seconds: float
    pictures: int = 1

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.confusion + other.confusion,
            self.draws + other.draws,
            self.seconds + other.seconds,
            self.pictures + other.pictures,
        )


@dataclass
class Pooled:
    """All lines so far. curves: by scale and sigma, from the radius map of most draws."""

    figures: dict[Line, Figures]
    false: dict[Line, Falsity]
    curves: dict[tuple[str, float], RadiusCurve]

    def lines(self) -> list[Line]:
        """With figures; bounds where a line certifies (theory T9)."""
        return [_filled(line, figures) for line, figures in self.figures.items()]

    def false_lines(self) -> list[FalseLine]:
        return [_counted(line, falsity) for line, falsity in self.false.items()]


def pooled(records: Iterable[Mapping[str, Any]]) -> Pooled:
    """The records of cells, added up."""
    found = Pooled({}, {}, {})
    for record in records:
        for part in record["lines"]:
            line = Line(**part["line"])
            figures = Figures(
                counts_from_record(Confusion, part["confusion"]), part["draws"], part["seconds"]
            )
            known = found.figures.get(line)
            found.figures[line] = figures if known is None else known + figures
            if part["false"] is not None:
                falsity = Falsity(**part["false"])
                so_far = found.false.get(line)
                found.false[line] = falsity if so_far is None else so_far + falsity
        if record["curve"] is not None:
            place = (record["scale"], record["sigma"])
            curve = counts_from_record(RadiusCurve, record["curve"])
            there = found.curves.get(place)
            found.curves[place] = curve if there is None else there + curve
    return found


def identity(line: Line) -> dict[str, Any]:
    """What tells a line from the others, as plain JSON values."""
    return {name: getattr(line, name) for name in _IDENTITY}


def _filled(line: Line, figures: Figures) -> Line:
    confusion = figures.confusion
    plain = replace(
        line,
        accuracy=confusion.accuracy,
        miou=confusion.miou,
        draws=figures.draws / figures.pictures,
        seconds=figures.seconds / figures.pictures,
    )
    if line.tau is None:
        return plain
    abstaining = replace(
        plain, abstention=confusion.abstention, abstention_all=confusion.abstention_all
    )
    if line.unsound:
        # No bound follows from what certifies nothing.
        return abstaining
    return replace(
        abstaining,
        certified_accuracy=confusion.certified_accuracy,
        certified_miou=confusion.certified_miou,
    )


def _counted(line: Line, falsity: Falsity) -> FalseLine:
    assert line.sigma is not None
    assert line.tau is not None
    assert line.n is not None
    assert line.n0 is not None
    assert line.alpha is not None
    return FalseLine(
        scale=line.scale,
        model=line.model,
        sigma=line.sigma,
        tau=line.tau,
        n=line.n,
        n0=line.n0,
        alpha=line.alpha,
        unsound=line.unsound,
        shared_batch=line.shared_batch,
        **asdict(falsity),
    )
