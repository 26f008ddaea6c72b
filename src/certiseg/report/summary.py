"""Summaries of a run and its kept samples, from which page and figures are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.windows import tiling_of
from certiseg.certifiers.radius_map import radius_map
from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.metrics.boundary import BoundaryCounts, pixel_distance, point_distance
from certiseg.metrics.curve import RadiusCurve
from certiseg.report.collective import CollectiveCurve
from certiseg.report.post_hoc import PostHocRadii, post_hoc_radii
from certiseg.runfolder.comparison import Row
from certiseg.runfolder.evidence import Kept
from certiseg.runfolder.manifest import Manifest
from certiseg.runfolder.run import Run
from certiseg.runfolder.view import View
from certiseg.votes import ABSTAIN, Source

PIXEL_EDGES = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0)
POINT_EDGES = (0.0, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3)


@dataclass(frozen=True)
class SampleSummary:
    """One kept sample.

    Args:
        kept: input, labels and certificate, checked.
        manifest: of the run.
        labels: of the certificate, of a radius map at the radius of tau.
        certified: the same at full size.
        right: True where they are, or contain, the true class.
        radii: the radius map, or None.
        why_no_radii: reason why there is no radius map, or None.
    """

    kept: Kept
    manifest: Manifest
    labels: NDArray[np.signedinteger]
    certified: NDArray[np.signedinteger]
    right: NDArray[np.bool_]
    radii: PostHocRadii | None
    why_no_radii: str | None

    @property
    def view(self) -> View:
        return self.kept.view

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all possible labels of the certificate."""
        hierarchy = self.certificate.hierarchy
        return self.manifest.classes if hierarchy is None else hierarchy.names

    @property
    def certificate(self) -> Certificate:
        return self.kept.certificate


@dataclass
class RunSummary:
    """A run with all its samples.

    Args:
        run: after ``finish``.
        name: name of the run in the report.
        kept: number of kept samples.
        mapped: number of kept samples with a radius map.
        curve: over the mapped samples; for a run of radius maps, over all samples.
        collective: over the kept samples of a model of windows.
        boundary: pooled over the kept samples.
        largest: largest radius of any component.
        why_no_radii: reason for each sample without a radius map.
        hierarchy: of the first certificate that has one.
        statement: of the first certificate.
        source: of the first certificate's votes, which says how a binary output was declared.
    """

    run: Run
    name: str
    kept: int = 0
    mapped: int = 0
    curve: RadiusCurve | None = None
    collective: CollectiveCurve | None = None
    boundary: BoundaryCounts | None = None
    largest: float = 0.0
    why_no_radii: list[str] = field(default_factory=list)
    hierarchy: Hierarchy | None = None
    statement: str | None = None
    source: Source | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all possible labels of the run's certificates."""
        return self.run.manifest.classes if self.hierarchy is None else self.hierarchy.names

    @property
    def of_all(self) -> bool:
        """True if the curve is over all finished samples."""
        return self.run.pooled.curve is not None or self.mapped == len(self.run.done)


def summarise(
    run: Run, name: str, grid: NDArray[np.float64], each: Callable[[SampleSummary], None]
) -> RunSummary:
    """Check and pool all samples of a run, calling ``each`` for kept ones, with the votes of one
    sample in memory at a time."""
    found = RunSummary(run, name)
    for planned in run.manifest.samples:
        kept = run.take(planned)
        if kept is None:
            continue
        sample = _summary(run, kept)
        _add(found, sample, grid)
        each(sample)
    run.finish()
    if run.pooled.curve is not None:
        found.curve = run.pooled.curve
    return found


def comparison_rows(summaries: Sequence[RunSummary]) -> list[Row]:
    """Rows of the comparison of all runs, with the name of the run if there are several."""
    several = len(summaries) > 1
    return [
        replace(row, model=f"{summary.name}: {row.model}") if several else row
        for summary in summaries
        for row in summary.run.rows(draws=True)
    ]


def contains(
    labels: NDArray[np.signedinteger], truth: NDArray[Any], hierarchy: Hierarchy | None
) -> NDArray[np.bool_]:
    """True where a label is the true class, or a node that contains it; False without truth."""
    if hierarchy is None:
        return np.asarray((labels == truth) & (truth != IGNORE))
    known = (labels != ABSTAIN) & (truth != IGNORE)
    right = np.zeros(labels.shape, dtype=bool)
    right[known] = hierarchy.leaves()[labels[known], truth[known]]
    return right


def _summary(run: Run, kept: Kept) -> SampleSummary:
    certificate, view = kept.certificate, kept.view
    mapped = isinstance(certificate.radius, np.ndarray)
    labels = certificate.at(run.manifest.radius) if mapped else certificate.labels
    certified = view.full(labels)
    right = contains(certified, view.truth, certificate.hierarchy)
    try:
        radii, reason = post_hoc_radii(certificate), None
    except InputError as error:
        radii, reason = None, str(error)
    return SampleSummary(kept, run.manifest, labels, certified, right, radii, reason)


def _add(found: RunSummary, sample: SampleSummary, grid: NDArray[np.float64]) -> None:
    view, certificate, radii = sample.view, sample.certificate, sample.radii
    found.kept += 1
    found.statement = found.statement or certificate.statement()
    found.source = found.source or certificate.votes.source
    found.hierarchy = found.hierarchy or certificate.hierarchy
    cloud = view.truth.ndim == 1
    counts = BoundaryCounts.count(
        point_distance(view.x[:3].T, view.truth) if cloud else pixel_distance(view.truth),
        view.truth,
        sample.certified,
        view.labels["base_clean"],
        POINT_EDGES if cloud else PIXEL_EDGES,
        right=sample.right,
    )
    found.boundary = counts if found.boundary is None else found.boundary + counts
    if tiling_of(certificate) is not None and found.run.manifest.radius > 0:
        beyond = _collective(sample)
        found.collective = beyond if found.collective is None else found.collective + beyond
    if radii is None:
        found.why_no_radii.append(str(sample.why_no_radii))
        return
    found.mapped += 1
    found.largest = max(found.largest, radii.largest)
    radius = view.full(radii.map())
    labels = np.where(radius > 0, view.full(radii.labels), ABSTAIN)
    num_classes = len(found.run.manifest.classes)
    curve = RadiusCurve.count(view.truth, labels, num_classes, radius=radius, grid=grid)
    found.curve = curve if found.curve is None else found.curve + curve


def _collective(sample: SampleSummary) -> CollectiveCurve:
    """The curve of the radius map of the sample's votes, or, where there is none, of its own
    certificate."""
    certificate, truth = sample.certificate, sample.view.truth
    if sample.radii is not None:
        certificate = radius_map(
            certificate.votes, noise=certificate.noise, alpha=certificate.alpha
        )
    return CollectiveCurve.count(
        certificate,
        contains(certificate.labels, truth, certificate.hierarchy),
        labelled=int((truth != IGNORE).sum()),
        unit=sample.manifest.radius,
    )
