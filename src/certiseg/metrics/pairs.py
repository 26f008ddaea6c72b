"""Truth and prediction of one image, checked and cut to the labelled components."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.errors import InputError
from certiseg.votes import ABSTAIN


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
