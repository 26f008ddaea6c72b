"""What one sample adds to the figures of a data set, as a record of plain JSON values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.grid import cell_pixels, upsample_nearest
from certiseg.datasets.card import IGNORE, Card, Sample
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.part_iou import PartIou
from certiseg.metrics.records import counts_from_record, counts_record
from certiseg.votes import ABSTAIN


@dataclass(frozen=True)
class Prediction:
    """What a model without a certificate says: labels, on its own grid (theory T14); seconds."""

    labels: NDArray[Any]
    seconds: float

    def record(self, sample: Sample, card: Card) -> dict[str, Any]:
        """Against the truth of the sample."""
        shown = at_size(self.labels, sample.labels.shape)
        counts = Confusion.count(sample.labels, shown, card.num_classes, IGNORE)
        return {
            "confusion": counts_record(counts),
            "shape": _shape(sample, shown, card),
            "seconds": self.seconds,
        }


def certified_record(
    sample: Sample,
    card: Card,
    certificate: Certificate,
    seconds: float,
    *,
    read_at: float,
    curve_at: NDArray[np.float64],
) -> dict[str, Any]:
    """The certified labels against the truth. read_at: the radius a radius map is read at for
    the table, with curve_at for its curve."""
    truth, num_classes = sample.labels, card.num_classes
    same = certificate.labels.shape == truth.shape
    pixels = 1 if same else cell_pixels(certificate.labels.shape, truth.shape)
    allowed = certificate.allowed_errors * pixels
    mapped = isinstance(certificate.radius, np.ndarray)
    held = certificate.at(read_at) if mapped else certificate.labels
    shown = at_size(held, truth.shape)
    # Inner nodes say nothing about a single class: for these figures they abstain (T8).
    leaves = np.where(shown < num_classes, shown, ABSTAIN)
    counts = Confusion.count(truth, leaves, num_classes, IGNORE, allowed=allowed)
    gain, nodes, curve = None, None, None
    if certificate.hierarchy is not None:
        gain = counts_record(InformationGain.count(truth, shown, certificate.hierarchy, IGNORE))
        nodes = int(np.count_nonzero(shown[truth != IGNORE] != ABSTAIN))
    if isinstance(certificate.radius, np.ndarray):
        curve = counts_record(
            RadiusCurve.count(
                truth,
                at_size(certificate.labels, truth.shape),
                num_classes,
                radius=at_size(certificate.radius, truth.shape),
                grid=curve_at,
                ignore_index=IGNORE,
            )
        )
    first = certificate.selection_votes
    return {
        "confusion": counts_record(counts),
        "shape": _shape(sample, leaves, card, allowed),
        "gain": gain,
        "nodes": nodes,
        "curve": curve,
        "draws": certificate.votes.trials + (0 if first is None else first.trials),
        "seconds": seconds,
    }


def _shape(
    sample: Sample, labels: NDArray[Any], card: Card, allowed: int = 0
) -> dict[str, Any] | None:
    """Mean IoU over the parts of a cloud's category, and the bound on it; None for pictures."""
    if sample.category is None:
        return None
    assert card.parts is not None
    parts = card.parts[sample.category]
    return PartIou.count(sample.labels, labels, parts, sample.category, allowed=allowed).record()


def figures(name: str, certificate: Certificate, held: dict[str, Any]) -> dict[str, Any]:
    """One sample in results.json. held: its certified_record."""
    source = certificate.votes.source
    pooled = counts_from_record(Confusion, held["confusion"])
    return {
        "name": name,
        "certified_accuracy": number(pooled.certified_accuracy),
        "abstention": number(pooled.abstention),
        "abstention_all": number(pooled.abstention_all),
        "draws": held["draws"],
        "stopped": None if certificate.looks is None else certificate.looks.stopped,
        "seed": None if source is None else source.seed,
        "seconds": round(held["seconds"], 3),
    }


def at_size(values: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """Values of components (..., *size), or of grid cells (..., h, w), as values of components."""
    if values.shape[-len(size) :] == size:
        return values
    height, width = size
    return upsample_nearest(values, (height, width))


def number(value: float) -> float | None:
    """A float for JSON, which has no NaN."""
    return None if np.isnan(value) else float(value)
