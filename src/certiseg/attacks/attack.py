"""Attacks on an image or a batch: the worst over losses and restarts, within epsilon exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from certiseg.attacks.descent import Method, ascend, check_finite
from certiseg.attacks.differentiable import Scores, base_scores, on_channels, smoothed_scores
from certiseg.attacks.losses import LOSSES, Goal, Loss
from certiseg.attacks.projection import Range, finished, norm_bound, project
from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.sampling.base_model import first_parameter
from certiseg.sampling.checks import check_input, checked_count, checked_range
from certiseg.sampling.keys import resolve_seed
from certiseg.sampling.progress import Progress, draws_bar
from certiseg.sampling.sampler import Smoothed

_LEAST, _MOST = 1e-6, 1e9
DEFAULT_LOSSES: tuple[Loss, ...] = ("masked-ce", "js")


@dataclass(frozen=True, eq=False)
class Attack:
    """Result of an attack on one image, or with a further first axis on a batch.

    Attributes:
        attacked: the attacked input, in the dtype of x, float32 or float64.
        epsilon: the allowed norm.
        norm: an upper bound on the norm of attacked - x, as stored; at most epsilon.
        labels: the model's labels on the attacked input, int64; for a smoothed model by the mean
            softmax of the attack's last draws, which is not a vote.
        clean: its labels on the given input.
        success: share of the attacked components that reached the goal: another label than the
            given one, or the target.
        loss: the loss of the strongest run.
    """

    attacked: NDArray[np.floating]
    epsilon: float
    norm: float | NDArray[np.float64]
    labels: NDArray[np.int64]
    clean: NDArray[np.int64]
    success: float | NDArray[np.float64]
    loss: str | tuple[str, ...]


@overload
def attack(
    model: Callable[[Tensor], Any] | Smoothed,
    x: Tensor | ArrayLike,
    labels: ArrayLike | None = None,
    *,
    epsilon: float,
    norm: str = "l2",
    loss: Loss | Sequence[Loss] = DEFAULT_LOSSES,
    method: Method | None = None,
    steps: int = 300,
    restarts: int = 1,
    target: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    draws: int = 8,
    value_range: Range = (0.0, 1.0),
    channels: int | None = None,
    volumes: bool | None = None,
    seed: int | None = None,
    progress: Progress = False,
) -> Attack: ...


@overload
def attack(
    model: Callable[[Tensor], Any] | Smoothed,
    x: Tensor | ArrayLike,
    labels: ArrayLike | None = None,
    *,
    epsilon: Sequence[float],
    norm: str = "l2",
    loss: Loss | Sequence[Loss] = DEFAULT_LOSSES,
    method: Method | None = None,
    steps: int = 300,
    restarts: int = 1,
    target: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    draws: int = 8,
    value_range: Range = (0.0, 1.0),
    channels: int | None = None,
    volumes: bool | None = None,
    seed: int | None = None,
    progress: Progress = False,
) -> list[Attack]: ...


def attack(
    model: Callable[[Tensor], Any] | Smoothed,
    x: Tensor | ArrayLike,
    labels: ArrayLike | None = None,
    *,
    epsilon: float | Sequence[float],
    norm: str = "l2",
    loss: Loss | Sequence[Loss] = DEFAULT_LOSSES,
    method: Method | None = None,
    steps: int = 300,
    restarts: int = 1,
    target: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    draws: int = 8,
    value_range: Range = (0.0, 1.0),
    channels: int | None = None,
    volumes: bool | None = None,
    seed: int | None = None,
    progress: Progress = False,
) -> Attack | list[Attack]:
    """Attack a segmentation: an input within epsilon in l2 norm on which most labels are wrong.

    Args:
        model: a base model with gradients, or a ``Smoothed`` one, whose gradient is that of the
            mean softmax over fresh draws.
        x: (*shape), such as (3, H, W) in [0, 1] or a point cloud (3, N) or (6, N), or a batch of
            images (B, C, H, W), or of clouds (B, C, N) for a model whose ``kind`` is "clouds".
        labels: ints (*out), the labels to change, 255 for components that do not count; None: the
            model's labels on x.
        epsilon: the largest l2 norm of the change, or several in ascending order.
        norm: "l2".
        loss: one or several losses of ``certiseg.attacks.losses.Goal.loss``; the strongest result
            is returned.
        method: "apgd" (Croce & Hein 2020), or "pgd" with a fixed step. None: "apgd" on a base
            model; "pgd" on a smoothed one, since APGD compares losses, which differ by their draws.
        steps: gradients of each run, one run for each loss and restart.
        restarts: runs of each loss; the first starts from x, others from random points.
        target: ints (*out), labels to reach, 255 for components that do not count.
        weights: floats (*out) >= 0, by which components count in the loss.
        draws: noise draws per gradient, for a smoothed model.
        value_range: domain of the input; None for any values, as for point clouds.
        channels: number of leading channels that may change, such as 3 for the coordinates of a
            cloud with normals; None: those that a smoothed model's noise changes, else all.
        volumes: x is one volume (C, D, H, W), so that a depth of 3 is no batch of RGB images; None:
            as a smoothed model or the model's attribute ``kind`` says.
        seed: seed of random starts and draws; None: fresh entropy.
        progress: True for a bar over gradients, or a function called with the number just done.

    Returns:
        One result, or a list for several epsilons, where a larger epsilon is never less successful
        than a smaller one.

    Raises:
        InputError: For a model without gradients, labels of another size, and values out of range.

    Example:
        >>> import torch
        >>> import certiseg as cs
        >>> model = lambda x: torch.cat([1 - x, x], dim=1)
        >>> found = cs.attack(model, torch.full((1, 2, 2), 0.6), epsilon=0.3, steps=10, seed=0)
        >>> found.success, found.norm <= 0.3
        (1.0, True)

    Reference:
        Croce & Hein 2020, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks; Croce, Singh, Hein 2024, Towards reliable evaluation and fast
        training of robust semantic segmentation models.
    """
    one = np.ndim(epsilon) == 0
    losses = [loss] if isinstance(loss, str) else list(loss)
    radii = check_attack(epsilon, losses)
    if norm != "l2":
        raise InputError(f"expected norm='l2', got {norm!r}; certificates here are of that norm")
    if method is None:
        method = "pgd" if isinstance(model, Smoothed) else "apgd"
    if method not in get_args(Method):
        raise InputError(f"expected method 'apgd' or 'pgd', got {method!r}; choose one")
    steps, restarts = checked_count(steps), checked_count(restarts)
    domain = model.value_range if isinstance(model, Smoothed) else checked_range(value_range)
    origin, _ = resolve_seed(seed)
    scores = (
        smoothed_scores(model, checked_count(draws), origin)
        if isinstance(model, Smoothed)
        else base_scores(model)
    )
    given, single = inputs_of(x, domain, model, volumes)
    moving = movable(model, given.shape[1], channels)
    if moving < given.shape[1]:
        scores = on_channels(scores, moving)
    clean, goal = aimed(scores, given, labels, target, weights, single)
    losses = _with_gradient(scores, given, goal, losses)
    number = torch.Generator().manual_seed(origin % 2**63)
    found: list[Attack] = []
    with draws_bar(progress, len(radii) * len(losses) * restarts * steps) as advance:
        best = given
        won = [losses[0]] * len(given)
        reached = _reached(scores, best, goal)
        unmoved = torch.ones_like(reached, dtype=torch.bool)
        for radius in radii:
            for kind in losses:
                for turn in range(restarts):
                    start = given if turn == 0 else _random(given, radius, domain, number, moving)
                    objective = _objective(scores, goal, kind)
                    moved = ascend(
                        objective,
                        given,
                        start,
                        radius,
                        steps,
                        method,
                        domain,
                        advance,
                        last=isinstance(model, Smoothed),
                    )
                    if isinstance(model, Smoothed):
                        moved = _outward(given, moved, radius)
                    candidate = finished(given, moved, radius, domain)
                    count = _reached(scores, candidate, goal)
                    # Prefer progress in the loss even if no label has changed yet.
                    better = (count > reached) | (unmoved & (count == reached))
                    if isinstance(model, Smoothed):
                        # With few draws the count may fall although the step is good.
                        better |= unmoved
                    unmoved &= ~better
                    wide = better.reshape(-1, *[1] * (given.ndim - 1))
                    best = torch.where(wide, candidate, best)
                    reached = torch.where(better, count, reached)
                    won = [kind if b else w for b, w in zip(better.tolist(), won, strict=True)]
            found.append(result(scores, given, best, radius, clean, goal, won, single))
    return found[0] if one else found


FLAT = (
    "expected a loss that depends on the input, got a gradient of zero everywhere; take a model "
    "that does not round, or another input"
)


class FlatLossError(InputError):
    """Every loss of an attack has a gradient of zero everywhere at the input."""


def _with_gradient(scores: Scores, x: Tensor, goal: Goal, losses: list[Loss]) -> list[Loss]:
    """The losses, or masked-margin, which does not saturate, if all have a gradient of zero.

    Raises FlatLossError if it has none either, and InputError for gradients that are not finite.
    """
    for tried in (losses, ["masked-margin"]):
        kinds, moving = cast("list[Loss]", tried), False
        for kind in kinds:
            _, gradient, reached = _objective(scores, goal, kind)(x)
            check_finite(gradient)
            moving |= bool(gradient.any()) or bool(reached.any())
        if moving:
            return kinds
    raise FlatLossError(FLAT)


def check_attack(epsilon: float | Sequence[float], losses: Sequence[str]) -> list[float]:
    """The epsilons as floats. Raises InputError for invalid or descending ones, and for losses that
    are none."""
    given = np.atleast_1d(np.asarray(epsilon))
    numbers = given.dtype.kind in "iuf" and given.ndim == 1
    radii = [float(radius) for radius in given] if numbers else [np.nan]
    if not radii or not all(_LEAST <= r <= _MOST for r in radii):
        raise InputError(
            f"expected epsilon from {_LEAST:g}, which float32 still resolves, to {_MOST:g}, got "
            f"{radii!s:.80}; it is in the units of the input"
        )
    if radii != sorted(set(radii)):
        raise InputError(f"expected different epsilons in ascending order, got {radii}; sort them")
    if not losses or any(kind not in LOSSES for kind in losses):
        raise InputError(f"expected losses of {', '.join(LOSSES)}, got {losses}; choose of these")
    return radii


def inputs_of(
    x: Tensor | ArrayLike,
    domain: Range,
    model: Callable[[Tensor], Any] | Smoothed,
    volumes: bool | None,
) -> tuple[Tensor, bool]:
    """Inputs (B, *shape) on the model's device, and whether x was a single one. Raises
    InputError."""
    array = x if isinstance(x, Tensor) else np.asarray(x)
    base = model.model if isinstance(model, Smoothed) else model
    kind = getattr(base, "kind", None)
    if volumes is None:
        volumes = model.volumes if isinstance(model, Smoothed) else kind == "volumes"
    several = array.ndim == 4 and array.shape[1] in (1, 3) and not volumes
    batch = several or (array.ndim == 3 and kind == "clouds")
    each = array if batch else [x]
    images = [check_input(image, domain, volumes=volumes) for image in each]
    parameter = first_parameter(base)
    given = torch.stack(images)
    return given if parameter is None else given.to(parameter.device), not batch


def movable(model: Callable[[Tensor], Any] | Smoothed, total: int, channels: int | None) -> int:
    """Number of leading channels, of so many in total, that may change. Raises InputError."""
    noise = model.noise if isinstance(model, Smoothed) else None
    own = noise.channels if isinstance(noise, Gaussian) else None
    if own is not None and channels not in (None, own):
        raise InputError(
            f"expected the {own} channels that the smoothed model's noise changes, got "
            f"channels={channels!r}; leave it out"
        )
    wanted = own if channels is None else channels
    if wanted is None:
        return total
    if checked_count(wanted) > total:
        raise InputError(
            f"expected channels of at most {total}, which the input has, got {wanted}; 3 for the "
            "coordinates of a point cloud"
        )
    return wanted


def aimed(
    scores: Scores,
    x: Tensor,
    labels: ArrayLike | None,
    target: ArrayLike | None,
    weights: ArrayLike | None,
    single: bool,
) -> tuple[Tensor, Goal]:
    """The model's labels on the inputs, and the checked goal; see ``attack``."""
    with torch.no_grad():
        clean = scores(x).argmax(dim=1)
    classes = int(scores(x[:1]).shape[1])
    return clean, goal_of(clean, labels, target, weights, single, classes)


def goal_of(
    clean: Tensor,
    labels: ArrayLike | None,
    target: ArrayLike | None,
    weights: ArrayLike | None,
    single: bool,
    classes: int,
) -> Goal:
    """The checked goal of an attack whose clean labels are (B, *out); see ``attack``."""
    wanted = labels if target is None else target
    aim = clean
    if wanted is not None:
        aim = _map(wanted, clean, single, "labels")
        if aim.is_floating_point() or aim.is_complex():
            raise InputError(f"expected labels of whole numbers, got {aim.dtype}; pass class ids")
        aim = aim.long()
    asked = aim != IGNORE
    each = asked.float()
    if weights is not None:
        given = _map(weights, clean, single, "weights").float()
        if not bool((torch.isfinite(given) & (given >= 0)).all()):
            raise InputError("expected finite weights >= 0, got others; clip them")
        each = each * given
    if not bool((each.flatten(1) > 0).any(dim=1).all()):
        raise InputError(
            f"expected a component to attack in each image, got labels that are all {IGNORE}, or "
            "weights all 0; leave such images out"
        )
    if not bool((aim[asked] >= 0).all()):
        raise InputError(
            f"expected labels >= 0, or {IGNORE} where none is asked for, got {int(aim.min())}; "
            f"write {IGNORE} there"
        )
    if not bool((aim[asked] < classes).all()):
        raise InputError(
            f"expected labels 0 to {classes - 1}, or {IGNORE} where none is asked for, got "
            f"{int(aim[asked].max())}; name classes of the model"
        )
    return Goal(torch.where(asked, aim, 0), each, target is not None)


def _map(values: ArrayLike, clean: Tensor, single: bool, what: str) -> Tensor:
    plain = values.cpu() if isinstance(values, Tensor) else np.asarray(values)
    if not isinstance(plain, Tensor) and plain.dtype.kind not in "biuf":
        raise InputError(f"expected {what} of numbers, got {plain.dtype}; pass class ids")
    array = torch.as_tensor(plain, device=clean.device)
    array = array[None] if single else array
    if array.shape != clean.shape:
        raise InputError(
            f"expected {what} of shape {tuple(clean.shape[1:] if single else clean.shape)}, as the "
            f"model gives, got {tuple(array.shape[1:] if single else array.shape)}; resize them"
        )
    return array


def _objective(
    scores: Scores, goal: Goal, kind: Loss
) -> Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]:
    def objective(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        leaf = x.detach().requires_grad_(True)
        with torch.enable_grad():
            logits = scores(leaf)
            value = goal.loss(kind, logits)
            (gradient,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), gradient, goal.reached(logits.detach()).flatten(1).sum(1)

    return objective


def _reached(scores: Scores, x: Tensor, goal: Goal) -> Tensor:
    with torch.no_grad():
        return goal.reached(scores(x)).flatten(1).sum(1)


def _random(
    x: Tensor, epsilon: float, domain: Range, number: torch.Generator, channels: int
) -> Tensor:
    """A random point of the sphere around x in its first channels, projected onto the domain."""
    direction = torch.randn(x.shape, generator=number, dtype=x.dtype).to(x.device)
    direction[:, channels:] = 0
    length = direction.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))
    return project(x, x + epsilon * direction / length, epsilon, domain)


def _outward(x: Tensor, moved: Tensor, epsilon: float) -> Tensor:
    """``moved`` stretched away from x to the sphere: steps by few draws partly cancel."""
    change = moved - x
    length = change.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))
    stretched: Tensor = x + change * (epsilon / length.clamp_min(1e-30)).clamp_min(1.0)
    return stretched


def result(
    scores: Scores,
    x: Tensor,
    attacked: Tensor,
    epsilon: float,
    clean: Tensor,
    goal: Goal,
    won: Sequence[str],
    single: bool,
) -> Attack:
    """The result, of all its values. Asserts that each norm is at most epsilon."""
    norms = norm_bound(x, attacked).cpu().numpy()
    assert bool((norms <= epsilon).all()), "an attack left its ball"
    with torch.no_grad():
        logits = scores(attacked)
    asked = (goal.weights > 0).flatten(1).sum(1)
    success = (goal.reached(logits).flatten(1).sum(1).double() / asked).cpu().numpy()
    pieces = (t.cpu().numpy() for t in (attacked, logits.argmax(dim=1), clean))
    moved, labels, before = (p[0] if single else p for p in pieces)
    return Attack(
        attacked=moved,
        epsilon=epsilon,
        norm=float(norms[0]) if single else norms,
        labels=labels,
        clean=before,
        success=float(success[0]) if single else success,
        loss=won[0] if single else tuple(won),
    )
