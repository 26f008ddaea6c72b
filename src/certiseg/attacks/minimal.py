"""Minimal-norm attacks: the smallest l2 change that makes a given share of the labels wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from certiseg.attacks.attack import FLAT, Attack, FlatLossError, aimed, inputs_of, movable, result
from certiseg.attacks.descent import check_finite
from certiseg.attacks.differentiable import Scores, base_scores, on_channels
from certiseg.attacks.losses import Goal
from certiseg.attacks.projection import Range, norm_bound
from certiseg.errors import InputError
from certiseg.sampling.checks import checked_count, checked_range
from certiseg.sampling.progress import Progress, draws_bar

_PRIMAL_RATE, _PRIMAL_DECAY = 0.1, 0.01
_DUAL_RATE, _DUAL_DECAY, _DUAL_EMA = 0.1, 0.1, 0.9
_LEAST_DUAL = 1e-6
_BETAS = (0.9, 0.999)
_HALVINGS = 10


def minimal_attack(
    model: Callable[[Tensor], Any],
    x: Tensor | ArrayLike,
    labels: ArrayLike | None = None,
    *,
    share: float = 0.99,
    steps: int = 500,
    target: ArrayLike | None = None,
    value_range: Range = (0.0, 1.0),
    channels: int | None = None,
    volumes: bool | None = None,
    progress: Progress = False,
) -> Attack:
    """The smallest l2 change found that makes a share of the labels wrong, or reach a target.

    Primal-dual gradient descent: the change descends, by Adam, the norm plus the margins of the
    components weighted by dual variables, which grow for components whose label still stands. A
    bisection along the best change follows. All components are pushed, so that for a share far
    below 1 a smaller change may exist.

    Args:
        model: a base model with gradients.
        x: (*shape), such as (3, H, W) in [0, 1], or a batch of images (B, C, H, W).
        labels: ints (*out), the labels to change, 255 for components that do not count; None: the
            model's labels on x.
        share: of the components that count, how many are to be changed.
        steps: gradients.
        target: ints (*out), labels to reach, 255 for components that do not count.
        value_range: domain of the input; None for any values, as for point clouds.
        channels: number of leading channels that may change, such as 3 for the coordinates of a
            cloud with normals; None: all.
        volumes: as in ``certiseg.attack``.
        progress: True for a bar over gradients, or a function called with the number just done.

    Returns:
        The attack; epsilon is its norm, the largest of a batch. Where ``success`` is below share,
        the attack failed, and the input that reached most is returned.

    Raises:
        InputError: For a model without gradients, labels of another size, and values out of range.

    Example:
        >>> import torch
        >>> model = lambda x: torch.cat([1 - x, x], dim=1)
        >>> found = minimal_attack(model, torch.full((1, 2, 2), 0.6), share=1.0, steps=50)
        >>> found.success, round(found.norm, 2)
        (1.0, 0.2)

    Reference:
        Matyasko & Chau 2021, PDPGD: primal-dual proximal gradient descent adversarial attack;
        adapted to segmentation by Rony, Pesquet, Ben Ayed 2023, Proximal splitting adversarial
        attacks for semantic segmentation.
    """
    if not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise InputError(f"expected a share in (0, 1], got {share!r}; 0.99 is usual")
    steps, value_range = checked_count(steps), checked_range(value_range)
    scores = base_scores(model)
    given, single = inputs_of(x, value_range, model, volumes)
    moving = movable(model, given.shape[1], channels)
    if moving < given.shape[1]:
        scores = on_channels(scores, moving)
    clean, goal = aimed(scores, given, labels, target, None, single)
    with draws_bar(progress, steps) as advance:
        best = _descend(scores, given, goal, share, steps, value_range, advance)
    attacked = _shortened(scores, given, best, goal, share, value_range)
    epsilon = float(norm_bound(given, attacked).max())
    return result(scores, given, attacked, epsilon, clean, goal, ["pdgd"] * len(given), single)


def _descend(
    scores: Scores,
    x: Tensor,
    goal: Goal,
    share: float,
    steps: int,
    value_range: Range,
    advance: Callable[[int], None],
) -> Tensor:
    """Of the inputs visited, for each image the nearest one that reaches the share of the goal, or
    else the one that reached most."""
    wide = (-1, *[1] * (x.ndim - 1))
    counts = goal.weights > 0
    asked = counts.flatten(1).sum(1)
    change = torch.zeros_like(x)
    mean, square = torch.zeros_like(x), torch.zeros_like(x)
    dual = torch.where(
        counts, -torch.log(asked.double()).reshape(-1, *[1] * (counts.ndim - 1)), -torch.inf
    )
    smooth = _multipliers(dual)
    best, best_norm = x, torch.full((len(x),), torch.inf, device=x.device)
    best_share = torch.zeros_like(best_norm)
    for step in range(steps):
        leaf = change.detach().requires_grad_(True)
        with torch.enable_grad():
            logits = scores(x + leaf)
            margins = goal.margins(logits)
            norm = leaf.flatten(1).square().sum(1).clamp_min(1e-24).sqrt()
            if step:
                smooth = torch.lerp(_multipliers(dual), smooth, _DUAL_EMA)
            weights = smooth.to(margins.dtype)
            of_norm = 1 - weights.flatten(1).sum(1)
            value = of_norm * norm + (F.softplus(margins) * weights).flatten(1).sum(1)
            (gradient,) = torch.autograd.grad(value.sum(), leaf)
        check_finite(gradient)
        if not step and not bool(gradient.any()) and not bool(goal.reached(logits).any()):
            raise FlatLossError(FLAT)
        with torch.no_grad():
            reached = goal.reached(logits).flatten(1).sum(1) / asked
            done = reached >= share
            better = torch.where(
                done, norm < best_norm, (best_norm == torch.inf) & (reached > best_share)
            )
            best = torch.where(better.reshape(wide), x + change, best)
            best_norm = torch.where(better & done, norm, best_norm)
            best_share = torch.where(better, reached, best_share)
            mean = torch.lerp(gradient, mean, _BETAS[0])
            square = _BETAS[1] * square + (1 - _BETAS[1]) * gradient.square()
            scale = square.sqrt() / math.sqrt(1 - _BETAS[1] ** (step + 1)) + 1e-8
            rate = _PRIMAL_RATE * _PRIMAL_DECAY ** (step / steps) / (1 - _BETAS[0] ** (step + 1))
            moved = x + change - rate * mean / scale
            change = (moved if value_range is None else moved.clamp(*value_range)) - x
            left = (steps - 1 - step) / max(1, steps - 1)
            dual_rate = _DUAL_RATE * (left * (1 - _DUAL_DECAY) + _DUAL_DECAY)
            bound = -math.log(_LEAST_DUAL)
            dual = torch.where(
                counts, (dual + dual_rate * margins.sign()).clamp(-bound, bound), dual
            )
        advance(1)
    return best


def _multipliers(dual: Tensor) -> Tensor:
    """Softmax over the components and one more entry, that of the norm; without that entry."""
    flat = F.pad(dual.flatten(1), (1, 0))
    return flat.softmax(dim=1)[:, 1:].reshape(dual.shape)


def _shortened(
    scores: Scores, x: Tensor, attacked: Tensor, goal: Goal, share: float, value_range: Range
) -> Tensor:
    """The shortest change on the way from x that still reaches the share, by bisection."""
    wide = (-1, *[1] * (x.ndim - 1))
    asked = (goal.weights > 0).flatten(1).sum(1)

    def reaches(candidate: Tensor) -> Tensor:
        with torch.no_grad():
            return goal.reached(scores(candidate)).flatten(1).sum(1) / asked >= share

    low, high = torch.zeros_like(asked, dtype=x.dtype), torch.ones_like(asked, dtype=x.dtype)
    best = attacked
    able = reaches(attacked)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        candidate = x + middle.reshape(wide) * (attacked - x)
        if value_range is not None:
            candidate = candidate.clamp(*value_range)
        enough = reaches(candidate) & able
        best = torch.where(enough.reshape(wide), candidate, best)
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return best
