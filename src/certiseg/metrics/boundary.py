"""Abstentions and errors by distance to the nearest boundary between true classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from certiseg.errors import InputError
from certiseg.votes import ABSTAIN


@dataclass(frozen=True, eq=False)
class BoundaryCounts:
    """Counts of labelled components by distance to a boundary, pooled by addition.

    edges: float64 (B,), increasing from 0; bin b holds distances in [edges[b], edges[b + 1]), the
    last one all from edges[-1] on. components, abstained, wrong, base_wrong: int64 (B,); wrong are
    certified labels that differ from the truth, base_wrong errors of the base model.
    """

    edges: NDArray[np.float64]
    components: NDArray[np.int64]
    abstained: NDArray[np.int64]
    wrong: NDArray[np.int64]
    base_wrong: NDArray[np.int64]

    @staticmethod
    def count(
        distance: ArrayLike,
        truth: ArrayLike,
        labels: ArrayLike,
        base: ArrayLike,
        edges: ArrayLike,
        *,
        right: ArrayLike | None = None,
        ignore_index: int = 255,
    ) -> BoundaryCounts:
        """Count one sample.

        distance, truth, labels, base: arrays of one shape; labels may hold ABSTAIN. right: bools,
        True where the label is correct; needed if labels are nodes of a hierarchy. None: where
        labels equal the truth.
        """
        bounds = np.asarray(edges, dtype=np.float64)
        if bounds.ndim != 1 or not bounds.size or bounds[0] != 0 or np.any(np.diff(bounds) <= 0):
            raise InputError(f"expected edges (B,) rising from 0, got {edges!r}")
        known = np.asarray(truth) != ignore_index
        true, given, predicted = (np.asarray(a)[known] for a in (truth, labels, base))
        held = given == true if right is None else np.asarray(right)[known]
        place = np.searchsorted(bounds, np.asarray(distance)[known], side="right") - 1

        def by_bin(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
            return np.bincount(place[chosen], minlength=len(bounds)).astype(np.int64)

        abstained = given == ABSTAIN
        return BoundaryCounts(
            bounds,
            by_bin(np.ones_like(abstained)),
            by_bin(abstained),
            by_bin(~abstained & ~held),
            by_bin(predicted != true),
        )

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        if not isinstance(other, BoundaryCounts):
            return NotImplemented
        if not np.array_equal(self.edges, other.edges):
            raise InputError("expected counts over the same edges, got others; use one list")
        return BoundaryCounts(
            self.edges,
            self.components + other.components,
            self.abstained + other.abstained,
            self.wrong + other.wrong,
            self.base_wrong + other.base_wrong,
        )


def pixel_distance(truth: ArrayLike, ignore_index: int = 255) -> NDArray[np.float64]:
    """Distance (H, W) or (D, H, W) to the nearest boundary pixel or voxel; infinite if none.

    On a boundary is what has a neighbour of another true class along an axis; unlabelled ones do
    not count.
    """
    labels = np.asarray(truth)
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in range(labels.ndim):
        before: tuple[slice, ...] = (slice(None),) * axis
        first, second = (*before, slice(1, None)), (*before, slice(None, -1))
        one, other = labels[first], labels[second]
        differ = (one != other) & (one != ignore_index) & (other != ignore_index)
        edge[first] |= differ
        edge[second] |= differ
    if not edge.any():
        return np.full(labels.shape, np.inf)
    return np.asarray(distance_transform_edt(~edge))


def point_distance(
    points: ArrayLike, truth: ArrayLike, ignore_index: int = 255
) -> NDArray[np.float64]:
    """Distance (N,), in units of the input, from each point to the nearest of another true class.

    points: (N, 3). Infinite for unlabelled points, and if the cloud has a single class.
    """
    places, labels = np.asarray(points, dtype=np.float64), np.asarray(truth)
    distance = np.full(labels.shape, np.inf)
    present = np.unique(labels[labels != ignore_index])
    for label in present if len(present) > 1 else ():
        inside = labels == label
        others = ~inside & (labels != ignore_index)
        distance[inside] = cKDTree(places[others]).query(places[inside])[0]
    return distance
