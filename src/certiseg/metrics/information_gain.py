"""Certified information gain (CIG) of class nodes of a hierarchy (theory T8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.votes import ABSTAIN


@dataclass(frozen=True, eq=False)
class InformationGain:
    """Information gain of labelled components, summed by true class and pooled by addition.

    The gain of a component is ``(log C - log |leaves(v)|) / log C`` if its certified node v
    contains the true class, else 0: 1 for the correct class, less for a larger node, 0 for an
    abstention.

    Attributes:
        gain: float64 (C,), summed gains by true class.
        labelled: int64 (C,), labelled components by true class.

    Example:
        >>> import certiseg as cs
        >>> tree = cs.load_hierarchy("camvid")
        >>> cs.InformationGain.count([0, 1], [0, cs.ABSTAIN], tree).cig
        0.5

    Reference:
        Anani, Lorenz, Schiele, Fritz 2024 (CIG, and its mean over classes); theory T8.
    """

    gain: NDArray[np.float64]
    labelled: NDArray[np.int64]

    @staticmethod
    def count(
        truth: ArrayLike, labels: ArrayLike, hierarchy: Hierarchy, ignore_index: int = 255
    ) -> InformationGain:
        """Count one image.

        truth: classes. labels: node ids (classes first) or ABSTAIN; ints of the same shape.
        Raises InputError for different shapes, for classes or ids outside the hierarchy, and for a
        hierarchy of a single class, for which the gain is undefined.
        """
        true, given = np.asarray(truth), np.asarray(labels)
        if true.shape != given.shape:
            raise InputError(
                f"expected labels of shape {true.shape}, got {given.shape}; "
                "truth and labels must be of the same image"
            )
        classes, nodes = hierarchy.num_classes, hierarchy.num_nodes
        if classes < 2:
            raise InputError(
                f"expected a hierarchy of at least 2 classes, got {hierarchy.name} with {classes}; "
                "with one class there is nothing to learn"
            )
        known = true != ignore_index
        rows, columns = true[known].astype(np.int64), given[known].astype(np.int64)
        for name, values, lowest, most in (
            ("the truth", rows, 0, classes),
            ("a certificate", columns, ABSTAIN, nodes),
        ):
            if values.size and (values.min() < lowest or values.max() >= most):
                raise InputError(
                    f"expected labels of {name} in [{lowest}, {most - 1}] for {hierarchy.name}, "
                    f"got [{values.min()}, {values.max()}]; use the hierarchy of the certificate"
                )
        inside = hierarchy.leaves()
        share = 1.0 - np.log(inside.sum(axis=1)) / np.log(classes)
        # The last row is that of ABSTAIN = -1.
        gains = np.vstack([inside * share[:, None], np.zeros(classes)])
        cells = np.bincount(
            rows * (nodes + 1) + columns % (nodes + 1), minlength=classes * (nodes + 1)
        )
        table = cells.reshape(classes, nodes + 1)
        return InformationGain((table * gains.T).sum(axis=1), table.sum(axis=1).astype(np.int64))

    def __add__(self, other: InformationGain) -> InformationGain:
        if not isinstance(other, InformationGain):
            return NotImplemented
        if self.labelled.shape != other.labelled.shape:
            raise InputError(
                f"expected information gain over {len(self.labelled)} classes, got "
                f"{len(other.labelled)}; add only figures of the same classes"
            )
        return InformationGain(self.gain + other.gain, self.labelled + other.labelled)

    @property
    def cig(self) -> float:
        """Mean gain of the labelled components, in [0, 1]; NaN if there are none."""
        total = int(self.labelled.sum())
        return float(self.gain.sum()) / total if total else float("nan")

    @property
    def class_cig(self) -> float:
        """Mean over the classes present in the truth of their mean gain; NaN if there are none."""
        present = self.labelled > 0
        if not present.any():
            return float("nan")
        return float(np.mean(self.gain[present] / self.labelled[present]))
