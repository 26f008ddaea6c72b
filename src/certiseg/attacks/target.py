"""Label maps for targeted attacks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from certiseg.errors import InputError


def without(labels: ArrayLike, label: int, points: ArrayLike | None = None) -> NDArray[np.int64]:
    """The label map without one class, otherwise unchanged.

    Each of its components takes the label of the nearest component of another class.
    points: coordinates (3, N) of the components of a point cloud; None: those of the map.
    Raises InputError if the class is nowhere, or everywhere.
    Source: Metzen et al. 2017, Universal adversarial perturbations against semantic segmentation.

    Example:
        >>> without([[1, 1, 7, 7, 2]], 7).tolist()
        [[1, 1, 1, 2, 2]]
    """
    given = np.asarray(labels).astype(np.int64)
    gone = given == label
    if gone.all() or not gone.any():
        raise InputError(
            f"expected label {label} on a part of the input, got it "
            f"{'everywhere' if gone.all() else 'nowhere'}; choose another class to vanish"
        )
    found: NDArray[np.int64]
    if points is not None:
        places = np.asarray(points).T
        others = given[~gone]
        found = given.copy()
        found[gone] = others[cKDTree(places[~gone]).query(places[gone])[1]]
        return found
    nearest = distance_transform_edt(gone, return_distances=False, return_indices=True)
    found = given[tuple(nearest)]
    return found
