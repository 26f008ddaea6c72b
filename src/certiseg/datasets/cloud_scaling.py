"""Scaling a cloud to unit size, and resampling it to a number of points."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError

Array = NDArray[np.float64]


def centre_and_reach(places: Array) -> tuple[Array, float]:
    """Mean (3, 1) of the points (3, N), and the largest distance from it."""
    centre = places.mean(axis=1, keepdims=True)
    return centre, float(np.linalg.norm(places - centre, axis=0).max())


def normalised(places: Array) -> Array:
    """The points (3, N) with mean 0 and largest norm 1, as in the benchmark."""
    centre, reach = centre_and_reach(places)
    return (places - centre) / reach


def resampled(available: int, points: int, name: str, seed: int = 0) -> NDArray[np.int64]:
    """Indices of the points taken, in an order drawn from (seed, name) alone: distinct if there are

    enough points, else each point equally often, up to a drawn remainder.
    """
    if points < 1:
        raise InputError(f"expected points of at least 1, got {points}; raise it")
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    rounds = [rng.permutation(available) for _ in range(-(-points // available))]
    return np.concatenate(rounds)[:points]
