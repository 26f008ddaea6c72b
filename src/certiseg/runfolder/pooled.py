"""``Pooled``: metrics of a data set, from the counts of its samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.part_iou import PartIou
from certiseg.runfolder.comparison import (
    CERTIFIED,
    Row,
    certified_row,
    model_row,
    worst_tenth,
)
from certiseg.runfolder.manifest import Manifest
from certiseg.runfolder.metrics import number
from certiseg.runfolder.record import Record
from certiseg.runfolder.under_attack import UnderAttack


@dataclass
class Pooled:
    """Sums of counts over samples.

    models: counts of models without certificates, by name. shapes: part IoU of point clouds, by
    these names and CERTIFIED. beyond: sums of ``right_beyond``, None without windows. images:
    entries of results.json, one per sample.
    """

    manifest: Manifest
    models: dict[str, Confusion] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    certified: Confusion | None = None
    certified_seconds: float = 0.0
    gain: InformationGain | None = None
    nodes: int | None = None
    curve: RadiusCurve | None = None
    shapes: dict[str, PartIou] = field(default_factory=dict)
    beyond: list[int] | None = None
    attacked: UnderAttack | None = None
    draws: int = 0
    images: list[dict[str, Any]] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Add the counts of a sample."""
        for name, counts in record.models.items():
            self.models[name] = self.models[name] + counts if name in self.models else counts
            self.seconds[name] = self.seconds.get(name, 0.0) + record.seconds[name]
        held, gain, curve = record.certified, record.gain, record.curve
        self.certified = held if self.certified is None else self.certified + held
        if gain is not None:
            self.gain = gain if self.gain is None else self.gain + gain
            self.nodes = (self.nodes or 0) + (record.nodes or 0)
        if curve is not None:
            self.curve = curve if self.curve is None else self.curve + curve
        if record.beyond is not None:
            known = self.beyond or [0] * len(record.beyond)
            self.beyond = [sum(pair) for pair in zip(known, record.beyond, strict=True)]
        if record.attacked is not None:
            self.attacked = self.attacked or UnderAttack()
            self.attacked.add(record.attacked)
        category = record.planned.category
        if category is not None:
            assert self.manifest.parts is not None
            for name, counts in {CERTIFIED: held, **record.models}.items():
                shape = PartIou.of(counts, self.manifest.parts[category], category)
                self.shapes[name] = self.shapes[name] + shape if name in self.shapes else shape
        self.draws += record.draws
        self.certified_seconds += record.certified_seconds
        self.images.append(self._image(record))

    def _image(self, record: Record) -> dict[str, Any]:
        held = record.certified
        return {
            "name": record.planned.name,
            "certified_accuracy": number(held.certified_accuracy),
            "abstention": number(held.abstention),
            "abstention_all": number(held.abstention_all),
            "draws": record.draws,
            "stopped": record.stopped,
            "seed": self.manifest.seed,
            "seconds": round(record.certified_seconds, 3),
            **({} if record.percentile is None else {"percentile": dict(record.percentile)}),
        }

    def rows(self, *, draws: bool = False) -> list[Row]:
        """Rows of the comparison, empty without samples. draws: include their number even if it is
        constant."""
        if self.certified is None:
            return []
        done, dice = len(self.images), self.manifest.kind == "volumes"
        rows = [
            model_row(name, confusion, self.seconds[name] / done, self.shapes.get(name), dice=dice)
            for name, confusion in self.models.items()
        ]
        held = certified_row(
            self.manifest.certified,
            self.certified,
            radius=self.manifest.radius,
            seconds=self.certified_seconds / done,
            draws=self.draws / done if draws or self.manifest.certifier.stops_early else None,
            gain=self.gain,
            nodes=self.nodes,
            shapes=self.shapes.get(CERTIFIED),
            dice=dice,
            worst=worst_tenth([image["certified_accuracy"] for image in self.images]),
        )
        return [*rows, held]
