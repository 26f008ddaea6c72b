"""Figures of a data set in the making: one record a sample, pooled by addition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.part_iou import PartIou
from certiseg.metrics.records import counts_from_record
from certiseg.report.folder.comparison import CERTIFIED, certified_row, model_row
from certiseg.report.tables import Row


@dataclass
class Pooled:
    """Counts are added over the samples before any ratio is taken.

    models: by name, those without a certificate. shapes: of point clouds, by the same names and
    that of the certified labels. images: what results.json lists, one a sample.
    """

    models: dict[str, Confusion] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    certified: Confusion | None = None
    certified_seconds: float = 0.0
    gain: InformationGain | None = None
    nodes: int | None = None
    curve: RadiusCurve | None = None
    shapes: dict[str, PartIou] = field(default_factory=dict)
    draws: int = 0
    images: list[dict[str, Any]] = field(default_factory=list)

    def add(self, record: Mapping[str, Any]) -> None:
        """Add one sample, as ``runs.tally`` writes it: all of it, or nothing.

        Raises InputError for counts that are none or of other classes; KeyError or TypeError for
        another record.
        """
        models, seconds = dict(self.models), dict(self.seconds)
        for name, found in record["models"].items():
            counts = counts_from_record(Confusion, found["confusion"])
            models[name] = models[name] + counts if name in models else counts
            seconds[name] = seconds.get(name, 0.0) + float(found["seconds"])
        held, gain, nodes, curve = record["certified"], self.gain, self.nodes, self.curve
        certified = counts_from_record(Confusion, held["confusion"])
        if self.certified is not None:
            certified = self.certified + certified
        if held["gain"] is not None:
            gained = counts_from_record(InformationGain, held["gain"])
            gain = gained if gain is None else gain + gained
            nodes = (nodes or 0) + int(held["nodes"])
        if held["curve"] is not None:
            counted = counts_from_record(RadiusCurve, held["curve"])
            curve = counted if curve is None else curve + counted
        shapes = dict(self.shapes)
        for name, found in ((CERTIFIED, held), *record["models"].items()):
            if found["shape"] is not None:
                shape = PartIou.from_record(found["shape"])
                shapes[name] = shapes[name] + shape if name in shapes else shape
        figures, draws = dict(record["figures"]), self.draws + int(held["draws"])
        self.certified_seconds += float(held["seconds"])
        self.models, self.seconds, self.certified = models, seconds, certified
        self.gain, self.nodes, self.curve, self.draws = gain, nodes, curve, draws
        self.shapes = shapes
        self.images.append(figures)

    def rows(self, certified: str, radius: float, *, draws_vary: bool) -> list[Row]:
        """The comparison so far; at least one sample. certified: name of the last row."""
        assert self.certified is not None
        done = len(self.images)
        rows = [
            model_row(name, confusion, self.seconds[name] / done, self.shapes.get(name))
            for name, confusion in self.models.items()
        ]
        held = certified_row(
            certified,
            self.certified,
            radius=radius,
            seconds=self.certified_seconds / done,
            draws=self.draws / done if draws_vary else None,
            gain=self.gain,
            nodes=self.nodes,
            shapes=self.shapes.get(CERTIFIED),
        )
        return [*rows, held]
