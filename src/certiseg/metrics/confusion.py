"""Confusion counts with a column for abstentions, pooled over a data set by addition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.errors import InputError
from certiseg.votes import ABSTAIN

Allowed = int | Callable[[NDArray[np.bool_]], int]
"""Number of labels that may be false: anywhere, or by region, a mask in the shape of the truth."""


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of (truth, prediction) over labelled components, pooled by addition.

    For certified masks, ``certified_accuracy``, ``certified_iou`` and ``certified_miou`` (for the
    mean over its classes) are lower bounds for the smoothed model under all perturbations within
    the radii, if all pooled certificates hold (theory T9). With n images at alpha each, they all
    hold with probability >= 1 - n alpha. ``accuracy``, ``iou`` and ``miou`` carry no guarantee.

    Attributes:
        counts: int64 (C, C + 1), by true and predicted class; the last column is abstention.
        unlabelled: components without truth.
        unlabelled_abstained: unlabelled components that abstain, for ``abstention_all``.
        allowed: number of correct certificates that the guarantees allow to be false, summed over
            the images (theory T5, T16).
        allowed_by_class: ints (2, C), likewise: certificates that the true positives of each class
            may lose, and false ones that may then join its union.

    Example:
        >>> import certiseg as cs
        >>> counts = cs.Confusion.count([0, 1, 1], [0, 1, cs.ABSTAIN], 2)
        >>> (counts + counts).accuracy == 2 / 3
        True

    Reference:
        Theory T9.
    """

    counts: NDArray[np.int64]
    unlabelled: int
    unlabelled_abstained: int
    allowed: int
    allowed_by_class: NDArray[np.int64]

    @staticmethod
    def count(
        truth: ArrayLike,
        prediction: ArrayLike,
        num_classes: int,
        ignore_index: int = 255,
        *,
        allowed: Allowed = 0,
    ) -> Confusion:
        """Count one image.

        Args:
            truth: labels, ints.
            prediction: ints of the same shape; may hold ABSTAIN.
            num_classes: C.
            ignore_index: label of components without truth.
            allowed: number of certificates that may be false: k - 1 of a budget k, on an output
                grid times the pixels of a cell (``certificates.grid.cell_pixels``), since a false
                cell is false in all of them; or a function that returns it for a region, bool in
                the shape of truth, for all regions simultaneously (theory T16).

        Returns:
            The counts of this image, to be added to those of others.

        Raises:
            InputError: for different shapes, labels outside the classes or allowed < 0.

        Example:
            >>> counts = Confusion.count([0, 1, 1, 255], [0, 1, -1, 0], 2)
            >>> round(counts.certified_accuracy, 3), round(counts.certified_miou, 3)
            (0.667, 0.5)
        """
        rows, columns, rest = labelled_pairs(truth, prediction, num_classes, ignore_index)
        columns = np.where(columns == ABSTAIN, num_classes, columns)
        cells = np.bincount(
            rows * (num_classes + 1) + columns, minlength=num_classes * (num_classes + 1)
        )
        return Confusion(
            cells.reshape(num_classes, num_classes + 1).astype(np.int64),
            rest.size,
            int(np.count_nonzero(rest == ABSTAIN)),
            *_allowed(allowed, truth, prediction, num_classes, ignore_index),
        )

    def __add__(self, other: Confusion) -> Confusion:
        if not isinstance(other, Confusion):
            return NotImplemented
        if self.counts.shape != other.counts.shape:
            raise InputError(
                f"expected confusion counts of {self.counts.shape[0]} classes, got "
                f"{other.counts.shape[0]}; add only figures of the same classes"
            )
        return Confusion(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def labelled(self) -> int:
        return int(self.counts.sum())

    @property
    def _correct(self) -> NDArray[np.int64]:
        return np.diagonal(self.counts)

    @property
    def accuracy(self) -> float:
        """Correct / labelled; an abstention is not correct. NaN without labelled components.

        On a certified mask without false certificates allowed it equals ``certified_accuracy``.
        """
        return float(self._correct.sum()) / self.labelled if self.labelled else float("nan")

    @property
    def class_accuracy(self) -> NDArray[np.float64]:
        """Correct / labelled of each true class, float64 (C,); NaN for a class without truth."""
        return self._of_truth(self._correct)

    @property
    def certified_class_accuracy(self) -> NDArray[np.float64]:
        """Lower bound on ``class_accuracy`` under attack, as ``certified_accuracy`` (theory T9)."""
        return self._of_truth(np.maximum(self._correct - self.allowed_by_class[0], 0))

    def _of_truth(self, part: NDArray[np.int64]) -> NDArray[np.float64]:
        rows = self.counts.sum(axis=1)
        return np.where(rows > 0, part / np.maximum(rows, 1), np.nan)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union per class as the paper counts it; NaN for an absent class.

        Abstention is a label of its own: abstained components stay in the union of their true
        class and of no other. For comparison with the paper only: on a certified mask it is *no*
        bound under attack, since an abstained component may become any class (theory T9).
        """
        union = self.counts.sum(axis=1) + self.counts[:, :-1].sum(axis=0) - self._correct
        return np.where(union > 0, self._correct / np.maximum(union, 1), np.nan)

    @property
    def miou(self) -> float:
        """Mean of ``iou`` over the classes present in truth or prediction, the paper's mIoU."""
        return float(np.nanmean(self.iou)) if self.labelled else float("nan")

    @property
    def certified_accuracy(self) -> float:
        """Lower bound on the accuracy under attack; NaN without labelled components (theory T9).

        (correct - allowed)+ / labelled: an abstained component may get any label, and so may as
        many certified ones as the statements allow. For one image no larger number is a bound.
        """
        kept = max(int(self._correct.sum()) - self.allowed, 0)
        return kept / self.labelled if self.labelled else float("nan")

    @property
    def certified_iou(self) -> NDArray[np.float64]:
        """Lower bound on each class's IoU under attack, float64 (C,) (theory T9).

            (TP_c - allowed)+ / (GT_c + false certificates of c + abstained, truth not c)

        An abstained component stays in the union of its true class and may join that of any other;
        left out of it, the figure would be no bound. A false certificate leaves TP_c or joins the
        union, never both, and leaving costs more: those that exceed what TP_c may lose join the
        union. Under a budget no larger number is a bound for one image. NaN just where ``iou`` is:
        for classes in neither truth nor prediction; 0 for those in the prediction only.
        """
        return iou_bound(*self._by_class)

    @property
    def _by_class(self) -> tuple[NDArray[np.int64], ...]:
        """Arguments of the bounds."""
        false = self.counts[:, :-1].sum(axis=0) - self._correct
        of_truth, abstained = self.counts.sum(axis=1), self.counts[:, -1]
        return self._correct, of_truth, false, abstained, self.allowed_by_class

    @property
    def certified_miou(self) -> float:
        """Lower bound on the mean IoU under attack: the mean of ``certified_iou`` (theory T9).

        The mean is over the classes of ``miou``, those present in truth or prediction, so it is
        never above ``miou``. They are fixed before the attack, which may bring in others. It also
        bounds the mean over the classes of the truth, from further below. NaN without labelled
        components.
        """
        return float(np.nanmean(self.certified_iou)) if self.labelled else float("nan")

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice coefficient of each class, 2 TP / (GT + predicted) as ``iou`` counts them: of pooled
        counts, not a mean over inputs. NaN for an absent class."""
        union = self.counts.sum(axis=1) + self.counts[:, :-1].sum(axis=0) - self._correct
        return np.where(union > 0, 2 * self._correct / np.maximum(union + self._correct, 1), np.nan)

    @property
    def mean_dice(self) -> float:
        """Mean of ``dice`` over the classes present in truth or prediction."""
        return float(np.nanmean(self.dice)) if self.labelled else float("nan")

    @property
    def certified_dice(self) -> NDArray[np.float64]:
        """Lower bound on each class's Dice coefficient under attack, float64 (C,) (theory T9).

        2 I / (I + U) with the numerator I and the denominator U of ``certified_iou``. For one input
        no larger number is a bound. NaN just where ``iou`` is.
        """
        correct, union = bound_counts(*self._by_class)
        dice = 2 * correct / np.maximum(correct + union, 1)
        return np.where(np.isnan(self.certified_iou), np.nan, dice)

    @property
    def certified_mean_dice(self) -> float:
        """Lower bound on the mean Dice coefficient under attack: the mean of ``certified_dice``,
        over the classes of ``mean_dice`` (theory T9)."""
        return float(np.nanmean(self.certified_dice)) if self.labelled else float("nan")

    @property
    def abstention(self) -> float:
        """Share of the labelled components that abstain."""
        abstained = float(self.counts[:, -1].sum())
        return abstained / self.labelled if self.labelled else float("nan")

    @property
    def abstention_all(self) -> float:
        """Share of all components, labelled or not, that abstain."""
        total = self.labelled + self.unlabelled
        abstained = int(self.counts[:, -1].sum()) + self.unlabelled_abstained
        return abstained / total if total else float("nan")


def bound_counts(
    correct: NDArray[np.int64],
    of_truth: NDArray[np.int64],
    false: NDArray[np.int64],
    abstained: NDArray[np.int64],
    allowed: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Least intersection and largest union of each class under attack, ints (..., C) (theory T9).

    correct, of_truth: TP_c and GT_c; false: certified as c, truth another; abstained: by truth.
    allowed: as ``Confusion.allowed_by_class``.
    """
    others = abstained.sum(axis=-1, keepdims=True) - abstained
    return np.maximum(correct - allowed[0], 0), of_truth + false + others + allowed[1]


def iou_bound(
    correct: NDArray[np.int64],
    of_truth: NDArray[np.int64],
    false: NDArray[np.int64],
    abstained: NDArray[np.int64],
    allowed: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The bound of ``Confusion.certified_iou`` from counts as ``bound_counts`` takes them.

    Returns float64 (..., C), NaN for classes with neither truth nor certificate.
    """
    least, union = bound_counts(correct, of_truth, false, abstained, allowed)
    return np.where(of_truth + false > 0, least / np.maximum(union, 1), np.nan)


def _allowed(
    allowed: Allowed,
    truth: ArrayLike,
    prediction: ArrayLike,
    num_classes: int,
    ignore_index: int,
) -> tuple[int, NDArray[np.int64]]:
    """``Confusion.allowed`` and ``Confusion.allowed_by_class`` of one image."""
    by_class = np.zeros((2, num_classes), dtype=np.int64)
    if not callable(allowed):
        by_class[0] = checked_allowed(allowed)
        return int(by_class[0, 0]), by_class
    true, given = np.asarray(truth), np.asarray(prediction)
    correct = (true == given) & (true != ignore_index)
    labelled = (given != ABSTAIN) & (true != ignore_index)
    # Of a class that is in neither truth nor prediction, every certificate may join the union.
    by_class[1] = checked_allowed(allowed(labelled))
    for label in np.unique(np.stack([true[labelled], given[labelled]])):
        positive = correct & (true == label)
        other = labelled & (true != label) & (given != label)
        lost = checked_allowed(allowed(positive))
        by_class[:, label] = lost, checked_allowed(allowed(positive | other)) - lost
    return checked_allowed(allowed(correct)), by_class


def labelled_pairs(
    truth: ArrayLike, prediction: ArrayLike, num_classes: int, ignore_index: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.integer]]:
    """True and predicted labels (both (L,)) of the labelled components, and the rest's prediction.

    Raises InputError for different shapes or labels outside the classes.
    """
    true, given = np.asarray(truth), np.asarray(prediction)
    if true.shape != given.shape:
        raise InputError(
            f"expected a prediction of shape {true.shape}, got {given.shape}; "
            "truth and prediction must be of the same image"
        )
    labelled = true != ignore_index
    rows, columns = true[labelled].astype(np.int64), given[labelled].astype(np.int64)
    for name, values, lowest in (("truth", rows, 0), ("prediction", columns, ABSTAIN)):
        if values.size and (values.min() < lowest or values.max() >= num_classes):
            raise InputError(
                f"expected labels of the {name} in [{lowest}, {num_classes - 1}], got "
                f"[{values.min()}, {values.max()}]; map the label ids to the classes first"
            )
    return rows, columns, given[~labelled]


def checked_allowed(allowed: int) -> int:
    """allowed as a Python int; InputError unless it is a whole number of at least 0."""
    whole = isinstance(allowed, (int, np.integer)) and not isinstance(allowed, bool)
    if not whole or allowed < 0:
        raise InputError(
            f"expected a whole number of false certificates >= 0, got {allowed!r}; "
            "pass budget - 1, on an output grid times the pixels of a cell"
        )
    return int(allowed)
