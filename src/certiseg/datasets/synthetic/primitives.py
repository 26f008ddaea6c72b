"""Solids with exact surfaces: area, uniform points with outward normals, inside tests.

Each is given in its own frame, y up; ``placement.py`` puts them into place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import elliprg

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Prism:
    """A convex polygon (K, 2) of (x, z), extruded along y from -height / 2 to height / 2."""

    def __init__(self, polygon: ArrayLike, height: float) -> None:
        corners = np.asarray(polygon, dtype=np.float64)
        if _signed_area(corners) < 0:
            corners = corners[::-1]
        edges = np.roll(corners, -1, axis=0) - corners
        following = np.roll(edges, -1, axis=0)
        turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
        assert min(height, *turns) > 0, "a convex polygon with some height"
        self._corners, self._edges, self._half = corners, edges, height / 2
        lengths = np.linalg.norm(edges, axis=1)
        self._normals = np.column_stack([edges[:, 1], -edges[:, 0]]) / lengths[:, None]
        # The polygon is a fan of triangles around corner 0.
        first, second = corners[1:-1] - corners[0], corners[2:] - corners[0]
        fan = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
        self._fan = first, second
        self._faces = np.concatenate([fan, fan, lengths * height])

    @property
    def area(self) -> float:
        return float(self._faces.sum())

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        face, u, v = _pick(self._faces, count, rng), rng.random(count), rng.random(count)
        points, normals = np.empty((count, 3)), np.zeros((count, 3))
        first, second = self._fan
        caps = 2 * len(first)
        flat, side = face < caps, face - caps
        wall = ~flat
        triangle = face[flat] % len(first)
        over = u[flat] + v[flat] > 1
        a = np.where(over, 1 - u[flat], u[flat])[:, None]
        b = np.where(over, 1 - v[flat], v[flat])[:, None]
        points[flat, ::2] = self._corners[0] + a * first[triangle] + b * second[triangle]
        up = np.where(face[flat] < len(first), 1.0, -1.0)
        points[flat, 1], normals[flat, 1] = up * self._half, up
        edge = side[wall]
        points[wall, ::2] = self._corners[edge] + u[wall, None] * self._edges[edge]
        points[wall, 1] = (2 * v[wall] - 1) * self._half
        normals[wall, ::2] = self._normals[edge]
        return points, normals

    def inside(self, points: Array) -> Mask:
        beyond = points[:, ::2] @ self._normals.T - (self._corners * self._normals).sum(axis=1)
        inside: Mask = (beyond < 0).all(axis=1) & (np.abs(points[:, 1]) < self._half)
        return inside


class Revolution:
    """A closed outline (K, 2) of (radius, y), turned about the y axis.

    It runs with the solid on its left; edges on the axis have no surface.
    """

    def __init__(self, outline: ArrayLike) -> None:
        start = np.asarray(outline, dtype=np.float64)
        assert _signed_area(start) > 0 <= start[:, 0].min(), "the solid at its left"
        self._start, self._edge = start, np.roll(start, -1, axis=0) - start
        lengths = np.linalg.norm(self._edge, axis=1)
        self._normals = np.column_stack([self._edge[:, 1], -self._edge[:, 0]]) / lengths[:, None]
        self._bands = np.pi * (2 * start[:, 0] + self._edge[:, 0]) * lengths

    @property
    def area(self) -> float:
        return float(self._bands.sum())

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        band = _pick(self._bands, count, rng)
        # In (0, 1]: a share of 0 from a point of the axis would be 0 / 0.
        u, angle = 1 - rng.random(count), 2 * np.pi * rng.random(count)
        low = self._start[band, 0]
        high = low + self._edge[band, 0]
        # The area up to a radius grows with its square.
        radius = np.sqrt(low**2 + u * (high**2 - low**2))
        share = u * (low + high) / (low + radius)
        y = self._start[band, 1] + share * self._edge[band, 1]
        slope, rise = self._normals[band].T
        return _turned(radius, y, angle), _turned(slope, rise, angle)

    def inside(self, points: Array) -> Mask:
        radius, y = np.hypot(points[:, 0], points[:, 2])[:, None], points[:, 1, None]
        r0, y0 = self._start.T
        dr, dy = self._edge.T
        # Crossings of the ray to larger radii: odd inside.
        spans = (y0 <= y) != (y0 + dy <= y)
        crossing = r0 + (y - y0) * dr / np.where(dy == 0, 1, dy)
        odd: Mask = np.count_nonzero(spans & (radius < crossing), axis=1) % 2 == 1
        return odd


@dataclass(frozen=True)
class Ellipsoid:
    """Half axes x, y, z around the origin."""

    half: tuple[float, float, float]

    @property
    def area(self) -> float:
        a, b, c = self.half
        return float(4 * np.pi * elliprg((a * b) ** 2, (a * c) ** 2, (b * c) ** 2))

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        half = np.asarray(self.half)

        def propose(n: int) -> tuple[Array, Array]:
            direction = rng.standard_normal((n, 3))
            direction /= np.linalg.norm(direction, axis=1, keepdims=True)
            # A patch of the unit sphere grows by |direction / half| times the product of half.
            return direction, np.linalg.norm(direction / half, axis=1) * half.min()

        direction = _kept(count, propose, rng)
        normals = direction / half
        return direction * half, normals / np.linalg.norm(normals, axis=1, keepdims=True)

    def inside(self, points: Array) -> Mask:
        inside: Mask = ((points / np.asarray(self.half)) ** 2).sum(axis=1) < 1
        return inside


@dataclass(frozen=True)
class Arc:
    """A bent tube: radius minor around the circle of radius major in the plane of x and y.

    It covers the angles from -half to half, 0 along x. Its ends are open: bury them.
    """

    major: float
    minor: float
    half: float

    @property
    def area(self) -> float:
        return 2 * np.pi * self.minor * self.major * 2 * self.half

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        def propose(n: int) -> tuple[Array, Array]:
            around = 2 * np.pi * rng.random(n)
            return around, (self.major + self.minor * np.cos(around)) / (self.major + self.minor)

        around = _kept(count, propose, rng)
        along = (2 * rng.random(count) - 1) * self.half
        outward, aside = np.cos(around), np.sin(around)
        normals = np.column_stack([outward * np.cos(along), outward * np.sin(along), aside])
        centre = np.column_stack([np.cos(along), np.sin(along), np.zeros(count)])
        return self.major * centre + self.minor * normals, normals

    def inside(self, points: Array) -> Mask:
        x, y, z = points.T
        tube = np.hypot(np.hypot(x, y) - self.major, z) < self.minor
        inside: Mask = tube & (np.abs(np.arctan2(y, x)) < self.half)
        return inside


def _signed_area(corners: Array) -> float:
    x, y = corners.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def _pick(areas: Array, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Faces, each as often as its area says; one without area never."""
    edges = np.cumsum(areas)
    drawn = rng.random(count) * edges[-1]
    faces: NDArray[np.int64] = np.searchsorted(edges[:-1], drawn, side="right")
    return faces


def _turned(radius: Array, y: Array, angle: Array) -> Array:
    return np.column_stack([radius * np.cos(angle), y, radius * np.sin(angle)])


def _kept(
    count: int, propose: Callable[[int], tuple[Array, Array]], rng: np.random.Generator
) -> Array:
    """The first count proposals that pass, each with its own probability in [0, 1]."""
    kept: list[Array] = []
    while (missing := count - sum(map(len, kept))) > 0:
        proposed, probability = propose(missing + missing // 2 + 8)
        kept.append(proposed[rng.random(len(proposed)) < probability][:missing])
    return np.concatenate(kept) if kept else propose(0)[0]
