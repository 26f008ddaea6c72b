"""Figures of a data set in the making: one record a sample, pooled by addition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.records import counts_from_record
from certiseg.report.comparison import certified_row, model_row
from certiseg.report.tables import Row


@dataclass
class Pooled:
    """Counts are added over the samples before any ratio is taken.

    models: by name, those without a certificate. images: what results.json lists, one a sample.
    """

    models: dict[str, Confusion] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    certified: Confusion | None = None
    certified_seconds: float = 0.0
    gain: InformationGain | None = None
    nodes: int | None = None
    curve: RadiusCurve | None = None
    draws: int = 0
    images: list[dict[str, Any]] = field(default_factory=list)

    def add(self, record: Mapping[str, Any]) -> None:
        """Add one sample, as ``runs.tally.sample_record`` writes it.

        Raises InputError for counts that are none; KeyError or TypeError for another record.
        """
        for name, found in record["models"].items():
            counts = counts_from_record(Confusion, found["confusion"])
            known = self.models.get(name)
            self.models[name] = counts if known is None else known + counts
            self.seconds[name] = self.seconds.get(name, 0.0) + float(found["seconds"])
        held = record["certified"]
        counts = counts_from_record(Confusion, held["confusion"])
        self.certified = counts if self.certified is None else self.certified + counts
        self.certified_seconds += float(held["seconds"])
        self.draws += int(held["draws"])
        if held["gain"] is not None:
            gain = counts_from_record(InformationGain, held["gain"])
            self.gain = gain if self.gain is None else self.gain + gain
            self.nodes = (self.nodes or 0) + int(held["nodes"])
        if held["curve"] is not None:
            curve = counts_from_record(RadiusCurve, held["curve"])
            self.curve = curve if self.curve is None else self.curve + curve
        self.images.append(dict(record["figures"]))

    def rows(self, certified: str, radius: float, *, draws_vary: bool) -> list[Row]:
        """The comparison so far; at least one sample. certified: name of the last row."""
        assert self.certified is not None
        done = len(self.images)
        rows = [
            model_row(name, confusion, self.seconds[name] / done)
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
        )
        return [*rows, held]
