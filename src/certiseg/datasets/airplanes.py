"""Airplanes of solids, varied at random as in ``recipes.py``: y is up, the nose points along z."""

from __future__ import annotations

import numpy as np

from certiseg.datasets.assembly import Piece, about, ball, rod
from certiseg.datasets.surfaces import Prism, Revolution

Rng = np.random.Generator
_SIDES = (-1, 1)


def airplane(rng: Rng) -> list[Piece]:
    """Body 0, wing 1, tail 2, engine 3."""
    length, radius = rng.uniform(1.9, 2.4), rng.uniform(0.12, 0.17)
    pieces = [_fuselage(rng, length, radius)]
    root, tip = rng.uniform(0.45, 0.65), rng.uniform(0.16, 0.28)
    span, sweep = rng.uniform(0.95, 1.3), rng.uniform(0.05, 0.55)
    lift, low = rng.uniform(0, 0.12), -rng.uniform(0, 0.45) * radius
    front = rng.uniform(0.2, 0.4)
    for side in _SIDES:
        pieces.append(_wing(1, side, root, tip, span, sweep, 0.05, (0, low, front), lift))
    fin, height = rng.uniform(0.3, 0.4), rng.uniform(0.4, 0.55)
    behind = -length / 2 + 0.1 + fin
    for side in _SIDES:
        pieces.append(
            _wing(2, side, fin, 0.6 * fin, height, 0.6 * fin, 0.04, (0, 0, behind), lift / 2)
        )
    upright = _wing(2, 1, fin, 0.5 * fin, height * 1.1, 0.7 * fin, 0.04, (0, 0, behind), np.pi / 2)
    pieces.append(upright)
    thick, long = rng.uniform(0.07, 0.1), rng.uniform(0.3, 0.42)
    kind = rng.random()
    if kind < 0.25:  # beside the tail
        for side in _SIDES:
            x, y, z = side * (radius + 0.5 * thick), 0.3 * radius, -0.22 * length
            pieces.append(rod(3, (x, y, z - long / 2), (x, y, z + long / 2), thick))
        return pieces
    for share in (0.35,) if kind < 0.65 else (0.3, 0.62):  # under each wing
        for side in _SIDES:
            x = share * span
            y = low + x * np.tan(lift) - 0.75 * thick
            z = front - share * sweep + 0.1
            pieces.append(rod(3, (side * x, y, z - long), (side * x, y, z), 0.8 * thick, thick))
    return pieces


def _fuselage(rng: Rng, length: float, radius: float) -> Piece:
    """Along z, either an ellipsoid or a tube with a round nose and a tapered tail."""
    if rng.random() < 0.4:
        return ball(0, (0, 0, 0), radius, radius, length / 2)
    bend = np.linspace(0, np.pi / 2, 7)[1:]
    nose = np.column_stack([radius * np.cos(bend), 0.28 * length + 0.22 * length * np.sin(bend)])
    tail = ((0, -0.5), (0.35 * radius, -0.5), (radius, -0.12), (radius, 0.28))
    outline = np.vstack([np.multiply(tail, (1, length)), nose])
    outline[-1, 0] = 0
    return Piece(0, Revolution(outline), (0, 0, 0), about("x", np.pi / 2))


def _wing(
    part: int,
    side: int,
    root: float,
    tip: float,
    span: float,
    sweep: float,
    thick: float,
    front: tuple[float, float, float],
    lift: float,
) -> Piece:
    """A slab from the middle outward to one side, its leading edge from front back by sweep."""
    corners = ((0, 0), (side * span, -sweep), (side * span, -sweep - tip), (0, -root))
    return Piece(part, Prism(corners, thick), front, about("z", side * lift))
