"""``RadiusCurve``: certified share, accuracy and IoU of a data set as functions of the radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.errors import InputError
from certiseg.metrics.confusion import checked_allowed, iou_bound, labelled_pairs
from certiseg.votes import ABSTAIN


@dataclass(frozen=True, eq=False)
class RadiusCurve:
    """Counts of certified components at each radius of a grid, pooled by addition.

    A component counts at a radius if it is certified at that radius or a larger one. A radius map
    holds at all its radii simultaneously (theory T6), so all points of the curve are bounds under
    perturbations of norm < r on one event, that of ``Confusion`` (theory T9).

    Attributes:
        radii: float64 (G,), increasing.
        labelled: int64 (C,), labelled components by true class.
        certified: int64 (G, C), certified labelled components by true class.
        claimed: int64 (G, C), certified labelled components by certified class.
        correct: int64 (G, C), certified labelled components whose label is the true class.
        allowed: as in ``Confusion``.

    Example:
        >>> import numpy as np
        >>> curve = RadiusCurve.count(
        ...     np.array([0, 1]), np.array([0, 1]), 2, radius=np.array([0.1, 0.3]), grid=[0.0, 0.2]
        ... )
        >>> curve.certified.sum(axis=1).tolist()
        [2, 1]

    Reference:
        Theory T6 and T9.
    """

    radii: NDArray[np.float64]
    labelled: NDArray[np.int64]
    certified: NDArray[np.int64]
    claimed: NDArray[np.int64]
    correct: NDArray[np.int64]
    allowed: int = 0

    @staticmethod
    def count(
        truth: ArrayLike,
        labels: ArrayLike,
        num_classes: int,
        *,
        radius: ArrayLike,
        grid: ArrayLike,
        ignore_index: int = 255,
        allowed: int = 0,
    ) -> RadiusCurve:
        """Count one image.

        truth, labels: ints of one shape; labels may hold ABSTAIN. radius: floats of that shape, or
        one for all components; ignored at abstentions. grid: radii (G,) >= 0, increasing.
        Raises InputError for mismatched shapes, and for invalid labels, radii or grid.
        """
        radii = _checked_grid(grid)
        rows, columns, _ = labelled_pairs(truth, labels, num_classes, ignore_index)
        marked = np.asarray(truth) != ignore_index
        held = _checked_radius(radius, marked.shape)[marked]
        held = np.where(columns != ABSTAIN, held, 0.0)
        if not np.all(held >= 0):
            raise InputError(
                f"expected radii >= 0 where a label is certified, got {held.min()}; "
                "pass the radius of the certificate"
            )
        # Number of grid radii at which each component is certified.
        reached = np.where(columns != ABSTAIN, np.searchsorted(radii, held, side="right"), 0)
        return RadiusCurve(
            radii,
            np.bincount(rows, minlength=num_classes).astype(np.int64),
            _by_radius(reached, rows, len(radii), num_classes),
            _by_radius(reached, np.maximum(columns, 0), len(radii), num_classes),
            _by_radius(np.where(rows == columns, reached, 0), rows, len(radii), num_classes),
            checked_allowed(allowed),
        )

    def __add__(self, other: RadiusCurve) -> RadiusCurve:
        if not isinstance(other, RadiusCurve):
            return NotImplemented
        if not np.array_equal(self.radii, other.radii):
            raise InputError(
                f"expected a curve on the same radii, {_described(self.radii)}, got "
                f"{_described(other.radii)}; count all images on one grid"
            )
        if self.labelled.shape != other.labelled.shape:
            raise InputError(
                f"expected a curve of {len(self.labelled)} classes, got {len(other.labelled)}; "
                "add only figures of the same classes"
            )
        return RadiusCurve(
            self.radii,
            self.labelled + other.labelled,
            self.certified + other.certified,
            self.claimed + other.claimed,
            self.correct + other.correct,
            self.allowed + other.allowed,
        )

    @property
    def certified_share(self) -> NDArray[np.float64]:
        """Certified / labelled at each radius, (G,); NaN without labelled components."""
        return self._of_labelled(self.certified.sum(axis=1))

    @property
    def certified_accuracy(self) -> NDArray[np.float64]:
        """``Confusion.certified_accuracy`` of the labels certified at each radius, (G,)."""
        return self._of_labelled(np.maximum(self.correct.sum(axis=1) - self.allowed, 0))

    @property
    def certified_iou(self) -> NDArray[np.float64]:
        """``Confusion.certified_iou`` of the labels certified at each radius, (G, C).

        NaN for classes in neither the truth nor the labels certified at the smallest radius, so
        that the set of classes is the same along the curve, which therefore never rises.
        """
        bound = iou_bound(
            self.correct,
            self.labelled,
            self.claimed - self.correct,
            self.labelled - self.certified,
            np.array([[self.allowed], [0]]),
        )
        present = self.labelled + self.claimed[0] > 0
        return np.where(present, np.nan_to_num(bound, nan=0.0), np.nan)

    @property
    def certified_miou(self) -> NDArray[np.float64]:
        """Mean of ``certified_iou`` over its classes at each radius, (G,)."""
        if not self.labelled.any():
            return np.full(len(self.radii), np.nan)
        return np.asarray(np.nanmean(self.certified_iou, axis=1))

    def _of_labelled(self, part: NDArray[np.int64]) -> NDArray[np.float64]:
        total = int(self.labelled.sum())
        return part / total if total else np.full(len(part), np.nan)


def radius_grid(largest: float, points: int = 51) -> NDArray[np.float64]:
    """Evenly spaced radii from 0 to largest inclusive, to be fixed before any image is counted.

    Raises InputError unless largest is finite and > 0, and points >= 2.
    """
    if not 0 < largest < np.inf or points < 2:
        raise InputError(
            f"expected a largest radius > 0 and at least 2 points, got {largest!r} and {points!r}; "
            "pass for instance 3 * sigma"
        )
    return np.linspace(0.0, largest, points)


def _by_radius(
    reached: NDArray[np.intp], classes: NDArray[np.int64], points: int, num_classes: int
) -> NDArray[np.int64]:
    """Components of each class certified at each grid radius, int64 (G, C)."""
    cells = np.bincount(reached * num_classes + classes, minlength=(points + 1) * num_classes)
    by_reach = cells.reshape(points + 1, num_classes).astype(np.int64)
    return np.cumsum(by_reach[:0:-1], axis=0)[::-1]


def _checked_grid(grid: ArrayLike) -> NDArray[np.float64]:
    radii = np.asarray(grid, dtype=np.float64)
    rising = radii.ndim == 1 and radii.size > 0 and bool(np.all(np.diff(radii) > 0))
    if not rising or not (radii[0] >= 0 and np.isfinite(radii).all()):
        raise InputError(
            f"expected a grid of radii (G,), rising from 0 or above, got {grid!r}; "
            "make one with radius_grid(largest)"
        )
    return radii


def _checked_radius(radius: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    held = np.asarray(radius, dtype=np.float64)
    if held.shape not in ((), shape):
        raise InputError(
            f"expected one radius, or radii of shape {shape}, got shape {held.shape}; "
            "pass the radius map of the same image"
        )
    return np.broadcast_to(held, shape)


def _described(radii: NDArray[np.float64]) -> str:
    return f"{len(radii)} from {radii[0]:g} to {radii[-1]:g}"
