"""One pass over the kept samples of a run: what the page and the figures are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.metrics.boundary import BoundaryCounts, pixel_distance, point_distance
from certiseg.metrics.curve import RadiusCurve
from certiseg.report.chosen import Chosen, chosen
from certiseg.runfolder.evidence import Kept
from certiseg.runfolder.manifest import Manifest
from certiseg.runfolder.run import Run
from certiseg.runfolder.view import View
from certiseg.votes import ABSTAIN

PIXEL_EDGES = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0)
POINT_EDGES = (0.0, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3)


@dataclass(frozen=True)
class Looked:
    """One sample. held: the labels that the certificate's table holds (of a radius map, at the
    radius of tau), at full size; right: where they are, or contain, the true class. chosen: the map
    of radii, or ``why_not`` there is none."""

    kept: Kept
    manifest: Manifest
    held: NDArray[np.signedinteger]
    right: NDArray[np.bool_]
    chosen: Chosen | None
    why_not: str | None

    @property
    def view(self) -> View:
        return self.kept.view

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all labels that the certificate may give."""
        hierarchy = self.certificate.hierarchy
        return self.manifest.classes if hierarchy is None else hierarchy.names

    @property
    def certificate(self) -> Certificate:
        return self.kept.certificate


@dataclass
class Overview:
    """boundary: pooled over the ``kept`` samples. curve: over the ``mapped`` ones of them, which
    have a map of radii; of a run that is a radius map, its own over all samples. largest: radius of
    any. why_not: why samples have no map, one reason each. hierarchy, statement: of the first
    certificate that has one.
    """

    run: Run
    kept: int = 0
    mapped: int = 0
    curve: RadiusCurve | None = None
    boundary: BoundaryCounts | None = None
    largest: float = 0.0
    why_not: list[str] = field(default_factory=list)
    hierarchy: Hierarchy | None = None
    statement: str | None = None

    @property
    def of_all(self) -> bool:
        """Whether the curve is over all samples that are there."""
        return self.run.pooled.curve is not None or self.mapped == len(self.run.done)


def overview(run: Run, grid: NDArray[np.float64], each: Callable[[Looked], None]) -> Overview:
    """Check and pool the samples of the run, and pass on those that are kept; one sample's votes
    are held at a time."""
    found = Overview(run)
    for planned in run.manifest.samples:
        kept = run.take(planned)
        if kept is None:
            continue
        looked = _looked(run, kept)
        _add(found, looked, grid)
        each(looked)
    run.finish()
    if run.pooled.curve is not None:
        found.curve = run.pooled.curve
    return found


def contains(
    labels: NDArray[np.signedinteger], truth: NDArray[Any], hierarchy: Hierarchy | None
) -> NDArray[np.bool_]:
    """Where a label is the true class, or a group that contains it; nowhere without truth."""
    if hierarchy is None:
        return np.asarray((labels == truth) & (truth != IGNORE))
    known = (labels != ABSTAIN) & (truth != IGNORE)
    right = np.zeros(labels.shape, dtype=bool)
    right[known] = hierarchy.leaves()[labels[known], truth[known]]
    return right


def _looked(run: Run, kept: Kept) -> Looked:
    certificate, view = kept.certificate, kept.view
    mapped = isinstance(certificate.radius, np.ndarray)
    held = view.full(certificate.at(run.manifest.radius) if mapped else certificate.labels)
    right = contains(held, view.truth, certificate.hierarchy)
    try:
        radii, why_not = chosen(certificate), None
    except InputError as error:
        radii, why_not = None, str(error)
    return Looked(kept, run.manifest, held, right, radii, why_not)


def _add(found: Overview, looked: Looked, grid: NDArray[np.float64]) -> None:
    view, certificate = looked.view, looked.certificate
    num_classes = len(found.run.manifest.classes)
    found.kept += 1
    found.statement = found.statement or certificate.statement()
    found.hierarchy = found.hierarchy or certificate.hierarchy
    clouds = view.truth.ndim == 1
    distance = point_distance(view.x[:3].T, view.truth) if clouds else pixel_distance(view.truth)
    counts = BoundaryCounts.count(
        distance,
        view.truth,
        looked.held,
        view.labels["base_clean"],
        POINT_EDGES if clouds else PIXEL_EDGES,
        right=looked.right,
    )
    found.boundary = counts if found.boundary is None else found.boundary + counts
    if looked.chosen is None:
        found.why_not.append(str(looked.why_not))
        return
    radii = looked.chosen
    found.mapped += 1
    found.largest = max(found.largest, radii.largest)
    radius = view.full(radii.map())
    labels = np.where(radius > 0, view.full(radii.labels), ABSTAIN)
    curve = RadiusCurve.count(view.truth, labels, num_classes, radius=radius, grid=grid)
    found.curve = curve if found.curve is None else found.curve + curve
