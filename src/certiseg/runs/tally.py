"""Figures in the making: pooled over the images of a data set, image by image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.grid import cell_pixels, upsample_nearest
from certiseg.datasets.card import IGNORE
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.information_gain import InformationGain
from certiseg.votes import ABSTAIN


@dataclass
class Tally:
    """A model that predicts every pixel: its pooled confusion, its total seconds."""

    confusion: Confusion | None = None
    seconds: float = 0.0

    def add(self, truth: NDArray[Any], prediction: NDArray[Any], num_classes: int) -> None:
        """Count one image. prediction may lie on the model's own grid (theory T14)."""
        shown = at_size(prediction, truth.shape)
        self.confusion = _plus(self.confusion, Confusion.count(truth, shown, num_classes, IGNORE))


@dataclass
class CertifiedTally:
    """Certified masks. read_at: the radius a radius map is read at for the table, with curve_at
    for its curve. images: figures of each image."""

    num_classes: int
    read_at: float
    curve_at: NDArray[np.float64]
    confusion: Confusion | None = None
    gain: InformationGain | None = None
    nodes: int | None = None
    curve: RadiusCurve | None = None
    draws: int = 0
    seconds: float = 0.0
    images: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, truth: NDArray[Any], certificate: Certificate, seconds: float) -> None:
        """Count one image of truth (H, W)."""
        allowed = certificate.allowed_errors * cell_pixels(certificate.labels.shape, truth.shape)
        mapped = isinstance(certificate.radius, np.ndarray)
        held = certificate.at(self.read_at) if mapped else certificate.labels
        shown = at_size(held, truth.shape)
        # Inner nodes say nothing about a single class: for these figures they abstain (T8).
        leaves = np.where(shown < self.num_classes, shown, ABSTAIN)
        counts = Confusion.count(truth, leaves, self.num_classes, IGNORE, allowed=allowed)
        self.confusion = _plus(self.confusion, counts)
        if certificate.hierarchy is not None:
            gain = InformationGain.count(truth, shown, certificate.hierarchy, IGNORE)
            self.gain = gain if self.gain is None else self.gain + gain
            certified = int(np.count_nonzero(shown[truth != IGNORE] != ABSTAIN))
            self.nodes = certified + (self.nodes or 0)
        if isinstance(certificate.radius, np.ndarray):
            curve = RadiusCurve.count(
                truth,
                at_size(certificate.labels, truth.shape),
                self.num_classes,
                radius=at_size(certificate.radius, truth.shape),
                grid=self.curve_at,
                ignore_index=IGNORE,
            )
            self.curve = curve if self.curve is None else self.curve + curve
        first = certificate.selection_votes
        draws = certificate.votes.trials + (0 if first is None else first.trials)
        self.draws += draws
        self.seconds += seconds
        self.images.append(self._figures(name, certificate, counts, draws, seconds))

    def _figures(
        self, name: str, certificate: Certificate, counts: Confusion, draws: int, seconds: float
    ) -> dict[str, Any]:
        source = certificate.votes.source
        return {
            "name": name,
            "certified_accuracy": number(counts.certified_accuracy),
            "abstention": number(counts.abstention),
            "abstention_all": number(counts.abstention_all),
            "draws": draws,
            "stopped": None if certificate.looks is None else certificate.looks.stopped,
            "seed": None if source is None else source.seed,
            "seconds": round(seconds, 3),
        }


def at_size(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Values of pixels or of grid cells, (..., h, w), as values of pixels (..., H, W)."""
    return values if values.shape[-2:] == size else upsample_nearest(values, size)


def number(value: float) -> float | None:
    """A float for JSON, which has no NaN."""
    return None if np.isnan(value) else float(value)


def _plus(total: Confusion | None, part: Confusion) -> Confusion:
    return part if total is None else total + part
