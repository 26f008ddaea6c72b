"""Rotations by exp(v), v ~ N(0, sigma^2 I_3) within |v| <= pi: what probability certifies what
angle (theory T11)."""

from __future__ import annotations

LARGEST_SIGMA = 2.22


def largest_angle(sigma: float, tau: float) -> float:
    raise NotImplementedError


def needed_probability(sigma: float, angle: float) -> float:
    raise NotImplementedError
