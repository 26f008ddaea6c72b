"""Window-based models: the part of the input that each label depends on, and the bound on labels
lost to larger perturbations that follows (theory T17)."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError

if TYPE_CHECKING:
    from certiseg.certificates.certificate import Certificate
    from certiseg.votes import VoteCounts

# Relative margin for the rounding of the sums in ``_program``.
_OUTWARD = 1e-12
_MOST_PAIRS = 500_000
"""Pairs of a window and an atom in it, beyond which the linear program is not solved."""


@dataclass(frozen=True)
class Span:
    """One window along one axis: it labels ``core`` and depends on ``seen``."""

    core: slice
    seen: slice


class WindowLayout(ABC):
    """The windows of a model for inputs of any shape, by axis."""

    @abstractmethod
    def axis(self, axis: int, length: int) -> list[Span]:
        """The windows along one axis of this length, in order; their cores tile it."""

    @abstractmethod
    def described(self) -> str:
        """A description for statements."""

    def spans(self, shape: Sequence[int]) -> list[tuple[Span, ...]]:
        """The windows of an input of this shape (without channels), with a span for each axis."""
        return list(product(*(self.axis(axis, length) for axis, length in enumerate(shape))))


@dataclass(frozen=True)
class Tiling(WindowLayout):
    """A tiling of images or volumes into cores, each labelled from its window.

    Args:
        size: largest side of a core along each axis, at least 1. Each axis is split evenly into as
            few cores as possible.
        margin: width of the window beyond its core on each side, cut at the border of the input;
            at least 0.

    Example:
        >>> [(s.core.start, s.core.stop, s.seen.start, s.seen.stop)
        ...  for s in Tiling((4,), 1).axis(0, 10)]
        [(0, 3, 0, 4), (3, 6, 2, 7), (6, 10, 5, 10)]
    """

    size: tuple[int, ...]
    margin: int

    def axis(self, axis: int, length: int) -> list[Span]:
        """See ``WindowLayout.axis``."""
        count = -(-length // self.size[axis])
        borders = [i * length // count for i in range(count + 1)]
        return [
            Span(
                slice(start, stop),
                slice(max(start - self.margin, 0), min(stop + self.margin, length)),
            )
            for start, stop in pairwise(borders)
        ]

    def described(self) -> str:
        sides = " x ".join(map(str, self.size))
        return f"cores of at most {sides}, margin {self.margin}; T17"


@dataclass(frozen=True)
class Sliding(WindowLayout):
    """Windows that overlap and whose outputs are blended, as MONAI lays them.

    A label depends on all windows that hold it. Neighbours that the same windows hold form a core,
    and what it depends on is their union, a box.

    Args:
        size: side of a window along each axis, at least 1. An axis that is not longer has one.
        step: from one window to the next; the last one is moved back to end with the axis.

    Example:
        >>> [(s.core.start, s.core.stop, s.seen.start, s.seen.stop)
        ...  for s in Sliding((4,), (3,)).axis(0, 9)]
        [(0, 3, 0, 4), (3, 4, 0, 7), (4, 5, 3, 7), (5, 7, 3, 9), (7, 9, 5, 9)]
    """

    size: tuple[int, ...]
    step: tuple[int, ...]

    def axis(self, axis: int, length: int) -> list[Span]:
        """See ``WindowLayout.axis``."""
        size, step = self.size[axis], self.step[axis]
        last = max(length - size, 0)
        starts = [min(start, last) for start in range(0, last + step, step)]
        borders = sorted({0, length, *starts, *(min(start + size, length) for start in starts)})
        spans = []
        for start, stop in pairwise(borders):
            over = [s for s in starts if s <= start < s + size]
            spans.append(Span(slice(start, stop), slice(over[0], min(over[-1] + size, length))))
        return spans

    def described(self) -> str:
        sides, steps = (" x ".join(map(str, sizes)) for sizes in (self.size, self.step))
        return f"all windows of {sides} that hold it, laid at steps of {steps}; T17"


def layout_of(record: Sequence[int], axes: int) -> WindowLayout:
    """The layout that ``Source.windows`` records for inputs with this number of axes."""
    if len(record) == 2 * axes:
        return Sliding(tuple(record[:axes]), tuple(record[axes:]))
    *size, margin = record
    return Tiling(tuple(size), margin)


def tiling_of(certificate: Certificate) -> WindowLayout | None:
    """The windows that the votes record, or None."""
    source = certificate.votes.source
    if source is None or source.windows is None:
        return None
    if certificate.labels.shape != source.input_shape[1:]:
        return None
    if certificate.votes.counts.shape[:-1] != certificate.labels.shape:
        # JointClass counts whole label maps, which depend on the whole input.
        return None
    return layout_of(source.windows, len(source.input_shape) - 1)


def numbered(axes: Sequence[Sequence[Span]]) -> NDArray[np.int64]:
    """Number of the window whose core holds each component, in the order of
    ``WindowLayout.spans``. axes: spans along each axis."""
    numbers = np.zeros((), dtype=np.int64)
    for spans in axes:
        along = np.repeat(np.arange(len(spans)), [s.core.stop - s.core.start for s in spans])
        numbers = numbers[..., None] * len(spans) + along
    return numbers


def draws_by_window(votes: VoteCounts) -> NDArray[np.int64] | None:
    """Draws (W,) of each window, if some were left out of later draws (theory T7); else None.

    Raises InputError if the components of a window do not have one number of draws.
    """
    source = votes.source
    if source is None or not source.left_out:
        return None
    assert source.windows is not None
    size = source.input_shape[1:]
    layout = layout_of(source.windows, len(size))
    axes = [layout.axis(axis, length) for axis, length in enumerate(size)]
    drawn = votes.drawn
    if not isinstance(layout, Tiling) or drawn.shape[-len(size) :] != size:
        raise InputError(
            f"expected cores of {size} that tile the components, got {layout.described()} of "
            f"{drawn.shape}; the record was changed"
        )
    window = np.broadcast_to(numbered(axes), drawn.shape)
    found = np.zeros(math.prod(map(len, axes)), dtype=np.int64)
    found[window] = drawn
    if not np.array_equal(found[window], drawn):
        raise InputError(
            "expected one number of draws in each window, got several; the record was changed"
        )
    return found


@dataclass(frozen=True, eq=False)
class Groups:
    """Certified labels by window and radius: one variable each of the linear program (theory T17).

    axes: spans along each axis; one over the whole input for a model without windows.
    radii: float64 (R,), increasing, of the certified labels.
    places: int64 in the shape of the labels, window * R + index of the radius; windows * R where no
    label is certified.
    local: whether the model labels by windows.
    """

    axes: list[list[Span]]
    radii: NDArray[np.float64]
    places: NDArray[np.int64]
    local: bool

    @staticmethod
    def of(certificate: Certificate) -> Groups:
        """The groups of a certificate, for all regions and norms."""
        certified, shape = certificate.certified, certificate.labels.shape
        layout = tiling_of(certificate)
        if layout is None:
            axes = [[Span(slice(0, length), slice(0, length))] for length in shape]
        else:
            axes = [layout.axis(axis, length) for axis, length in enumerate(shape)]
        radius = np.asarray(certificate.radius)
        radii = np.unique(radius[certified] if radius.ndim else radius)
        places = np.asarray(numbered(axes) * len(radii))
        if radius.ndim:
            places += np.searchsorted(radii, radius)
        places[~certified] = math.prod(map(len, axes)) * len(radii)
        return Groups(axes, radii, places, layout is not None)

    @cached_property
    def windows(self) -> int:
        """Number of windows."""
        return math.prod(map(len, self.axes))

    def counts(self, region: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Number of certified labels of a region in each window (rows) with each radius."""
        found = np.bincount(self.places[region], minlength=self.windows * len(self.radii) + 1)
        return found[:-1].reshape(self.windows, len(self.radii))


class Losses:
    """Upper bounds on the labels of one region that perturbations of any norm may change.

    A region is counted once for all norms. ``Certificate.lost_at_most`` states the guarantee.
    """

    def __init__(self, certificate: Certificate, region: NDArray[np.bool_]) -> None:
        self._groups = certificate.groups
        self._counts = self._groups.counts(region)
        self._given = int(self._counts.sum())
        self._doubtful = self._given - certificate.at_least(region)

    def __call__(self, epsilon: float) -> int:
        """The bound for perturbations of norm <= epsilon: the value of a linear program (T17).

        Every feasible point of its dual gives a valid bound, so that an inaccurate solution only
        makes it less tight.
        """
        real = isinstance(epsilon, (int, float, np.number)) and not isinstance(epsilon, bool)
        if not real or not 0 <= epsilon <= sys.float_info.max:
            raise InputError(
                f"expected epsilon >= 0, got {epsilon!r}; it is a norm like the radius"
            )
        radii = self._groups.radii
        # A label holds under every perturbation of norm < radius.
        lost = int(self._counts[:, radii <= epsilon].sum())
        if self._groups.local and lost:
            lost = self._together(float(epsilon))
        return min(self._given, lost + self._doubtful)

    def _together(self, epsilon: float) -> int:
        """The bound for labels whose radii are at most epsilon, without those that may be false."""
        groups = self._groups
        at_once = int(self._counts[:, groups.radii <= 0].sum())
        open_to = (groups.radii > 0) & (groups.radii <= epsilon)
        values, found = groups.radii[open_to], self._counts[:, open_to]
        places, radius = np.nonzero(found)
        if not places.size:
            return at_once
        counts, squares = found[places, radius], values[radius] ** 2
        everything = int(counts.sum())
        if epsilon >= float(values[radius.max()]) * math.sqrt(groups.windows):
            # Enough to change every label (and it may be too large to be squared).
            return at_once + everything
        lost = _program(groups.axes, places, squares, counts, epsilon)
        return at_once + min(everything, math.floor(lost))


def _program(
    axes: Sequence[Sequence[Span]],
    places: NDArray[np.int64],
    squares: NDArray[np.float64],
    counts: NDArray[np.int64],
    epsilon: float,
) -> float:
    """An upper bound on the value of the linear program, rounded up.

    places, squares, counts: window, squared radius and number of labels of each group.
    """
    windows = math.prod(map(len, axes))
    atoms = [_atoms(spans) for spans in axes]
    if math.prod(sum(map(len, along)) for along in atoms) > _MOST_PAIRS:
        # Too large a program: alpha = counts and alpha = 0, the ends of a segment, are feasible.
        pull = np.bincount(places, weights=counts / squares, minlength=windows)
        most = _largest_sum(atoms, pull.astype(np.float64))
        return epsilon**2 * most * (1 + _OUTWARD * windows)
    reaches = [list(product(*sides)) for sides in product(*atoms)]
    alpha = np.clip(_dual(places, squares, counts, reaches, epsilon**2), 0.0, counts)
    # Any alpha in [0, counts] with beta = counts - alpha is feasible. Rounded up.
    pull = np.bincount(places, weights=alpha / squares, minlength=len(reaches))
    most = max(math.fsum(pull[sees]) for sees in _seen_by(reaches))
    bound = epsilon**2 * most + math.fsum(counts - alpha)
    return bound * (1 + _OUTWARD * len(places)) + _OUTWARD * float(counts.sum())


def _atoms(spans: Sequence[Span]) -> list[list[int]]:
    """Atoms of one axis in each window: the parts between neighbouring borders of windows."""
    borders = sorted({side for s in spans for side in (s.seen.start, s.seen.stop)})
    return [
        [i for i, border in enumerate(borders[:-1]) if s.seen.start <= border < s.seen.stop]
        for s in spans
    ]


def _largest_sum(atoms: Sequence[list[list[int]]], weights: NDArray[np.float64]) -> float:
    """Largest sum of the windows' weights over the windows that contain an atom."""
    sums = weights.reshape([len(along) for along in atoms])
    for axis, along in enumerate(atoms):
        contains = np.zeros((max(map(max, along)) + 1, len(along)))
        for window, inside in enumerate(along):
            contains[inside, window] = 1.0
        sums = np.moveaxis(np.tensordot(contains, sums, axes=(1, axis)), 0, axis)
    return float(sums.max())


def _seen_by(reaches: Sequence[Sequence[tuple[int, ...]]]) -> list[list[int]]:
    """Windows that contain each atom."""
    found: dict[tuple[int, ...], list[int]] = {}
    for window, atoms in enumerate(reaches):
        for atom in atoms:
            found.setdefault(atom, []).append(window)
    return list(found.values())


def _dual(
    places: NDArray[np.int64],
    squares: NDArray[np.float64],
    counts: NDArray[np.integer],
    reaches: Sequence[Sequence[tuple[int, ...]]],
    energy: float,
) -> NDArray[np.float64]:
    """Dual variables of the labels in the linear program, as found by the solver."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, hstack, vstack

    names = {atom: i for i, atom in enumerate(sorted({a for atoms in reaches for a in atoms}))}
    labels, windows, atoms = len(places), len(reaches), len(names)
    # Rows: y <= E_w / R^2 for each group; E_w <= sum of e over its atoms; sum of e <= energy.
    rows = np.arange(labels)
    lost = hstack(
        [
            coo_array((np.ones(labels), (rows, rows)), shape=(labels, labels)),
            coo_array((-energy / squares, (rows, places)), shape=(labels, windows)),
            coo_array((labels, atoms)),
        ]
    )
    pairs = [(w, names[a]) for w, seen in enumerate(reaches) for a in seen]
    at = tuple(np.array(pairs).T)
    sums = hstack(
        [
            coo_array((windows, labels)),
            coo_array((np.ones(windows), (np.arange(windows),) * 2), shape=(windows, windows)),
            coo_array((-np.ones(len(pairs)), at), shape=(windows, atoms)),
        ]
    )
    total = hstack(
        [coo_array((1, labels + windows)), coo_array(np.ones((1, atoms)))],
    )
    found = linprog(
        np.concatenate([-counts.astype(np.float64), np.zeros(windows + atoms)]),
        A_ub=vstack([lost, sums, total]).tocsr(),
        b_ub=np.concatenate([np.zeros(labels + windows), [1.0]]),
        bounds=[(0, 1)] * labels + [(0, None)] * (windows + atoms),
        method="highs",
    )
    if found.ineqlin is None or len(found.ineqlin.marginals) == 0:
        return np.zeros(labels)
    return np.nan_to_num(-np.asarray(found.ineqlin.marginals[:labels], dtype=np.float64))
