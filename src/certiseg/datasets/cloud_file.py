"""Strict reader of a user's own point cloud: coordinates alone or with normals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.cloud_formats import READERS
from certiseg.datasets.cloud_scaling import centre_and_reach, normalised, resampled
from certiseg.datasets.cloud_table import COLUMNS, NORMALS, CloudTable, read_text
from certiseg.errors import InputError
from certiseg.rounding import nearest, significant

TEXT_SUFFIXES = (".txt", ".xyz", ".pts", ".csv")
CLOUD_SUFFIXES = (*TEXT_SUFFIXES, *READERS)
FEWEST_POINTS = 32
"""A file of fewer points is taken for damaged, or for another kind of table."""

_LOST = 1e-4
"""Largest loss by float32 rounding, relative to the cloud's size."""
_UNIT = 0.1
"""How far a normal's length may be from 1."""
_REMEDY = "correct the file, or leave the line out"

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CloudFile:
    """A cloud as it is certified, and facts about its file.

    x: float32 (channels, N). columns, points: names of the file's columns, and its number of
    points. centre, reach: mean of the file's points and largest distance from it, in the file's
    units; x has mean 0 and largest distance 1 if normalised.
    """

    x: NDArray[np.float32]
    columns: tuple[str, ...]
    points: int
    centre: tuple[float, float, float]
    reach: float
    normalised: bool


def read_cloud(
    path: str | Path,
    channels: int = 3,
    *,
    normalise: bool = False,
    points: int | None = None,
    name: str | None = None,
    columns: Sequence[str] | None = None,
) -> CloudFile:
    """Read a cloud as float32 (channels, N): x, y, z, or with 6 channels also unit normals.

    Text (.txt, .xyz, .pts, .csv): one point a line, as ``cloud_table.read_text`` says. .npy, .npz:
    floats (N, 3) or (N, 6), or with the channels first. .ply, .las, .laz: through plyfile and
    laspy. Columns are found by name, from the file or the caller; without names there are 3, 6 or
    7: x y z, nx ny nz, label. Columns beyond the channels are not used.

    Args:
        path: The file.
        channels: 3, or 6 with normals.
        normalise: Shift the mean of all points of the file to 0 and scale the largest norm to 1;
            normals stay.
        points: Number of points to resample to, in an order drawn from the name; None takes all in
            order.
        name: Default: the file's stem.
        columns: Names of all columns of the file in order, such as x, y, z, "-", nx, ny, nz.

    Returns:
        The cloud and facts about its file.

    Raises:
        InputError: For another kind of file, ambiguous columns, values that are not finite numbers,
            fewer than ``FEWEST_POINTS`` points, missing normals or normals not of length 1 for 6
            channels, and coordinates beyond float32. Names the line or the point.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "cloud.npy")
        >>> np.save(path, np.random.default_rng(0).standard_normal((50, 3)))
        >>> read_cloud(path, normalise=True).x.shape
        (3, 50)
    """
    assert channels in (3, 6)
    path = Path(path)
    table = open_table(path, columns)
    found = cloud_of(table, table.columns(columns), channels, normalise=normalise)
    if points is None:
        return found
    chosen = resampled(found.points, points, path.stem if name is None else name)
    return replace(found, x=np.ascontiguousarray(found.x[:, chosen]))


def cloud_of(
    table: CloudTable, names: tuple[str, ...], channels: int, *, normalise: bool
) -> CloudFile:
    """The cloud of a table with columns of these names, as in ``read_cloud``."""
    path = table.path
    check_points(path, _taken(table, names, 3), FEWEST_POINTS, "it is no cloud, or cut short")
    if channels == 6 and not set(NORMALS) <= set(names):
        raise InputError(
            f"{path}: expected the columns x y z nx ny nz, for a model with normals, got "
            f"{' '.join(names)[:120]}; add normals, say which columns they are (--columns), or "
            "choose a model of coordinates alone"
        )
    taken = _taken(table, names, channels)
    if channels == 6:
        _check_normals(table, taken[:, 3:])
    x = np.ascontiguousarray(taken.T)
    with np.errstate(over="ignore", invalid="ignore"):
        centre, reach = centre_and_reach(x[:3])
        if normalise and np.isfinite(reach):
            x[:3] = normalised(x[:3])
        single = x.astype(np.float32)
        lost = np.abs(single[:3] - x[:3]).max()
    if not lost <= _LOST * (1.0 if normalise else reach) or not np.isfinite(reach):
        raise InputError(
            f"{path}: expected coordinates that single precision holds, got {reach:.3g} from the "
            f"mean at most and a mean of {_triple(centre)}; normalise it (--normalise), or move "
            "it to the origin"
        )
    a, b, c = centre[:, 0].tolist()
    return CloudFile(single, names, len(taken), (a, b, c), reach, normalise)


def open_table(path: Path, columns: Sequence[str] | None = None) -> CloudTable:
    """The points of a file in any supported format. Raises InputError."""
    read = READERS.get(path.suffix.lower())
    return read_text(path, _REMEDY) if read is None else read(path, columns)


def _taken(table: CloudTable, names: Sequence[str], channels: int) -> Array:
    """The values (N, channels) for the model."""
    return table.values[:, [names.index(name) for name in COLUMNS[:channels]]]


def _check_normals(table: CloudTable, normals: Array) -> None:
    """Raise InputError for columns that are not unit normals, such as colours."""
    lengths = np.linalg.norm(normals, axis=1)
    bad = np.flatnonzero(~(np.abs(lengths - 1) <= _UNIT))
    if bad.size:
        raise InputError(
            f"{table.where(bad[0])}: expected a normal of length 1 as nx ny nz, got length "
            f"{lengths[bad[0]]:.3g}; {bad.size} of {len(normals)} are none, scale them, or choose "
            "a model of coordinates alone"
        )


def _triple(centre: Array) -> str:
    return "(" + ", ".join(significant(value, 3, nearest) for value in centre[:, 0]) + ")"


def check_points(path: Path, places: Array, fewest: int, remedy: str) -> None:
    """Raise InputError for fewer than `fewest` points (N, 3), or if all points coincide."""
    if len(places) < fewest:
        raise InputError(f"{path}: expected at least {fewest} points, got {len(places)}; {remedy}")
    if (places == places[0]).all():
        raise InputError(
            f"{path}: expected points of some extent, got {len(places)} times the same; "
            "leave the file out"
        )
