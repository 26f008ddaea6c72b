"""Scalars of one noisy pass, whose medians percentile smoothing bounds (theory T10).

Each function maps label maps of B draws of the base model, ints (B, *out), to float64 (B,) in
[0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.errors import InputError


def accuracy(labels: ArrayLike, truth: ArrayLike, ignore_index: int = 255) -> NDArray[np.float64]:
    """Accuracy of each label map over the labelled components.

    truth: ints (*out). Raises InputError for mismatched shapes or a truth without labels.
    """
    given, true, labelled = _checked(labels, truth, ignore_index)
    right = np.count_nonzero(given[:, labelled] == true[labelled], axis=1)
    return np.asarray(right / np.count_nonzero(labelled))


def mean_iou(labels: ArrayLike, truth: ArrayLike, ignore_index: int = 255) -> NDArray[np.float64]:
    """Mean IoU of each label map, over the classes present in the truth.

    The classes are thus the same for every draw. A mean of it over images is not the pooled mIoU
    of ``Confusion``.
    truth: ints (*out). Raises InputError for mismatched shapes or a truth without labels.
    """
    given, true, labelled = _checked(labels, truth, ignore_index)
    of_truth = np.bincount(true[labelled])
    present = np.flatnonzero(of_truth)
    values = np.empty(len(given))
    for draw, row in enumerate(given):
        # Larger labels than any in the truth share one further bin.
        chosen = np.minimum(row[labelled], len(of_truth))
        predicted = np.bincount(chosen, minlength=len(of_truth) + 1)[present]
        hit = true[labelled][chosen == true[labelled]]
        correct = np.bincount(hit, minlength=len(of_truth))[present]
        values[draw] = np.mean(correct / (of_truth[present] + predicted - correct))
    return values


def class_area(labels: ArrayLike, label: int) -> NDArray[np.float64]:
    """Share of all components that have the class, in each label map.

    Raises InputError unless labels are label maps (B, *out).
    """
    given = _label_maps(labels)
    if not isinstance(label, (int, np.integer)):
        raise InputError(f"expected a class as a whole number, got {label!r}; pass its label")
    return np.asarray(np.count_nonzero(given == label, axis=1) / given.shape[1])


def _label_maps(labels: ArrayLike) -> NDArray[np.integer]:
    """Label maps flattened to (B, components)."""
    given = np.asarray(labels)
    if given.dtype.kind not in "iu" or given.ndim < 2 or given.size == 0 or given.min() < 0:
        raise InputError(
            f"expected label maps (B, *out) with labels >= 0, got {given.dtype} of shape "
            f"{given.shape}; a single draw abstains nowhere"
        )
    return given.reshape(len(given), -1)


def _checked(
    labels: ArrayLike, truth: ArrayLike, ignore_index: int
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.bool_]]:
    """Label maps (B, components), truth (components,), and mask of labelled components."""
    given, true = _label_maps(labels), np.asarray(truth)
    if np.shape(labels)[1:] != true.shape:
        raise InputError(
            f"expected label maps of shape (B, {', '.join(map(str, true.shape))}), got "
            f"{np.shape(labels)}; truth and draws must be of the same image"
        )
    labelled = (true != ignore_index).ravel()
    if not labelled.any():
        raise InputError(
            f"expected a truth with labelled components, got {ignore_index} everywhere; "
            "leave this image out"
        )
    lowest = true.ravel()[labelled].min()
    if lowest < 0:
        raise InputError(
            f"expected labels of the truth >= 0, got {lowest}; name the label of unlabelled "
            "components as ignore_index"
        )
    return given, true.ravel(), labelled
