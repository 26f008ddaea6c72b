"""Projection onto the allowed perturbations: an l2 ball around the input within the domain."""

from __future__ import annotations

import torch
from torch import Tensor

_NEWTON_STEPS = 30
_SHRINKS = 40

Range = tuple[float, float] | None


def project(x: Tensor, moved: Tensor, epsilon: float, value_range: Range) -> Tensor:
    """The point nearest to ``moved`` in the l2 ball of radius epsilon around x, and in the domain.

    x in the domain, moved: (B, *shape). By the optimality conditions the projection is
    ``x + clip(s u)``, u = moved - x, for the largest s in [0, 1] that keeps the norm. Its squared
    norm is concave and piecewise linear in s^2, so Newton's method from below ends after finitely
    many steps, none of which leaves the ball (up to float rounding: ``finished``).
    """
    u = (moved - x).flatten(1)
    flat = x.flatten(1)
    if value_range is None:
        room = torch.full_like(u, torch.inf)
    else:
        room = torch.where(u > 0, value_range[1] - flat, flat - value_range[0])
    square, most = u.square(), room.square()
    target = epsilon**2
    t = (target / square.sum(1).clamp_min(1e-30)).clamp_max(1.0)
    for _ in range(_NEWTON_STEPS):
        scaled = t[:, None] * square
        free = scaled < most
        left = target - torch.where(free, scaled, most).sum(1)
        slope = torch.where(free, square, 0).sum(1)
        step = torch.where((left > 0) & (slope > 0), left / slope.clamp_min(1e-30), 0)
        following = (t + step).clamp_max(1.0)
        if bool((following <= t * (1 + 1e-6)).all()):
            break
        t = following
    scaled = t.sqrt()[:, None] * u
    inside = torch.minimum(scaled.abs(), room) * scaled.sign()
    return x + inside.reshape(x.shape)


def norm_bound(x: Tensor, attacked: Tensor) -> Tensor:
    """Upper bound, float64 (B,), on the l2 norm of attacked - x for the tensors as stored.

    n differences, squares and sums in float64 err by less than a factor 1 + (n + 6) 2^-52; squares
    that underflow together by less than n 2^-1022.
    """
    n = x[0].numel()
    difference = (attacked.double() - x.double()).flatten(1)
    total = difference.square().sum(1) * (1 + (n + 6) * 2.0**-52) + n * 2.0**-1022
    return torch.where((difference == 0).all(1), 0.0, total.sqrt() * (1 + 2.0**-51))


def finished(x: Tensor, moved: Tensor, epsilon: float, value_range: Range) -> Tensor:
    """The projection of ``moved``, shrunk until ``norm_bound`` is at most epsilon; in x's type."""
    found = project(x.double(), moved.double(), epsilon, value_range)
    delta = found - x.double()
    for _ in range(_SHRINKS):
        cast = (x.double() + delta).to(x.dtype)
        if value_range is not None:
            cast = cast.clamp(*value_range)
        bound = norm_bound(x, cast)
        too_long = bound > epsilon
        if not bool(too_long.any()):
            return cast
        factor = torch.where(too_long, (epsilon / bound.clamp_min(1e-300)) * (1 - 1e-7), 1.0)
        delta = delta * factor.reshape(-1, *[1] * (x.ndim - 1))
    # If the ball is so small that rounding of x + d leaves it, return its centre.
    outside = (norm_bound(x, cast) > epsilon).reshape(-1, *[1] * (x.ndim - 1))
    return torch.where(outside, x, cast)
