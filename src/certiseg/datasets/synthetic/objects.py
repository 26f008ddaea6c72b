"""Airplanes, chairs, lamps, mugs and tables, varied at random: y is up, the front looks along z.

Each returns pieces whose part is its place in the category's list of parts. Pieces of different
parts cut into each other, so that no faces coincide and nothing floats.
"""

from __future__ import annotations

import numpy as np

from certiseg.datasets.synthetic.placement import Piece, about, ball, box, cup, rod
from certiseg.datasets.synthetic.primitives import Arc, Array, Prism, Revolution

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


def chair(rng: Rng) -> list[Piece]:
    """Back 0, seat 1, leg 2, arm 3."""
    width, depth = rng.uniform(0.85, 1.1), rng.uniform(0.8, 1.0)
    thick, height = rng.uniform(0.08, 0.16), rng.uniform(0.65, 0.95)
    pieces = [box(1, (0, height, 0), (width, thick, depth))]
    tall, lean = rng.uniform(0.75, 1.2), about("x", -rng.uniform(0, 0.25))
    foot = np.array((0, height, 0.08 - depth / 2))
    if rng.random() < 0.6:
        pieces.append(box(0, foot + lean @ (0, tall / 2, 0), (0.92 * width, tall, 0.09), lean))
    else:
        for side in _SIDES:
            at = foot + lean @ (side * (0.46 * width - 0.05), tall / 2, 0)
            pieces.append(box(0, at, (0.1, tall, 0.1), lean))
        for share in np.linspace(0.4, 0.9, rng.integers(2, 5)):
            at = foot + lean @ (0, share * tall, 0)
            pieces.append(box(0, at, (0.85 * width, rng.uniform(0.07, 0.11), 0.06), lean))
    if rng.random() < 0.25:
        pieces += _swivel(rng, 2, height, 0.45 * width)
    else:
        pieces += _legs(rng, 2, width, depth, height, rng.uniform(0.045, 0.065))
    if rng.random() < 0.55:
        rise = rng.uniform(0.28, 0.42) * tall
        for side in _SIDES:
            x = side * (width / 2 - 0.06)
            rail = box(3, (x, height + rise, 0.02), (0.11, 0.07, 0.82 * depth))
            z = 0.3 * depth
            pieces += [rail, box(3, (x, height + rise / 2, z), (0.08, rise, 0.08))]
    return pieces


def lamp(rng: Rng) -> list[Piece]:
    """Base 0, pole 1, shade 2."""
    height, radius = rng.uniform(1.0, 1.7), rng.uniform(0.28, 0.42)
    flat = rng.uniform(0.06, 0.12)
    base = (
        rod(0, (0, 0, 0), (0, flat, 0), radius),
        rod(0, (0, 0, 0), (0, 2.5 * flat, 0), radius, 0.3 * radius),
        ball(0, (0, 0, 0), radius, 1.5 * flat, radius),
        box(0, (0, flat / 2, 0), (1.7 * radius, flat, 1.7 * radius)),
    )[rng.integers(4)]
    thin = rng.uniform(0.035, 0.06)
    wide, high = rng.uniform(0.38, 0.6), rng.uniform(0.4, 0.6)
    narrow = rng.uniform(0.45, 0.9) * wide
    floor = 0.04
    shade = cup(narrow, wide, high, 0.03, floor)
    if rng.random() < 0.7:
        pole = [rod(1, (0, 0.02, 0), (0, height, 0), thin)]
        # Upside down: the pole ends in its floor.
        return [base, *pole, Piece(2, shade, (0, height + floor / 2, 0), about("x", np.pi))]
    knee = np.array((0, rng.uniform(0.6, 0.8) * height, 0))
    reach, rise = rng.uniform(0.45, 0.7), rng.uniform(0.2, 0.5)
    end = knee + np.array((reach, rise, 0))
    pole = [
        rod(1, (0, 0.02, 0), knee, thin),
        ball(1, knee, 1.3 * thin, 1.3 * thin, 1.3 * thin),
        rod(1, knee, end, thin),
    ]
    turn = about("z", rng.uniform(-0.15, 0.5)) @ about("x", np.pi)
    small = cup(0.6 * narrow, 0.75 * wide, 0.8 * high, 0.03, 2.2 * thin)
    return [base, *pole, Piece(2, small, end - turn @ (0, 1.1 * thin, 0), turn)]


def mug(rng: Rng) -> list[Piece]:
    """Body 0, handle 1."""
    low, height = rng.uniform(0.36, 0.5), rng.uniform(0.8, 1.2)
    top = low * rng.uniform(0.95, 1.2)
    wall = rng.uniform(0.06, 0.08)
    body = Piece(0, cup(low, top, height, wall, 0.1))

    def middle(y: float) -> Array:
        return np.array((low + (top - low) * y / height - wall / 2, y, 0))

    thick, centre = rng.uniform(0.05, 0.075), rng.uniform(0.45, 0.58) * height
    if rng.random() < 0.6:
        major = rng.uniform(0.22, 0.3)
        slant = about("z", -np.arctan2(top - low, height))
        return [body, Piece(1, Arc(major, thick, np.pi / 2), middle(centre), slant)]
    reach, half = rng.uniform(0.3, 0.42), rng.uniform(0.2, 0.27)
    below, above = middle(centre - half), middle(centre + half)
    outer = np.array((max(below[0], above[0]) + reach, 0, 0))
    corners = [np.array((outer[0], centre + s * half, 0)) for s in _SIDES]
    return [
        body,
        rod(1, below, corners[0], thick),
        rod(1, corners[0], corners[1], thick),
        rod(1, above, corners[1], thick),
        *(ball(1, corner, thick, thick, thick) for corner in corners),
    ]


def table(rng: Rng) -> list[Piece]:
    """Top 0, leg 1, shelf 2."""
    height, thick = rng.uniform(0.6, 1.0), rng.uniform(0.06, 0.11)
    if rng.random() < 0.35:
        radius = rng.uniform(0.6, 0.85)
        pieces = [rod(0, (0, height - thick / 2, 0), (0, height + thick / 2, 0), radius)]
        if rng.random() < 0.6:
            column = rng.uniform(0.06, 0.1)
            foot = rod(1, (0, 0, 0), (0, 0.12, 0), rng.uniform(0.3, 0.45), 1.5 * column)
            return [*pieces, foot, rod(1, (0, 0.05, 0), (0, height, 0), column)]
        return pieces + _legs(rng, 1, 1.4 * radius, 1.4 * radius, height, 0.06)
    width, depth = rng.uniform(1.2, 1.8), rng.uniform(0.7, 1.1)
    pieces = [box(0, (0, height, 0), (width, thick, depth))]
    pieces += _legs(rng, 1, width, depth, height, rng.uniform(0.05, 0.075))
    if rng.random() < 0.5:
        level = rng.uniform(0.25, 0.5) * height
        pieces.append(box(2, (0, level, 0), (width - 0.16, 0.06, depth - 0.16)))
    return pieces


def _legs(
    rng: Rng, part: int, width: float, depth: float, height: float, radius: float
) -> list[Piece]:
    """Four legs up to the height of a slab's middle: square and straight, or round and spread."""
    if rng.random() < 0.5:
        x, z, side = width / 2 - 1.3 * radius, depth / 2 - 1.3 * radius, 2 * radius
        places = [(sx * x, height / 2, sz * z) for sx in _SIDES for sz in _SIDES]
        return [box(part, place, (side, height, side)) for place in places]
    spread, taper = rng.uniform(0, 0.1), rng.uniform(0.6, 1)
    x, z = width / 2 - 2 * radius, depth / 2 - 2 * radius
    return [
        rod(
            part,
            (sx * (x + spread), 0, sz * (z + spread)),
            (sx * x, height, sz * z),
            taper * radius,
            radius,
        )
        for sx in _SIDES
        for sz in _SIDES
    ]


def _swivel(rng: Rng, part: int, height: float, reach: float) -> list[Piece]:
    """A column on five spokes."""
    column = rod(part, (0, 0.06, 0), (0, height, 0), 0.07)
    start = rng.uniform(0, 2 * np.pi)
    angles = start + 2 * np.pi * np.arange(5) / 5
    return [column] + [
        rod(part, (0, 0.12, 0), (reach * np.cos(a), 0.05, reach * np.sin(a)), 0.05, 0.04)
        for a in angles
    ]
