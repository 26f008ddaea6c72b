"""Projected gradient ascent in an l2 ball, with a fixed step size or that of APGD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from certiseg.attacks.projection import Range, project
from certiseg.errors import InputError

Method = Literal["apgd", "pgd"]
Objective = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""For images (B, *shape): loss (B,) to maximise, its gradient, and components reached (B,)."""

_MOMENTUM = 0.75
_ENOUGH = 0.75
"""APGD keeps its step while it raises the loss in this share of the steps."""


def ascend(
    objective: Objective,
    x: Tensor,
    start: Tensor,
    epsilon: float,
    steps: int,
    method: Method,
    value_range: Range,
    advance: Callable[[int], None],
    *,
    last: bool = False,
) -> Tensor:
    """Of the images (B, *shape) visited, the one that reached most components. last: return the
    last one instead, since with few draws of noise the best one is often a lucky draw.

    pgd: steps of 2.5 epsilon / steps. apgd: from 2 epsilon, halved at checkpoints where the loss
    no longer rises, then continued from the best point; with momentum. Gradients are normalised for
    each image. Ties are broken by the larger loss.
    Source: Croce & Hein 2020, algorithm 1.
    """
    wide = (-1, *[1] * (x.ndim - 1))
    first = 2 * epsilon if method == "apgd" else 2.5 * epsilon / steps
    size = torch.full((len(x),), first, dtype=x.dtype, device=x.device)
    now = before = start
    loss, gradient, reached = objective(now)
    check_finite(gradient)
    best, best_loss, best_gradient = now, loss, gradient  # by loss
    most, most_reached, most_loss = now, reached, loss  # by components
    risen = torch.zeros_like(reached)
    held_size, held_loss = size, best_loss
    ends = _checkpoints(steps)
    looked = 0
    for step in range(steps):
        up = project(x, now + size.reshape(wide) * _normalised(gradient), epsilon, value_range)
        if method == "apgd" and step > 0:
            carried = now + _MOMENTUM * (up - now) + (1 - _MOMENTUM) * (now - before)
            up = project(x, carried, epsilon, value_range)
        before, now, earlier = now, up, loss
        loss, gradient, reached = objective(now)
        advance(1)
        risen = risen + (loss > earlier)
        higher = loss > best_loss
        best = torch.where(higher.reshape(wide), now, best)
        best_gradient = torch.where(higher.reshape(wide), gradient, best_gradient)
        best_loss = torch.maximum(loss, best_loss)
        more = (reached > most_reached) | ((reached == most_reached) & (loss > most_loss))
        most = torch.where(more.reshape(wide), now, most)
        most_reached = torch.where(more, reached, most_reached)
        most_loss = torch.where(more, loss, most_loss)
        if method == "apgd" and step + 1 in ends:
            few = risen < _ENOUGH * (step + 1 - looked)
            stuck = (size == held_size) & (best_loss == held_loss)
            halve = few | stuck
            held_size, held_loss = size, best_loss
            size = torch.where(halve, size / 2, size)
            now = torch.where(halve.reshape(wide), best, now)
            before = torch.where(halve.reshape(wide), best, before)
            gradient = torch.where(halve.reshape(wide), best_gradient, gradient)
            loss = torch.where(halve, best_loss, loss)
            risen, looked = torch.zeros_like(risen), step + 1
    return now if last else most


def _checkpoints(steps: int) -> set[int]:
    """Steps at which APGD checks its progress: shares .22, .41, .57, .70, ... of all."""
    ends, before, share = set(), 0.0, 0.22
    while share < 1:
        ends.add(max(1, round(share * steps)))
        before, share = share, share + max(share - before - 0.03, 0.06)
    return ends


def _normalised(gradient: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1).clamp_min(1e-30)
    return gradient / norms.reshape(-1, *[1] * (gradient.ndim - 1))


def check_finite(gradient: Tensor) -> None:
    """Raise InputError for NaN or infinity."""
    if not bool(torch.isfinite(gradient).all()):
        raise InputError(
            "expected a finite gradient, got NaN or infinity; check the model, and name only "
            "labels that it can give (of a point cloud the parts of its category)"
        )
