"""Number of labelled components of each class of a data set, and what follows for its figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, KINDS, Card
from certiseg.errors import InputError

_NAMED = 5


class LabelCounts:
    """Counts of the labels of a data set. card: of the data set.

    Example:
        >>> counts = LabelCounts(Card("d", ("a", "b"), ((0, 0, 0), (9, 9, 9)), 3, "ours", "CC0"))
        >>> counts.add(np.array([[0, 0, 255]], dtype=np.uint8))
        >>> counts.without_truth
        ('b',)
    """

    def __init__(self, card: Card) -> None:
        self._card, self._inputs = card, 0
        self._counts = np.zeros(IGNORE + 1, dtype=np.int64)

    def add(self, labels: NDArray[np.uint8]) -> None:
        """Add the labels of one input."""
        self._counts += np.bincount(labels.ravel(), minlength=len(self._counts))
        self._inputs += 1

    @property
    def of_classes(self) -> NDArray[np.int64]:
        """Labelled components of each class, ints (C,)."""
        return self._counts[: self._card.num_classes]

    @property
    def without_truth(self) -> tuple[str, ...]:
        """Names of the classes without a labelled component."""
        return tuple(self._card.classes[c] for c in np.flatnonzero(self.of_classes == 0))

    def _remedy(self) -> str:
        if self._card.kind == "volumes":
            return f"write the label volumes with 1 in place of {IGNORE}"
        return (
            f"map the label {IGNORE} to a class (--mask binary, or label_map in a .yaml file; in "
            "Python pass labels > 0)"
        )

    def check(self) -> None:
        """Raise InputError if all labels are ignored."""
        if not self.of_classes.any():
            raise InputError(
                f"expected labels of {self._card.name} that belong to a class, got ignored ones "
                f"only in {self._words()}; {self._remedy()}, or take back --ignore-index"
            )

    def notes(self) -> list[str]:
        """Limits of figures on this data set, a line each."""
        absent, notes = self.without_truth, []
        # For clouds with parts, figures are means over shapes, over the classes of their category.
        if absent and self._card.parts is None:
            part = KINDS[self._card.kind][1]
            named = ", ".join(absent[:_NAMED]) + (", ..." if len(absent) > _NAMED else "")
            notes.append(
                f"no {part} in {self._words()} of {self._card.name} is labelled as {named} "
                f"({len(absent)} of {self._card.num_classes} classes): the figures say nothing of "
                "how well these are found, and mIoU counts them as 0 where they are predicted"
            )
        if self._counts[0] and self._counts[IGNORE] and not self.of_classes[1:].any():
            notes.append(
                f"all labels of {self._card.name} are 0 or ignored ({IGNORE}); if {IGNORE} is the "
                f"foreground of binary masks, {self._remedy()}"
            )
        return notes

    def _words(self) -> str:
        return f"{self._inputs} sample{'' if self._inputs == 1 else 's'}"
