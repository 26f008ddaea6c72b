"""Confusion counts with a column for abstentions, pooled over a data set by addition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.errors import InputError
from certiseg.votes import ABSTAIN


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of (truth, prediction) over labelled components.

    counts: int64 (C, C + 1); row = true class, column = predicted class, last column = abstained.
    unlabelled, unlabelled_abstained: components without a true label, and those of them that
    abstain; they enter ``abstention_all`` only.
    """

    counts: NDArray[np.int64]
    unlabelled: int = 0
    unlabelled_abstained: int = 0

    @staticmethod
    def count(
        truth: ArrayLike, prediction: ArrayLike, num_classes: int, ignore_index: int = 255
    ) -> Confusion:
        """Count one image. truth, prediction: ints of one shape; prediction may hold ABSTAIN.

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
        columns = np.where(columns == ABSTAIN, num_classes, columns)
        cells = np.bincount(
            rows * (num_classes + 1) + columns, minlength=num_classes * (num_classes + 1)
        )
        return Confusion(
            cells.reshape(num_classes, num_classes + 1).astype(np.int64),
            int(np.count_nonzero(~labelled)),
            int(np.count_nonzero(given[~labelled] == ABSTAIN)),
        )

    def __add__(self, other: Confusion) -> Confusion:
        if not isinstance(other, Confusion):
            return NotImplemented
        if self.counts.shape != other.counts.shape:
            raise InputError(
                f"expected confusion counts of {self.counts.shape[0]} classes, got "
                f"{other.counts.shape[0]}; add only figures of the same classes"
            )
        return Confusion(
            self.counts + other.counts,
            self.unlabelled + other.unlabelled,
            self.unlabelled_abstained + other.unlabelled_abstained,
        )

    @property
    def labelled(self) -> int:
        return int(self.counts.sum())

    @property
    def _correct(self) -> NDArray[np.int64]:
        return np.diagonal(self.counts)

    @property
    def accuracy(self) -> float:
        """Correct / labelled; an abstention is not correct. NaN without labelled components.

        On a certified mask this is the certified accuracy: a lower bound on the smoothed model's
        accuracy under every perturbation inside the radius (theory T9).
        """
        return float(self._correct.sum()) / self.labelled if self.labelled else float("nan")

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
