"""Strict reader of a user's own point cloud: text or npy, coordinates alone or with normals."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.cloud_scaling import centre_and_reach, normalised, resampled
from certiseg.errors import InputError, refusing
from certiseg.files.arrays import read_npy
from certiseg.files.reading import CLOUD, read_bounded
from certiseg.rounding import nearest, significant

COLUMNS = ("x", "y", "z", "nx", "ny", "nz", "label")
TEXT_SUFFIXES = (".txt", ".xyz", ".pts", ".csv")
CLOUD_SUFFIXES = (*TEXT_SUFFIXES, ".npy")
FEWEST_POINTS = 32
"""A file of fewer points is taken for damaged, or for another kind of table."""

_LOST = 1e-4
"""What may be lost by single precision, of the cloud's own size."""
_UNIT = 0.1
"""How far a normal's length may be from 1."""
_REMEDY = "correct the file, or leave the line out"

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CloudFile:
    """A cloud as it is certified, and as its file had it.

    x: float32 (channels, N). columns, points: of the file. centre, reach: mean of the file's
    points and largest distance from it, in the file's units; where normalised, the mean is 0 and
    the largest distance 1 in x.
    """

    x: NDArray[np.float32]
    columns: int
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
) -> CloudFile:
    """Read a cloud as float32 (channels, N): x, y, z, or with 6 channels also unit normals.

    Text (.txt, .xyz, .pts, .csv): one point a line, 3, 6 or 7 numbers apart by blanks or commas,
    x y z, nx ny nz and a part label, which is not used. .npy: floats (N, 3) or (N, 6), or with the
    channels first. Of more columns than channels the first are taken.

    Args:
        path: The file.
        channels: 3, or 6 with normals.
        normalise: Bring the mean of all points of the file to 0 and the largest norm to 1; normals
            stay as they are.
        points: How many to resample to, in an order drawn from the name; None takes all as they
            come.
        name: Default: the file's stem.

    Returns:
        The cloud, and what its file was like.

    Raises:
        InputError: Another kind of file, other columns, something that is no finite number, fewer
            than ``FEWEST_POINTS``, no normals for 6 channels or none of length 1, coordinates that
            single precision does not hold. The line or the point is named.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "cloud.npy")
        >>> np.save(path, np.random.default_rng(0).standard_normal((50, 3)))
        >>> read_cloud(path, normalise=True).x.shape
        (3, 50)
    """
    assert channels in (3, 6)
    path = Path(path)
    where, table = _rows(path)
    check_points(path, table[:, :3], FEWEST_POINTS, "it is no cloud, or cut short")
    columns = table.shape[1]
    if columns < channels:
        raise InputError(
            f"{path}: expected 6 columns, x y z nx ny nz, for a model with normals, got {columns}; "
            "add normals, or choose a model of coordinates alone"
        )
    if channels == 6:
        _check_normals(path, where, table[:, 3:6])
    x = np.ascontiguousarray(table[:, :channels].T)
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
    if points is not None:
        chosen = resampled(len(table), points, path.stem if name is None else name)
        single = np.ascontiguousarray(single[:, chosen])
    a, b, c = centre[:, 0].tolist()
    return CloudFile(single, columns, len(table), (a, b, c), reach, normalise)


def _rows(path: Path) -> tuple[list[str], Array]:
    """Place of each point in the file, in words, and values (N, columns)."""
    if path.suffix.lower() == ".npy":
        table = _array(path)
        return [f"point {number}" for number in range(len(table))], table
    numbers, table = read_table(path, (3, 6, 7), _REMEDY)
    return [f"line {number}" for number in numbers], table


def _array(path: Path) -> Array:
    """Values (N, 3) or (N, 6) of an npy file."""
    wanted, remedy = f"{path}: expected an npy file of numbers", "write it with np.save, as floats"
    with refusing(OSError, ValueError, expected=wanted, remedy=remedy):
        array = read_npy(path, CLOUD)
    if array.dtype.kind != "f" or array.ndim != 2 or not {3, 6} & set(array.shape):
        raise InputError(
            f"{path}: expected a float array (N, 3) or (N, 6), or channels first, got "
            f"{array.dtype} {array.shape}; np.save its columns as float32"
        )
    table = array.astype(np.float64)
    # Where both axes could hold the channels there are too few points either way.
    if table.shape[1] not in (3, 6):
        table = table.T
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if bad.size:
        raise InputError(
            f"{path}, point {bad[0]}: expected finite numbers, got NaN or infinity; "
            "leave the point out"
        )
    return np.ascontiguousarray(table)


def _check_normals(path: Path, where: list[str], normals: Array) -> None:
    """Raise InputError for columns that are no unit normals, such as colours."""
    lengths = np.linalg.norm(normals, axis=1)
    bad = np.flatnonzero(~(np.abs(lengths - 1) <= _UNIT))
    if bad.size:
        raise InputError(
            f"{path}, {where[bad[0]]}: expected a normal of length 1 in columns 4 to 6, got length "
            f"{lengths[bad[0]]:.3g}; {bad.size} of {len(normals)} are none, scale them, or choose "
            "a model of coordinates alone"
        )


def _triple(centre: Array) -> str:
    return "(" + ", ".join(significant(value, 3, nearest) for value in centre[:, 0]) + ")"


def read_table(path: Path, widths: Collection[int], remedy: str) -> tuple[list[int], Array]:
    """Line numbers from 1 and values (N, columns) of a file with one point a line.

    Lines hold the first of the COLUMNS, as many as one of widths and all the same number, apart by
    blanks, or by commas where the first line has one; empty lines are passed over.
    remedy: what errors advise. Raises InputError: a file that is missing, empty or no text; a line
    of other columns or with something that is no finite number.
    """
    numbers: list[int] = []
    rows: list[list[float]] = []
    separator, expected = None, set(widths)
    for number, line in enumerate(_text(path, remedy).split("\n"), 1):
        if not line.strip():
            continue
        if not rows:
            separator = "," if "," in line else None
        words = line.split(separator)
        if len(words) not in expected:
            raise InputError(
                f"{path}, line {number}: expected {_columns(expected)}, got {len(words)}; {remedy}"
            )
        expected = {len(words)}
        try:
            # Python's own 1_000 is no number of a cloud.
            row = [math.nan] if "_" in line else [float(word) for word in words]
        except ValueError:
            row = [math.nan]
        # A sum is finite only if all its terms are, but for numbers no cloud holds.
        if not math.isfinite(sum(row)):
            raise InputError(
                f"{path}, line {number}: expected finite numbers, got {line.strip()[:60]!r}; "
                f"{remedy}"
            )
        numbers.append(number)
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: expected points, got an empty file; {remedy}")
    return numbers, np.array(rows, dtype=np.float64)


def check_points(path: Path, places: Array, fewest: int, remedy: str) -> None:
    """Raise InputError for fewer than `fewest` points (N, 3), or points that all coincide."""
    if len(places) < fewest:
        raise InputError(f"{path}: expected at least {fewest} points, got {len(places)}; {remedy}")
    if (places == places[0]).all():
        raise InputError(
            f"{path}: expected points of some extent, got {len(places)} times the same; "
            "leave the file out"
        )


def _text(path: Path, remedy: str) -> str:
    wanted = f"{path}: expected a readable text file"
    with refusing(OSError, expected=wanted, remedy="check the path"):
        content = read_bounded(path, CLOUD)
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {content[: error.start].count(10) + 1}: expected plain text, got other "
            f"bytes; {remedy}"
        ) from None


def _columns(widths: Collection[int]) -> str:
    """How many columns are expected, and which."""
    if len(widths) == 1:
        (width,) = widths
        return f"{width} columns, {' '.join(COLUMNS[:width])}"
    *others, last = sorted(widths)
    names = " ".join(COLUMNS[: others[0]]), " ".join(COLUMNS[others[0] : 6])
    return f"{', '.join(map(str, others))} or {last} columns ({names[0]}, then {names[1]}, label)"
