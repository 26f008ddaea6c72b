"""Attacks on point clouds by rotation: a search over axis and angle, with the network run at each.

The first half of the tries is spread over all allowed rotations, the second half around those that
were worst so far. Labels decide, so models without gradients can be attacked too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from certiseg.attacks.attack import Attack, goal_of
from certiseg.attacks.differentiable import check_callable
from certiseg.attacks.losses import Goal
from certiseg.errors import InputError
from certiseg.noise import Noise, Rotation
from certiseg.noise.rotation import AXES, Axis
from certiseg.outputs.decide import decide
from certiseg.sampling.base_model import BaseModel, first_parameter, forward, known_classes
from certiseg.sampling.checks import check_evaluation_mode, check_input, checked_count
from certiseg.sampling.keys import Address, resolve_seed
from certiseg.sampling.noise_samplers import rotation_by, sampler_at
from certiseg.sampling.progress import Progress, draws_bar
from certiseg.sampling.sampler import Smoothed

Vector = NDArray[np.float64]
"""Axis times angle in radians (3,)."""

_LEAST = 1e-6
_ROUNDING = 1e-12
"""Relative; beyond that of a rotation matrix in float64."""
_SHARES = (1.0, 2 / 3, 1.0, 1 / 3)
"""Shares of the largest angle: half of the first rotations are by the angle itself."""
_KEPT, _CHILDREN, _NARROWER = 4, 2, 0.7
_GOLDEN = math.pi * (3 - math.sqrt(5))
_AT_ONCE = 8
"""Noisy clouds of a pass."""


@dataclass(frozen=True, eq=False)
class Rotated(Attack):
    """Result of an attack by rotation; ``epsilon`` is the largest angle in radians.

    Attributes:
        norm: an upper bound on the angle of the rotation that was found.
        labels: of a smoothed model, those of most of the attack's last draws.
        loss: "rotation".
        vector: the rotation's axis times its angle (3,); ``attacked`` is the cloud rotated about
            its centroid in float64, with its normals, rounded once to its dtype.
    """

    vector: Vector


def rotation_attack(
    model: Callable[[Tensor], Any] | Smoothed,
    x: Tensor | ArrayLike,
    labels: ArrayLike | None = None,
    *,
    angle: float,
    axis: Axis | None = None,
    tries: int = 300,
    target: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    draws: int = 8,
    num_classes: int | None = None,
    seed: int | None = None,
    progress: Progress = False,
) -> Rotated:
    """Rotate a point cloud by at most an angle so that most labels are wrong.

    Args:
        model: a base model, with or without gradients, or a ``Smoothed`` one.
        x: (3, N), or (6, N) with normals, which rotate along.
        labels: ints (N,), the labels to change, 255 for points that do not count; None: the
            model's labels on x, of a smoothed model those of most draws.
        angle: the largest angle in radians, at most pi.
        axis: "x", "y" or "z", to rotate around this axis alone. None: that of a smoothed model's
            noise, if it has one, else any axis.
        tries: rotations at which the model is run.
        target: ints (N,), labels to reach, 255 for points that do not count.
        weights: floats (N,) >= 0, by which points count.
        draws: noise draws at each rotation, for a smoothed model; the same ones at all, and fresh
            ones at the last few.
        num_classes: of a base model that returns labels and has no attribute of this name.
        seed: seed of rotations and draws; None: fresh entropy.
        progress: True for a bar over rotations, or a function called with the number just done.

    Returns:
        The strongest attack found; x itself if no rotation changes a label of a base model.

    Raises:
        InputError: For other inputs than clouds, labels of another size, and angles out of range.

    Example:
        >>> import torch
        >>> cloud = torch.tensor([[1.0, 0.9, -1.9], [0.1, 0.5, -0.6], [0.0, 0.0, 0.0]])
        >>> above = lambda x: torch.stack([-x[:, 1], x[:, 1]], dim=1)  # label 1 where y > 0
        >>> found = rotation_attack(above, cloud, angle=0.2, axis="z", tries=20, seed=0)
        >>> found.clean.tolist(), found.labels.tolist(), found.norm <= 0.2
        ([1, 1, 0], [0, 1, 0], True)
    """
    largest, tries, draws = _checked_angle(angle), checked_count(tries), checked_count(draws)
    noise = model.noise if isinstance(model, Smoothed) else None
    around = _axis(axis, noise)
    given = check_input(x, model.value_range if isinstance(model, Smoothed) else None).cpu()
    Rotation(1.0).check_shape(tuple(given.shape))
    origin, _ = resolve_seed(seed)
    smoothed = noise is not None
    labels_at = _runner(model, given, origin, num_classes)
    # The first draws search, as many fresh ones decide.
    first, fresh = (range(draws), range(draws, 2 * draws)) if smoothed else (range(1), range(1))
    at_x, classes = labels_at(np.zeros(3), fresh)
    clean = _most(at_x, classes)
    goal = goal_of(clean[None], labels, target, weights, True, classes)
    rng = np.random.default_rng(origin % 2**63)

    def harm(vector: Vector, numbers: range) -> float:
        return float((_reached(labels_at(vector, numbers)[0], goal) * goal.weights).sum())

    with draws_bar(progress, tries) as advance:

        def tried(vectors: Sequence[Vector]) -> list[tuple[float, Vector]]:
            found = []
            for vector in vectors:
                found.append((harm(vector, first), vector))
                advance(1)
            return found

        spread = tries - tries // 2
        found = tried(_spread(spread, largest, around, rng))
        step = largest / max(1.0, spread / 2 if around is not None else math.sqrt(spread))
        left = tries - spread
        while left:
            near = [
                _near(vector, step, largest, around, rng)
                for vector in _worst(found)
                for _ in range(_CHILDREN)
            ]
            found += tried(near[:left])
            left, step = left - len(near[:left]), step * _NARROWER
    # A smoothed model is rotated in any case: by few draws x may be the worst by chance.
    last = _worst(found) if smoothed else [np.zeros(3), *_worst(found)]
    vector = max(last, key=lambda vector: harm(vector, fresh))
    after = _most(labels_at(vector, fresh)[0], classes)
    bound = math.hypot(*vector) * (1 + _ROUNDING)
    assert bound <= largest, "an attack left its ball"
    return Rotated(
        attacked=rotated(given, vector).numpy(),
        epsilon=largest,
        norm=bound,
        labels=after.cpu().numpy(),
        clean=clean.cpu().numpy(),
        success=float(_reached(after[None], goal).sum() / (goal.weights > 0).sum()),
        loss="rotation",
        vector=vector,
    )


def rotated(x: Tensor, vector: Vector) -> Tensor:
    """The cloud (3, N) or (6, N) on the host, rotated about its centroid by exp(vector)."""
    if not vector.any():
        return x
    triples = x.double().reshape(-1, 3, x.shape[1])
    centre = triples.mean(dim=2, keepdim=True)
    centre[1:] = 0  # normals are directions
    moved = torch.from_numpy(rotation_by(vector)) @ (triples - centre) + centre
    return moved.view(x.shape).to(x.dtype)


def _runner(
    model: Callable[[Tensor], Any] | Smoothed, x: Tensor, seed: int, classes: int | None
) -> Callable[[Vector, range], tuple[Tensor, int]]:
    """A function of a rotation and numbers of draws: labels (draws, N) of the rotated cloud under
    the noise of these draws, if there is any, and the number of classes."""
    noise = None
    if isinstance(model, Smoothed):
        noise, base = model.noise, BaseModel(model.model, model.num_classes, engine=model.engine)
    else:
        base = BaseModel(model, classes or known_classes(model))
    check_callable(base.call)
    check_evaluation_mode(base.call)
    parameter = first_parameter(base.call)
    device = x.device if parameter is None else parameter.device

    def labels(vector: Vector, numbers: range) -> tuple[Tensor, int]:
        cloud = rotated(x, vector)
        batch = cloud.repeat(len(numbers), 1, 1)
        if noise is not None:
            sampler = sampler_at(noise, cloud)
            for place, number in enumerate(numbers):
                sampler.fill(batch[place].numpy(), Address.of(seed, "rotations", number))
        parts = [forward(base, part.to(device), decide) for part in torch.split(batch, _AT_ONCE)]
        return torch.cat([part.labels() for part in parts]), parts[0].num_classes

    return labels


def _most(labels: Tensor, classes: int) -> Tensor:
    """The labels (N,) of most draws (draws, N)."""
    return torch.stack([(labels == label).sum(dim=0) for label in range(classes)]).argmax(dim=0)


def _reached(labels: Tensor, goal: Goal) -> Tensor:
    """Bool (draws, N): where labels reach the goal."""
    same = labels == goal.labels
    return (same if goal.targeted else ~same) & (goal.weights > 0)


def _spread(count: int, angle: float, axis: Axis | None, rng: np.random.Generator) -> list[Vector]:
    """Rotations by at most the angle: a grid of angles around one axis, or axes on a Fibonacci
    lattice of random orientation (Gonzalez 2010), most by the angle itself."""
    inside = angle * (1 - 2 * _ROUNDING)
    if axis is not None:
        unit = np.eye(3)[AXES.index(axis)]
        turns = np.linspace(-inside, inside, count) if count > 1 else [inside]
        return [turn * unit for turn in turns]
    height = 1 - (2 * np.arange(count) + 1) / count
    around = _GOLDEN * np.arange(count)
    flat = np.sqrt(1 - height**2)
    axes = np.stack([flat * np.cos(around), flat * np.sin(around), height], axis=1)
    axes = axes @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    shares = np.resize(_SHARES, count)
    return list(inside * shares[:, None] * axes)


def _near(
    vector: Vector, step: float, angle: float, axis: Axis | None, rng: np.random.Generator
) -> Vector:
    """A random rotation near another one, by at most the angle."""
    change = step * rng.standard_normal(3)
    if axis is not None:
        change *= np.eye(3)[AXES.index(axis)]
    moved = vector + change
    return moved * min(1.0, angle * (1 - 2 * _ROUNDING) / max(math.hypot(*moved), 1e-300))


def _worst(found: Sequence[tuple[float, Vector]]) -> list[Vector]:
    return [vector for _, vector in sorted(found, key=lambda pair: -pair[0])[:_KEPT]]


def _checked_angle(angle: float) -> float:
    known = isinstance(angle, (int, float, np.integer, np.floating)) and not isinstance(angle, bool)
    if not known or not _LEAST <= angle <= math.pi:
        raise InputError(
            f"expected an angle in [{_LEAST:g}, pi], got {angle!r}; it is in radians, such as "
            "0.17 (10 degrees)"
        )
    return float(angle)


def _axis(axis: Axis | None, noise: Noise | None) -> Axis | None:
    own = noise.axis if isinstance(noise, Rotation) else None
    if axis is not None and axis not in AXES:
        raise InputError(f"expected axis {', '.join(AXES)} or None, got {axis!r}; None is any axis")
    if own is not None and axis not in (None, own):
        raise InputError(
            f"expected rotations around {own}, as the smoothed model's noise, got axis={axis!r}; "
            "leave it out"
        )
    return own if axis is None else axis
