"""Rendered image of a point cloud: shaded balls in the colours of their labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from certiseg.datasets.card import IGNORE, Colour
from certiseg.errors import InputError
from certiseg.report.overlay import WHITE, check_labels
from certiseg.report.panel import INK, PAPER
from certiseg.votes import ABSTAIN

GREY: Colour = (170, 170, 176)
"""Points without a true label."""

_FINE = 3
"""Supersampling factor per side."""
_CAMERA = 5.0
"""Distance of the camera, in half widths of the view."""
_LIGHT = np.array((-0.4, 0.6, 0.7)) / np.linalg.norm((-0.4, 0.6, 0.7))
_HAZE = 0.3
"""Share of the background in the colour of the farthest points."""
_BLOCK = 256
"""Points drawn at a time, to bound memory."""
_FILLED = 0.93
"""Share of the image's width that the view takes."""
_LARGER, _RIM = 1.25, 0.78
"""Relative radius of abstentions, and the share of it that is white inside the outline."""

Array = NDArray[np.float64]


def cloud_picture(
    points: ArrayLike,
    labels: ArrayLike,
    palette: Sequence[Colour],
    *,
    size: int = 440,
    azimuth: float = 35.0,
    elevation: float = 22.0,
    extent: float | None = None,
    radius: float | None = None,
) -> Image.Image:
    """Render a cloud in mild perspective, y up, as an RGB image (size, size).

    points: (C, N), with x, y, z first. labels: ints (N,). Class c has colour palette[c], shaded;
    ABSTAIN (-1) is a white disc with a dark outline, 255 (no truth) is grey. azimuth, elevation: of
    the camera in degrees, from the z axis to the right and upward. extent: half width of the view
    around the origin, for images at one scale; None: the points are centred and fill the view.
    radius: of a ball in pixels; None: by the number of points.
    Raises InputError for other shapes, labels or non-finite coordinates.
    """
    places, classes = _checked(points, labels, len(palette))
    turned = places @ _view(azimuth, elevation).T
    if extent is None:
        turned = turned - (turned.max(axis=0) + turned.min(axis=0)) / 2
    unit = extent or max(float(np.abs(turned).max()), 1e-9)
    turned = turned / unit
    # Clipped, since points behind the camera have no image.
    nearness = _CAMERA / np.maximum(_CAMERA - turned[:, 2], 0.1)
    flat = turned[:, :2] * nearness[:, None]
    if extent is None:
        flat = flat - (flat.max(axis=0) + flat.min(axis=0)) / 2
        flat = flat / max(float(np.abs(flat).max()), 1e-9)
    if radius is None:
        radius = float(np.clip(0.45 * size / np.sqrt(len(places)), 1.5, size / 40))
    side = size * _FINE
    across, down = side / 2 * (1 + _FILLED * flat[:, 0]), side / 2 * (1 - _FILLED * flat[:, 1])
    depth = turned[:, 2] * side / 2
    abstains = classes == ABSTAIN
    radii = radius * _FINE * nearness * np.where(abstains, _LARGER, 1)
    owner, height, normal = _balls(across, down, depth, radii, side)
    seen = owner >= 0
    colours = np.array([*palette, GREY, WHITE], dtype=np.float64)
    colours = colours[np.where(classes == IGNORE, -2, classes)]
    light = np.minimum(0.7 + 0.4 * np.clip(normal @ _LIGHT, 0, 1), 1) * _creases(height, seen)
    haze = _HAZE * np.clip((1 - turned[:, 2]) / 2, 0, 1)[owner[seen], None]
    drawn = np.tile(np.array(PAPER, dtype=np.float64), (side, side, 1))
    drawn[seen] += (1 - haze) * (colours[owner[seen]] * light[seen, None] - drawn[seen])
    hollow = seen & abstains[owner]
    rim = np.hypot(normal[..., 0], normal[..., 1]) > _RIM
    drawn[hollow] = np.where(rim[hollow, None], INK, WHITE)
    shown = drawn.reshape(size, _FINE, size, _FINE, 3).mean(axis=(1, 3))
    return Image.fromarray(np.rint(shown).astype(np.uint8))


def _checked(points: ArrayLike, labels: ArrayLike, colours: int) -> tuple[Array, NDArray[np.int64]]:
    """Coordinates (N, 3) and labels (N,)."""
    cloud, classes = np.asarray(points, dtype=np.float64), np.asarray(labels).astype(np.int64)
    if (
        cloud.ndim != 2
        or cloud.shape[0] < 3
        or classes.shape != cloud.shape[1:]
        or not len(classes)
    ):
        raise InputError(
            f"expected points (C, N) with x, y, z first and labels (N,), got {cloud.shape} and "
            f"{classes.shape}; transpose points of shape (N, 3)"
        )
    places = cloud[:3].T
    if not np.isfinite(places).all():
        raise InputError("expected finite coordinates, got NaN or infinity; leave those points out")
    check_labels(classes, colours)
    return places, classes


def _view(azimuth: float, elevation: float) -> Array:
    """Rotation to camera coordinates: x right, y up, z towards the camera."""
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    around = np.array(((np.cos(a), 0, -np.sin(a)), (0, 1, 0), (np.sin(a), 0, np.cos(a))))
    tilt = np.array(((1, 0, 0), (0, np.cos(e), -np.sin(e)), (0, np.sin(e), np.cos(e))))
    return np.asarray(tilt @ around)


def _balls(
    across: Array, down: Array, depth: Array, radius: Array, side: int
) -> tuple[NDArray[np.int64], Array, Array]:
    """Index (-1 for none), depth and normal of the nearest ball at each pixel."""
    reach = int(np.ceil(radius.max()))
    step = np.arange(-reach, reach + 1)
    dx, dy = (grid.ravel() for grid in np.meshgrid(step, step))
    owner = np.full(side * side, -1, dtype=np.int64)
    height, normal = np.full(side * side, -np.inf), np.zeros((side * side, 3))
    for start in range(0, len(across), _BLOCK):
        part = slice(start, start + _BLOCK)
        columns = np.floor(across[part, None]).astype(np.int64) + dx
        rows = np.floor(down[part, None]).astype(np.int64) + dy
        # Offset of the pixel from the ball's centre, in radii: (points, pixels).
        x = (columns + 0.5 - across[part, None]) / radius[part, None]
        y = (rows + 0.5 - down[part, None]) / radius[part, None]
        inside = 1 - x**2 - y**2
        kept = (inside > 0) & (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
        ball = np.nonzero(kept)[0] + start
        z = np.sqrt(inside[kept])
        near = depth[ball] + z * radius[ball]
        # From far to near: the last one written is visible.
        order = np.argsort(near, kind="stable")
        pixel = (rows[kept] * side + columns[kept])[order]
        order, pixel = (which[near[order] >= height[pixel]] for which in (order, pixel))
        owner[pixel], height[pixel] = ball[order], near[order]
        normal[pixel] = np.column_stack([x[kept], -y[kept], z])[order]
    return owner.reshape(side, side), height.reshape(side, side), normal.reshape(side, side, 3)


def _creases(height: Array, seen: NDArray[np.bool_]) -> Array:
    """Shading in (0, 1], darker next to nearer surfaces.

    Source: Boucheny 2009 (eye-dome lighting).
    """
    side = len(height)
    shade = np.zeros_like(height)
    reach = max(2, side // 200)
    flat = np.where(seen, height, height[seen].min() if seen.any() else 0.0)
    for step in (reach, 2 * reach):
        for dy, dx in ((0, step), (0, -step), (step, 0), (-step, 0)):
            stands = np.roll(flat, (dy, dx), axis=(0, 1)) - flat
            shade += np.clip(stands / side, 0, 0.12)
    return np.exp(-1.3 * shade)
