"""The counts of one sample as plain JSON values: written by runs, recomputed by the report."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.grid import cell_pixels, cells_of, upsample_nearest
from certiseg.certificates.method import method_named
from certiseg.certificates.windows import Losses, tiling_of
from certiseg.datasets.card import IGNORE
from certiseg.metrics.confusion import Allowed, Confusion
from certiseg.metrics.curve import RadiusCurve, radius_grid
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.records import counts_record
from certiseg.noise import Noise
from certiseg.votes import ABSTAIN

_CURVE_POINTS = 301
BEYOND = (1.5, 2.0, 3.0, 4.0)
"""Norms, in units of the radius, for which ``right_beyond`` counts."""


def model_record(labels: NDArray[Any], truth: NDArray[Any], num_classes: int) -> dict[str, Any]:
    """Counts of a model without certificates. labels: on the model's output grid (theory T14)."""
    counts = Confusion.count(truth, at_size(labels, truth.shape), num_classes, IGNORE)
    return {"confusion": counts_record(counts)}


def certified_record(
    certificate: Certificate, truth: NDArray[Any], num_classes: int, *, read_at: float
) -> dict[str, Any]:
    """Counts of certified labels. read_at: radius at which a radius map is evaluated for the
    comparison; its curve has ``curve_radii``."""
    mapped = isinstance(certificate.radius, np.ndarray)
    held = certificate.at(read_at) if mapped else certificate.labels
    shown = at_size(held, truth.shape)
    # Inner nodes of a hierarchy count as abstentions here (T8).
    leaves = np.where(shown < num_classes, shown, ABSTAIN)
    allowed: Allowed = allowed_pixels(certificate.budget, certificate.labels.shape, truth.shape)
    if method_named(certificate.method).counts_regions:
        allowed = partial(pixels_in_doubt, certificate)
    counts = Confusion.count(truth, leaves, num_classes, IGNORE, allowed=allowed)
    gain, nodes, curve = None, None, None
    if certificate.hierarchy is not None:
        gain = counts_record(InformationGain.count(truth, shown, certificate.hierarchy, IGNORE))
        nodes = int(np.count_nonzero(shown[truth != IGNORE] != ABSTAIN))
    if isinstance(certificate.radius, np.ndarray):
        curve = counts_record(
            RadiusCurve.count(
                truth,
                at_size(certificate.labels, truth.shape),
                num_classes,
                radius=at_size(certificate.radius, truth.shape),
                grid=curve_radii(certificate.noise),
                ignore_index=IGNORE,
            )
        )
    first = certificate.selection_votes
    return {
        "confusion": counts_record(counts),
        "gain": gain,
        "nodes": nodes,
        "curve": curve,
        "beyond": right_beyond(certificate, truth, read_at),
        "draws": certificate.votes.trials + (0 if first is None else first.trials),
        "stopped": None if certificate.looks is None else certificate.looks.stopped,
    }


def right_beyond(certificate: Certificate, truth: NDArray[Any], radius: float) -> list[int] | None:
    """Lower bounds on the right labels under every perturbation of norm up to multiples of a radius
    (theory T17); None for a model without windows."""
    if tiling_of(certificate) is None:
        return None
    right = certificate.certified & (certificate.labels == truth) & (truth != IGNORE)
    lost, given = Losses(certificate, right), int(right.sum())
    return [given - lost(factor * radius) for factor in BEYOND]


def pixels_in_doubt(certificate: Certificate, region: NDArray[np.bool_]) -> int:
    """Number of certified labels in a region of the truth's shape that may be false, for all
    regions simultaneously (theory T16). A false cell is false in all its pixels (T14)."""
    grid, size = certificate.labels.shape, region.shape
    cells = region if grid == size else cells_of(region, grid)
    doubtful = int((certificate.certified & cells).sum()) - certificate.at_least(cells)
    pixels = 1 if grid == size else cell_pixels(grid, (size[0], size[1]))
    return min(doubtful * pixels, int(region.sum()))


def allowed_pixels(budget: int | None, grid: tuple[int, ...], size: tuple[int, ...]) -> int:
    """Number of pixels that can have a false certificate under a budget k (theory T5): k - 1 cells,
    each with all its pixels."""
    of_cell = 1 if grid == size or len(size) != 2 else cell_pixels(grid, (size[0], size[1]))
    return (0 if budget is None else budget - 1) * of_cell


def curve_radii(noise: Noise) -> NDArray[np.float64]:
    """Radii of a run's curve."""
    return radius_grid(min(3 * noise.sigma, noise.largest), _CURVE_POINTS)


def at_size(values: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """Values at full size (..., *size), upsampled if they are of grid cells (..., h, w) (T14)."""
    if values.shape[-len(size) :] == size:
        return values
    height, width = size
    return upsample_nearest(values, (height, width))


def number(value: float) -> float | None:
    """The float, or None for NaN, which JSON lacks."""
    return None if np.isnan(value) else float(value)
