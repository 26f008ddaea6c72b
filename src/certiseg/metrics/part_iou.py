"""Mean IoU over shapes and over categories, as the ShapeNet part benchmark defines them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.errors import InputError
from certiseg.metrics.confusion import Confusion, checked_allowed, iou_bound
from certiseg.votes import ABSTAIN


class ShapeIou(NamedTuple):
    """Mean IoU of one shape over its category's parts, and its lower bound under attack."""

    miou: float
    certified_miou: float


class CategoryIou(NamedTuple):
    """Number of shapes in a category, and means over them."""

    shapes: int
    miou: float
    certified_miou: float


@dataclass(frozen=True)
class PartIou:
    """Mean IoU of each shape by category, pooled by addition.

    A shape's mean IoU is over all parts of its category, where a part that is absent from truth
    and prediction counts 1. ``instance_miou`` is the mean over shapes, ``category_miou`` the mean
    over the categories present of their means over shapes (Yi et al. 2016; Qi et al. 2017). Both
    treat abstention as a further label and carry no guarantee.

    ``certified_instance_miou`` and ``certified_category_miou`` are lower bounds for the smoothed
    model under all perturbations within the radii, one per shape, if all shapes' certificates hold
    (theory T9). With n shapes at alpha each, they all hold with probability >= 1 - n alpha.

    Attributes:
        shapes: mean IoU and its bound for every shape, by category.

    Example:
        >>> import numpy as np
        >>> PartIou.count(np.array([0, 1]), np.array([0, 1]), (0, 1), "Chair").instance_miou
        1.0

    Reference:
        Yi et al. 2016; Qi et al. 2017; theory T9.
    """

    shapes: Mapping[str, tuple[ShapeIou, ...]]

    @staticmethod
    def count(
        truth: ArrayLike,
        prediction: ArrayLike,
        parts: Sequence[int],
        category: str,
        *,
        allowed: int = 0,
    ) -> PartIou:
        """Count one shape. truth, prediction, parts, allowed: as in ``part_iou_bounds``."""
        shape = ShapeIou(
            float(part_ious(truth, prediction, parts).mean()),
            float(part_iou_bounds(truth, prediction, parts, allowed=allowed).mean()),
        )
        return PartIou({category: (shape,)})

    @staticmethod
    def of(counts: Confusion, parts: Sequence[int], category: str) -> PartIou:
        """Count one shape from its confusion counts, with the same result as ``count``.

        Raises InputError if the true label of a point is not among the parts.
        """
        labels = np.asarray(parts)
        found = counts.counts[labels]
        if int(found.sum()) != counts.labelled or counts.unlabelled:
            raise InputError(
                f"expected a truth among {labels.tolist()}, the parts of {category}, got others; "
                "truth and parts must be of the same category"
            )
        correct = np.diagonal(counts.counts)[labels]
        false = found[:, labels].sum(axis=0) - correct
        by_part = correct, found.sum(axis=1), false
        bounds = _bounds(*by_part, found[:, -1], counts.allowed_by_class[:, labels])
        return PartIou({category: (ShapeIou(float(_ious(*by_part).mean()), float(bounds.mean())),)})

    def __add__(self, other: PartIou) -> PartIou:
        if not isinstance(other, PartIou):
            return NotImplemented
        names = dict.fromkeys((*self.shapes, *other.shapes))
        return PartIou(
            {name: self.shapes.get(name, ()) + other.shapes.get(name, ()) for name in names}
        )

    @property
    def by_category(self) -> dict[str, CategoryIou]:
        """Means of the categories present, in alphabetical order."""
        return {
            name: CategoryIou(
                len(shapes),
                _mean(shape.miou for shape in shapes),
                _mean(shape.certified_miou for shape in shapes),
            )
            for name, shapes in sorted(self.shapes.items())
        }

    @property
    def instance_miou(self) -> float:
        """Mean over all shapes; NaN if there are none."""
        return _mean(shape.miou for shapes in self.shapes.values() for shape in shapes)

    @property
    def category_miou(self) -> float:
        """Mean over the categories present of the mean over their shapes; NaN if there are none."""
        return _mean(figures.miou for figures in self.by_category.values())

    @property
    def certified_instance_miou(self) -> float:
        """Lower bound on ``instance_miou`` of the smoothed model under attack (theory T9)."""
        return _mean(shape.certified_miou for shapes in self.shapes.values() for shape in shapes)

    @property
    def certified_category_miou(self) -> float:
        """Lower bound on ``category_miou`` of the smoothed model under attack (theory T9)."""
        return _mean(figures.certified_miou for figures in self.by_category.values())


def part_ious(truth: ArrayLike, prediction: ArrayLike, parts: Sequence[int]) -> NDArray[np.float64]:
    """IoU of each part in one shape, float64 (len(parts),), as the benchmark defines it.

    1 for a part absent from truth and prediction. An abstention counts in the union of its true
    part only. Arguments and errors as in ``part_iou_bounds``.
    """
    return _ious(*_counts(truth, prediction, parts)[:3])


def part_iou_bounds(
    truth: ArrayLike, prediction: ArrayLike, parts: Sequence[int], *, allowed: int = 0
) -> NDArray[np.float64]:
    """Lower bound on each part's IoU in one shape under attack, float64 (len(parts),) (theory T9).

    For a part of the truth, as in ``Confusion.certified_iou``,

        (TP - allowed)+ / (GT + false certificates of it + abstained, truth another part).

    For a part absent from the truth, 1 if no point can get its label (none is certified as it, none
    abstains and allowed is 0), else 0. The bound for a single part is tight, whether or not the
    base model is restricted to the category's parts. The mean bounds the shape's mean IoU.

    truth: ints (N,) among parts, the category's labels. prediction: ints (N,); ABSTAIN and labels
    of other categories may occur. allowed: k - 1 of the certificate's budget k (theory T5).
    Raises InputError for mismatched shapes, no points, a truth outside parts, or allowed < 0.
    """
    budget = np.zeros((2, len(parts)), dtype=np.int64)
    budget[0] = checked_allowed(allowed)
    return _bounds(*_counts(truth, prediction, parts), budget)


def _ious(
    correct: NDArray[np.int64], of_truth: NDArray[np.int64], false: NDArray[np.int64]
) -> NDArray[np.float64]:
    return np.where(of_truth + false > 0, correct / np.maximum(of_truth + false, 1), 1.0)


def _bounds(
    correct: NDArray[np.int64],
    of_truth: NDArray[np.int64],
    false: NDArray[np.int64],
    abstained: NDArray[np.int64],
    allowed: NDArray[np.int64],
) -> NDArray[np.float64]:
    untouched = false + allowed.sum(axis=0) + abstained.sum() == 0
    bound = iou_bound(correct, of_truth, false, abstained, allowed)
    return np.where(of_truth > 0, bound, untouched)


def _counts(
    truth: ArrayLike, prediction: ArrayLike, parts: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Counts by part: TP, GT, FP (predicted, truth another part), abstained by true part."""
    true, given, labels = np.asarray(truth), np.asarray(prediction), np.asarray(parts)
    if true.ndim != 1 or true.shape != given.shape or true.size == 0:
        raise InputError(
            f"expected truth and prediction (N,) of one cloud, got shapes {true.shape} and "
            f"{given.shape}; pass the labels of its points"
        )
    if labels.ndim != 1 or labels.size == 0 or len(np.unique(labels)) < labels.size:
        raise InputError(
            f"expected the labels of one category's parts, got {parts!r}; pass card.parts[category]"
        )
    for name, values in (("truth", true), ("prediction", given)):
        if values.dtype.kind not in "iu":
            raise InputError(f"expected a {name} of integers, got {values.dtype}; pass labels")
    strange = true[~np.isin(true, labels)]
    if strange.size:
        raise InputError(
            f"expected labels of the truth among {labels.tolist()}, got {strange[0]}; "
            "truth and parts must be of the same category"
        )
    of = true == labels[:, None]
    as_part = given == labels[:, None]
    correct, of_truth = (of & as_part).sum(axis=1), of.sum(axis=1)
    return correct, of_truth, as_part.sum(axis=1) - correct, (of & (given == ABSTAIN)).sum(axis=1)


def _mean(values: Iterable[float]) -> float:
    """Mean with a single rounding, so that order does not matter; NaN if there are no values."""
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else math.nan
