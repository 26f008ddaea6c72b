"""Records of single pictures added up to the lines of a table."""

from __future__ import annotations

from collections.abc import Mapping
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


class Pooled:
    """All lines so far. curves: by scale and sigma, from the radius map of most draws."""

    def __init__(self) -> None:
        self._figures: dict[Line, Figures] = {}
        self._false: dict[Line, Falsity] = {}
        self.curves: dict[tuple[str, float], RadiusCurve] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Add the record of one cell."""
        for part in record["lines"]:
            line = Line(**part["line"])
            figures = Figures(
                counts_from_record(Confusion, part["confusion"]), part["draws"], part["seconds"]
            )
            _add(self._figures, line, figures)
            if part["false"] is not None:
                _add(self._false, line, Falsity(**part["false"]))
        if record["curve"] is not None:
            place = (record["scale"], record["sigma"])
            _add(self.curves, place, counts_from_record(RadiusCurve, record["curve"]))

    def lines(self) -> list[Line]:
        """With figures; bounds where a line certifies (theory T9)."""
        return [_filled(line, figures) for line, figures in self._figures.items()]

    def false_lines(self) -> list[FalseLine]:
        return [_counted(line, falsity) for line, falsity in self._false.items()]


def _add(total: dict[Any, Any], key: object, part: Any) -> None:
    total[key] = total[key] + part if key in total else part


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
