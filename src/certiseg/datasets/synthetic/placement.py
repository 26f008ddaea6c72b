"""Solids placed in one object, and points sampled on the surface of their union."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.datasets.synthetic.primitives import Array, Ellipsoid, Prism, Revolution


class Solid(Protocol):
    """A solid in its own frame."""

    @property
    def area(self) -> float:
        """Area of its surface."""
        ...

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Independent points, uniform by area, and outward unit normals, float64 (count, 3)."""
        ...

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """Whether each of points (n, 3) lies in the interior."""
        ...


@dataclass(frozen=True, eq=False)
class Piece:
    """A solid of one part: turned by a rotation (3, 3), then moved to origin."""

    part: int
    solid: Solid
    origin: ArrayLike = (0.0, 0.0, 0.0)
    turn: Array = field(default_factory=lambda: np.eye(3))

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        points, normals = self.solid.sample(count, rng)
        return points @ self.turn.T + np.asarray(self.origin), normals @ self.turn.T

    def inside(self, points: Array) -> NDArray[np.bool_]:
        return self.solid.inside((points - np.asarray(self.origin)) @ self.turn)


def exposed(
    pieces: Sequence[Piece], count: int, rng: np.random.Generator
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Independent points, uniform by area on the surface of the union of the pieces.

    Returns points (count, 3), outward unit normals (count, 3), index of each one's piece (count,).
    No point lies inside another piece. Pieces may cut each other but must not share faces.
    """
    shares = np.array([piece.solid.area for piece in pieces])
    found: list[tuple[Array, Array, NDArray[np.int64]]] = []
    while (missing := count - sum(len(points) for points, _, _ in found)) > 0:
        drawn = rng.multinomial(missing + missing // 2 + 8, shares / shares.sum())
        parts = [piece.sample(int(n), rng) for piece, n in zip(pieces, drawn, strict=True)]
        owner = np.repeat(np.arange(len(pieces)), drawn)
        points = np.concatenate([points for points, _ in parts])
        normals = np.concatenate([normals for _, normals in parts])
        free = np.ones(len(points), dtype=bool)
        for index, piece in enumerate(pieces):
            free &= (owner == index) | ~piece.inside(points)
        # They come piece by piece: only a random choice of them is uniform.
        chosen = rng.permutation(np.flatnonzero(free))[:missing]
        found.append((points[chosen], normals[chosen], owner[chosen]))
    points, normals, owner = (np.concatenate(column) for column in zip(*found, strict=True))
    return points, normals, owner


def box(part: int, centre: ArrayLike, size: ArrayLike, turn: Array | None = None) -> Piece:
    """size: full lengths along x, y, z."""
    x, y, z = np.asarray(size) / 2
    solid = Prism(((-x, -z), (x, -z), (x, z), (-x, z)), 2 * y)
    return Piece(part, solid, centre, np.eye(3) if turn is None else turn)


def ball(part: int, centre: ArrayLike, x: float, y: float, z: float) -> Piece:
    """An ellipsoid of half axes x, y, z."""
    return Piece(part, Ellipsoid((x, y, z)), centre)


def rod(part: int, start: ArrayLike, stop: ArrayLike, r0: float, r1: float | None = None) -> Piece:
    """A cylinder from start to stop, or with radius r1 at stop a frustum; r1 = 0 is a cone."""
    begin, end = np.asarray(start, dtype=np.float64), np.asarray(stop, dtype=np.float64)
    length = float(np.linalg.norm(end - begin))
    tip = r0 if r1 is None else r1
    outline = [(0.0, 0.0), (r0, 0.0), (tip, length), (0.0, length)]
    solid = Revolution(outline if tip else outline[:2] + outline[3:])
    return Piece(part, solid, begin, upright_to((end - begin) / length))


def cup(r0: float, r1: float, height: float, wall: float, floor: float) -> Revolution:
    """A frustum on y = 0, open at the top, of radius r0 below and r1 above."""
    inner = r0 + (r1 - r0) * floor / height - wall
    return Revolution(
        ((0, 0), (r0, 0), (r1, height), (r1 - wall, height), (inner, floor), (0, floor))
    )


def about(axis: str, angle: float) -> Array:
    """Rotation by angle (radians) about x, y or z, right-handed."""
    turn = np.eye(3)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turn[i, i] = turn[j, j] = np.cos(angle)
    turn[j, i] = np.sin(angle)
    turn[i, j] = -turn[j, i]
    return turn


def upright_to(direction: Array) -> Array:
    """A rotation that takes the y axis to a unit direction."""
    x, y, z = direction
    tilt = np.arctan2(np.hypot(x, z), y)
    return about("y", np.arctan2(x, z)) @ about("x", tilt)
